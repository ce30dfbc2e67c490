# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which addresses of the join networks gateways have: a gateway keeps its offset, a new one gets the lowest that is
free."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common import addressing
from .._common.address_rules import FIRST_GATEWAY, gateway_offsets
from .._common.errors import SettingsError
from .._ovsdb.values import as_set
from .cluster import OWNER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .._ovsdb.rows import CurrentRow, Owner
    from .cluster import Cluster
    from .overlay_queries import CurrentState


def join_subnets_of(ports: Iterable[CurrentRow]) -> tuple[str, ...]:
    """Return the join subnets that the cluster router's port is in; :raises SettingsError: there is no such port."""
    networks = [str(addressing.interface(cidr).network) for port in ports for cidr in as_set(port.columns["networks"])]
    if not networks:
        raise SettingsError(
            "the cluster router does not exist in the Northbound database", "make the cluster first (ovn_master_init)"
        )
    return tuple(sorted(networks, key=addressing.family))


def join_subnets_change(cluster: Cluster, state: CurrentState) -> bool:
    """Return whether the cluster router exists, and is in other join subnets than the settings have."""
    port = state.find(OWNER, "Logical_Router_Port", "router-to-join")
    if port is None:
        return False
    desired = [addressing.nth(join, addressing.ROUTER) for join in cluster.joins()]
    return sorted(as_set(port.columns["networks"])) != sorted(desired)


def current_offset(owner: Owner, state: CurrentState) -> int | None:
    """Return the offset that a gateway has in the join subnets; None for a new one."""
    port = state.find(owner, "Logical_Router_Port", "router-to-join")
    cidrs = as_set(port.columns["networks"]) if port else ()
    return _offset(cidrs[0]) if cidrs else None


def assign_offsets(
    owners: Iterable[Owner], state: CurrentState, ports: Iterable[CurrentRow], joins: Sequence[str]
) -> dict[Owner, int]:
    """Return the offset of each gateway.

    :param ports: all routers' ports of the join switch, of whatever owner.
    :param joins: the join subnets.
    :raises SettingsError: a join subnet has no address left.
    """
    by_name = {owner.name: owner for owner in owners}
    current = {name: current_offset(owner, state) for name, owner in by_name.items()}
    used = {_offset(cidr) for port in ports for cidr in as_set(port.columns["networks"])}
    return {by_name[name]: offset for name, offset in offsets(current, used, joins).items()}


def offsets(current: Mapping[str, int | None], used: Iterable[int], joins: Sequence[str]) -> dict[str, int]:
    """Return the offset of each gateway by name: those that have one keep it, new ones get the lowest that are free.

    :param current: gateway -> its offset; None for a new one.
    :param used: offsets that others have, or these gateways too.
    :raises SettingsError: a join subnet has no address left.
    """
    taken = {*used, *(offset for offset in current.values() if offset)}
    assigned = {}
    candidate = FIRST_GATEWAY
    for name, offset in current.items():
        if offset is None:
            while candidate in taken:
                candidate += 1
            if any(candidate >= gateway_offsets(join).stop for join in joins):
                raise SettingsError(
                    f"has no address left for gateway {name}", "make it larger", ", ".join(joins), "join_subnet"
                )
            taken.add(candidate)
            offset = candidate
        assigned[name] = offset
    return assigned


def left_behind(gateway: str, joins: Sequence[str]) -> SettingsError:
    """Return the error of a call that moves the join network while this gateway, which it does not name, stays in the
    old one."""
    problem = f"differs from the current one, and gateway {gateway} would keep its old address"
    return SettingsError(problem, "name all gateways in the call", ", ".join(joins), "join_subnet")


def _offset(cidr: str) -> int:
    """Return an address's offset in its network."""
    return addressing.offset_in(str(addressing.interface(cidr).network), cidr)
