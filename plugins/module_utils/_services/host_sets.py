# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The address sets that hold the own addresses of all hosts (ovn-nb(5), Address_Set): routing policies name them.

So the new address of a host is one member of one row, however many hosts there are. ovn-northd and ovn-controller take
in such a change without a look at the other members.
"""

from __future__ import annotations

from collections.abc import Iterable

from .._common import names
from .._ovsdb.rows import LargeSet, Row
from . import host
from .addresses import of_version

TABLE = "Address_Set"


def rows(addresses: Iterable[str]) -> list[Row]:
    """Return the sets, one for each IP version; also one without members, since policies name it.

    :param addresses: own addresses of all hosts.
    """
    addresses = tuple(addresses)
    return [
        Row(
            TABLE,
            host.owner(host.ALL),
            f"addresses-{version}",
            name,
            columns={"addresses": LargeSet(sorted(of_version(addresses, version)))},
            kind="known",
        )
        for version, name in names.HOST_ADDRESSES.items()
    ]
