# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can go wrong on a host; every text is one sentence for the user: what, where, what would be right."""

from __future__ import annotations


class HostError(Exception):
    """This host can't be read, or can't be made as it is wanted."""


class HalfDone(HostError):
    """A change failed, and not all that was done before is taken back; the text says so after the cause."""
