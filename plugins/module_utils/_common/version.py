# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The version of the collection, as galaxy.yml has it: the archive on a host has no galaxy.yml."""

from __future__ import annotations

VERSION = "0.1.0"
