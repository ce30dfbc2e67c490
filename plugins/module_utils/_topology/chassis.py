# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Chassis of hosts that are gone, or that were installed anew: which they are, and their removal from the Southbound
database.

ovn-controller deletes its own chassis when it is stopped. That of a host that died stays, and while it has the host's
tunnel address no other chassis can register with it: the table Encap allows each type and address once (ovn-sb(5)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .._common import names
from .._common.result import Result
from .._ovsdb.converge import read_rows
from .._ovsdb.plan import Change, Plan
from .._ovsdb.rows import by_name
from .._ovsdb.transaction import operations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from .._ovsdb.connection import Connection

TABLES = ("Chassis", "Chassis_Private")  # ovn-sb(5): both have a row for each chassis, with its system-id as the name


class ChassisOwner(NamedTuple):
    """A node, as the one to whom chassis belong.

    :ivar node_name: what its chassis have as ``hostname``.
    :ivar system_id: of the chassis that it has now; empty: it has none any more.
    :ivar encap_ip: the tunnel address that it has now; empty: none.
    """

    node_name: str
    system_id: str = ""
    encap_ip: str = ""


def left_behind(registered: Mapping[str, Mapping[str, Any]], owners: Iterable[ChassisOwner]) -> list[str]:
    """Return the system-ids of the chassis that the owners have no more, in the order in which they are registered.

    They are those under an owner's name, or with the tunnel address that an owner has now, except those of owners now.

    :param registered: system-id -> ``hostname`` and ``encap_ips``, as ovn_info reports chassis.
    """
    owners = list(owners)
    hostnames = {owner.node_name for owner in owners}
    current = {owner.system_id for owner in owners} - {""}
    addresses = {owner.encap_ip for owner in owners} - {""}
    return [
        system_id
        for system_id, chassis in registered.items()
        if system_id not in current
        and (chassis.get("hostname") in hostnames or addresses.intersection(chassis.get("encap_ips") or ()))
    ]


def remove(
    connect: Callable[[str, str], Connection], southbound: str, system_ids: Sequence[str], check: bool
) -> Result:
    """Delete chassis from the Southbound database, in one transaction.

    :param connect: opens a connection to a remote's database.
    :param check: plan only.
    :raises DatabaseError: nothing was changed.
    """
    connection = connect(southbound, names.SOUTHBOUND)
    try:
        queries = [by_name(table, system_id, ("name",)) for system_id in system_ids for table in TABLES]
        changes = [Change("delete", None, row) for row in read_rows(connection, queries)]
        if changes and not check:
            connection.transact(operations(Plan(changes), "ovn.kubernetes: ovn_chassis"))
        return Result(changes)
    finally:
        connection.close()
