# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can go wrong with a bridge's flows, in words for the user."""

from __future__ import annotations


class FlowError(Exception):
    """The bridge can't be asked, or refuses."""
