# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the contract names and this release does not do yet. When it comes, its line goes. Private to the collection."""

from __future__ import annotations

import typing as t


class NotYet(t.NamedTuple):
    """A setting that is refused although it is a known one."""

    variable: str
    refused: t.Callable[[t.Any], bool]  # of the value that was read
    text: str  # goes on after the variable and its value


NOT_YET = (
    NotYet(
        "ovn_tls",
        lambda value: value is True,
        "isn't there yet: leave it out or false, and keep the underlay a network that you trust",
    ),
)

# Clustered databases aren't there yet: more masters than this are refused, also where their number is a right one.
MASTERS = 1
MASTERS_TEXT = "clustered masters aren't there yet: leave one host in ovn_masters"
