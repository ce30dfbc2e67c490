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
from .._common.addressing import normalized
from .._common.result import Result
from .._ovsdb.converge import read_rows
from .._ovsdb.plan import Change, Plan
from .._ovsdb.rows import by_name
from .._ovsdb.transaction import operations

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from .._ovsdb.connection import Connection
    from .._ovsdb.rows import CurrentRow

TABLES = ("Chassis", "Chassis_Private")  # ovn-sb(5): both have a row for each chassis, with its system-id as the name


class ChassisOwner(NamedTuple):
    """A node, as the one to whom chassis belong.

    :ivar node_name: what its chassis have as ``hostname``.
    :ivar system_id: of the chassis that it has now; empty: it has none any more.
    :ivar encap_ip: the tunnel address that it has now; empty: none.
    :ivar has_role: it registers with the role ovn-controller, which lets no chassis change its ``hostname`` (table
        RBAC_Permission of ovn-sb(5)). ovn-controller tries to, and can write nothing else until it has succeeded.
    """

    node_name: str
    system_id: str = ""
    encap_ip: str = ""
    has_role: bool = False


def left_behind(
    registered: Mapping[str, Mapping[str, Any]],
    owners: Iterable[ChassisOwner],
    nodes: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[str]:
    """Return the system-ids of the chassis that the owners have no more, in the order in which they are registered.

    They are those under an owner's name, or with the tunnel address that an owner has now, except those of owners now,
    and of other nodes: a chassis may say that it is another host. That of an owner with another name than it registered
    with is among them where it can't change that itself: it registers again.

    :param registered: system-id -> ``hostname`` and ``encap_ips``, as ovn_info reports chassis.
    :param nodes: name -> ``chassis``, as ovn_info reports nodes; the owners may be among them.
    """
    owners = list(owners)
    hostnames = {owner.node_name for owner in owners}
    current = {owner.system_id for owner in owners} - {""}
    fixed = {owner.system_id: owner.node_name for owner in owners if owner.has_role}
    current |= {str(node.get("chassis")) for name, node in (nodes or {}).items() if name not in hostnames}
    addresses = _normalized(ip for owner in owners for ip in owner.encap_ip.split(","))
    return [
        system_id
        for system_id, chassis in registered.items()
        if fixed.get(system_id, chassis.get("hostname")) != chassis.get("hostname")
        or (
            system_id not in current
            and (chassis.get("hostname") in hostnames or addresses & _normalized(chassis.get("encap_ips") or ()))
        )
    ]


def _normalized(addresses: Iterable[str]) -> set[str]:
    """Return the addresses in their usual spelling."""
    return set(filter(None, map(normalized, addresses)))


class Stale(NamedTuple):
    """A chassis that no host has any more.

    :ivar node: the node whose host it was, or whose tunnel address or name it has.
    :ivar is_former: whether the node's own row had this system-id before.
    """

    system_id: str
    node: str
    is_former: bool = False


class NodeChassis(NamedTuple):
    """What a node's row says of its host. Only masters write such rows, with what the inventory's hosts have.

    :ivar node: its name.
    """

    node: str
    system_id: str
    encap_ips: frozenset[str] = frozenset()

    @classmethod
    def from_row(cls, row: CurrentRow) -> NodeChassis:
        """Read the main row of a node or a gateway."""
        encap_ips = frozenset(_normalized((row.external_id(names.ENCAP_IPS_KEY) or "").split(",")))
        return cls(row.owner.name if row.owner else "", row.external_id(names.CHASSIS_KEY) or "", encap_ips)


def stale(
    nodes: Iterable[NodeChassis], registered: Mapping[str, Mapping[str, Any]], former: Mapping[str, str]
) -> list[Stale]:
    """Return the chassis that are no host's any more: a node's row had their system-id before, or they have the tunnel
    address or the name of a node that is another chassis.

    What a chassis says of itself makes nothing stale but itself: the chassis of a node is never among them, whatever
    others say. What two nodes could be is left alone.

    :param registered: as :func:`left_behind` takes it.
    :param former: system-id -> node.
    """
    with_chassis = [node for node in nodes if node.system_id]
    owners: dict[str, set[str]] = {}  # tunnel address or name -> the nodes that have it
    for node in with_chassis:
        for text in (node.node, *node.encap_ips):
            owners.setdefault(text, set()).add(node.node)
    found = []
    for system_id in set(registered) - {node.system_id for node in with_chassis}:
        chassis = registered[system_id]
        claims = {str(chassis.get("hostname")), *_normalized(chassis.get("encap_ips") or ())}
        claimed = {name for text in claims for name in owners.get(text, ())}
        if system_id in former:
            found.append(Stale(system_id, former[system_id], True))
        elif len(claimed) == 1:
            found.append(Stale(system_id, claimed.pop()))
    return sorted(found)


def remove(connection: Connection, system_ids: Sequence[str], comment: str, check: bool = False) -> Result:
    """Delete chassis from the Southbound database, in one transaction.

    :param comment: for the database's log.
    :param check: plan only.
    :raises DatabaseError: nothing was changed.
    """
    queries = [by_name(table, system_id, ("name",)) for system_id in system_ids for table in TABLES]
    changes = [Change("delete", None, row) for row in read_rows(connection, queries)]
    if changes and not check:
        connection.transact(operations(Plan(changes), comment))
    return Result(changes)
