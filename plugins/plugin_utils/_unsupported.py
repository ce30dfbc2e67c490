# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the inventory can name and this release does not support. With the support, its line is removed. Private to the
collection."""

from __future__ import annotations

import typing as t
from collections.abc import Callable


class Unsupported(t.NamedTuple):
    """A value of a known variable that is refused.

    ``refuses`` decides it from the value as read; ``text`` follows the variable and its value in the message.
    """

    variable: str
    refuses: Callable[[t.Any], bool]
    text: str


UNSUPPORTED = (
    Unsupported(
        "ovn_tls",
        lambda value: value is True,
        "isn't supported yet: leave it out or false, and keep the underlay a network that you trust",
    ),
)

# Clustered databases are not supported: more masters are refused, also where their number would be a right one.
MAXIMUM_MASTERS = 1
MASTERS_TEXT = "clustered masters aren't supported yet: leave one host in ovn_masters"
