# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All that one call desires of the Northbound database: a cluster, nodes and gateways, or their absence.

No I/O: :func:`.._ovsdb.converge.converge_rows` runs the queries of :class:`Overlay`, and passes it the rows that
they find.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .._common import addressing, names
from .._ovsdb.rows import Owner, Query, by_name, includes
from .._services import range_rules
from . import clones, drain, egress_rows, gateway_checks, join_offsets, overlay_queries
from . import cluster as cluster_policy
from . import gateway as gateway_policy
from . import node as node_policy
from .gateway import Place
from .overlay_queries import CurrentState
from .problems import Problem, raise_first

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Union

    from .._ovsdb.rows import CurrentRow, Row
    from .cluster import Cluster
    from .gateway import Gateway
    from .node import Node

    Rows = Sequence[CurrentRow]
    Objects = Sequence[Union[Node, Gateway]]

# Names of the reads.
JOIN_PORT, JOIN_PORTS = "port of the cluster router", "ports of the join switch"
NODES, GATEWAYS = "other nodes", "other gateways"
PODS = "pods"
RANGES = "port group of source ranges"
HOST_OF = "host of gateway "  # and its name


@dataclass(frozen=True)
class Overlay:
    """What one call is about.

    :ivar cluster: None when the call is not about the cluster.
    :ivar absent: owners that must have no rows.
    :ivar everything: all rows of this collection must go.
    :ivar known: names of nodes that exist beside those of this call, and so can't be their old names.
    :ivar former: old names of the call's own host, as it knows them itself.
    :ivar by_uuid: find rows by the UUID of their identity only.
    """

    cluster: Cluster | None = None
    nodes: tuple[Node, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    absent: tuple[Owner, ...] = ()
    everything: bool = False
    known: frozenset[str] = frozenset()
    former: frozenset[str] = frozenset()
    by_uuid: bool = False

    @property
    def fast_path(self) -> Overlay | None:
        """Return the same call, with rows that are found by their UUID only; None unless it is about one object.

        Rows that are to be removed, and rows of many objects, are searched: some may have another UUID than that of
        their identity.
        """
        return None if self.everything or self.absent or len(self.owners()) != 1 else replace(self, by_uuid=True)

    @staticmethod
    def columns(table: str) -> tuple[str, ...]:
        """Return the columns to read of a row that is found by its name."""
        return overlay_queries.COLUMNS_BY_NAME[table]

    def problems(self) -> Iterator[Problem]:
        """Yield what can't work, as far as the settings alone tell: first of each object, then of objects beside
        others."""
        alone = list(self._problems_alone())
        yield from alone
        if alone:
            return
        if self.cluster:
            for gateway in self.gateways:
                yield from gateway_checks.place_problems(gateway, Place(self.cluster.joins(), 0))
        yield from _repeated_names(self.nodes)
        yield from node_policy.overlap_problems(self.nodes, {})
        yield from _repeated_chassis(self.nodes)
        yield from _repeated_names(self.gateways)
        yield from gateway_checks.sharing_problems(self.gateways, {})
        yield from _repeated_chassis(self.gateways)

    def _problems_alone(self) -> Iterator[Problem]:
        """Yield what can't work in the settings of single objects."""
        if self.cluster:
            yield from cluster_policy.problems(self.cluster, len(self.gateways))
        for node in self.nodes:
            yield from node_policy.problems(node)
        for gateway in self.gateways:
            yield from gateway_checks.problems(gateway)

    def check(self) -> None:
        """Refuse what can't work; :raises SettingsError: the first of :meth:`problems`."""
        raise_first(self.problems())

    def owners(self) -> list[Owner]:
        """Return the owners whose rows this call converges."""
        cluster = [cluster_policy.OWNER] if self.cluster else []
        hosts = [Owner("Host", owner.name) for owner in self.absent if owner.type == "Node"]
        return [*cluster, *(one.owner for one in self._objects()), *self.absent, *hosts]

    def _objects(self) -> Objects:
        return [*self.nodes, *self.gateways]

    def owned_queries(self, owners: Iterable[Owner] | None = None) -> list[Query]:
        """Return the queries for all rows of the owners, and for rows that have their chassis under an old name."""
        owners = self.owners() if owners is None else list(owners)
        if self.by_uuid:
            return overlay_queries.queries_by_uuid(owners)
        if self.everything:
            return overlay_queries.queries_for_everything()
        queries = overlay_queries.queries_for_owners(owners)
        if len(owners) <= overlay_queries.FEW_OWNERS:
            queries += [
                overlay_queries.query_for_chassis(one.owner, one.chassis) for one in self._objects() if one.chassis
            ]
        return queries

    def renamed_owners(self, current: Rows) -> dict[Owner, str]:
        """Return the owners that have rows with the same chassis under an old name, with their new names.

        :raises SettingsError: the old name is that of another host that exists, as far as names, subnets and addresses
            tell, or of one of this call that keeps it.
        """
        new_names: dict[tuple[str, str | None], str] = {
            (one.owner.type, one.chassis): one.owner.name for one in self._objects() if one.chassis
        }
        # Of a host that says nothing in this call, the row stays, and its system-id with it.
        silent = {one.owner for one in self._objects() if not one.chassis}
        owners = set(self.owners()) - silent
        renamed = {}
        for row in current:
            owner = row.owner
            if owner is None or owner in owners or row.table != overlay_queries.MAIN_ROWS.get(owner.type, ("",))[0]:
                continue
            chassis = row.external_id(names.CHASSIS_KEY)
            new_name = new_names.get((owner.type, chassis))
            if new_name is None:
                continue
            if owner in silent:
                other = f"{owner.type.lower()} {owner.name}"
                again = f"where {other} has another one by now, converge it too"
                raise clones.clone_error(f"{owner.type.lower()} {new_name}", str(chassis), other, renamed=again)
            if owner.name in self.known:
                raise clones.clone_error(f"node {new_name}", str(chassis), f"node {owner.name}")
            if owner.name not in self.former:
                self._refuse_clone(row, owner, new_name)
            renamed[owner] = new_name
        return renamed

    def _refuse_clone(self, row: CurrentRow, owner: Owner, new_name: str) -> None:
        """Refuse a new name with other subnets or addresses; a gateway of a node of this call is as its node is."""
        chassis = str(row.external_id(names.CHASSIS_KEY))
        key, now = names.SUBNETS_KEY, [node.subnets for node in self.nodes if node.owner.name == new_name]
        if owner.type == "Gateway":
            if now:
                return
            key = names.PHYSICAL_IPS_KEY
            now = [gateway.physical_ips for gateway in self.gateways if gateway.owner.name == new_name]
        had = (row.external_id(key) or "").split(",")
        clones.refuse_other_address(owner.type.lower(), new_name, chassis, owner.name, had, now[0])

    def owned_rows(self, current: Rows, renamed: Mapping[Owner, str]) -> list[CurrentRow]:
        """Return the rows of this call's owners: a query for a whole table finds others too."""
        if self.everything:
            return list(current)
        owners = {*self.owners(), *renamed}
        # Where a call does not say which subnets are pinned, their policies stay as they are.
        unspecified = {gateway.owner for gateway in self.gateways if gateway.pinned is None}
        return [
            row
            for row in current
            if row.owner in owners
            and not (row.owner in unspecified and row.table == "Logical_Router_Policy" and not _is_share(row))
        ]

    def reads(self, current: Rows, renamed: Mapping[Owner, str]) -> dict[str, Query]:
        """Return what else the rows depend on: name -> query. An object that is as desired depends on no other."""
        state = CurrentState(current, renamed)
        reads = {}
        if self.gateways and not self.cluster:
            reads[JOIN_PORT] = (
                overlay_queries.query_by_uuid("Logical_Router_Port", cluster_policy.OWNER, "router-to-join")
                if self.by_uuid
                else by_name("Logical_Router_Port", names.router_to_join(names.CLUSTER_ROUTER), ("networks",))
            )
        new_gateways = any(join_offsets.current_offset(gateway.owner, state) is None for gateway in self.gateways)
        if new_gateways or self._join_subnets_change(state):
            condition = includes("external_ids", {names.JOIN_MARK: "yes"})
            reads[JOIN_PORTS] = Query("Logical_Router_Port", (condition,), ("networks", "external_ids"))
        for name in self._hosts_to_read():
            reads[HOST_OF + name] = Query("Logical_Switch", (("name", "==", name),), ("external_ids",))
        if any(state.known(node.owner, names.SUBNETS_KEY) != ",".join(node.subnets) for node in self.nodes):
            reads[NODES] = overlay_queries.query_for_main_rows("Node")
        if self._losses(state):
            reads[PODS] = drain.PORTS
        if any(
            state.known(gateway.owner, names.PHYSICAL_IPS_KEY) != ",".join(gateway.physical_ips)
            for gateway in self.gateways
        ):
            reads[GATEWAYS] = overlay_queries.query_for_main_rows("Gateway")
        if self._new_range_ports(state):
            reads[RANGES] = by_name(range_rules.GROUP, names.RANGES_PORT_GROUP, ("name",))
        return reads

    def rows(self, current: Rows, renamed: Mapping[Owner, str], reads: Mapping[str, Rows]) -> list[Row]:
        """Return the desired rows.

        :param reads: name -> rows that the query of :meth:`reads` found.
        :raises SettingsError: the settings conflict with what the database has.
        """
        state = CurrentState(current, renamed)
        self._check_against_others(state, reads)
        out = cluster_policy.rows(self.cluster) if self.cluster else []
        for node in self.nodes:
            out += node_policy.rows(node)
        out += self._gateway_rows(state, reads)
        if reads.get(RANGES):
            out.append(range_rules.ports_row(self.owners()[0], self._new_range_ports(state)))
        return out + (cluster_policy.absent_rows() if self.everything else [])

    def _new_range_ports(self, state: CurrentState) -> list[str]:
        """Return the ports to be made whose switches restrict clients of services.

        Their switch, or the gateway's router, may have the load balancers already, and no watcher may run.
        """
        made = [*([cluster_policy.OWNER] if self.cluster else ()), *(one.owner for one in self._objects())]
        return [
            range_rules.port_of(owner)
            for owner in made
            if state.find(owner, "Logical_Switch_Port", range_rules.PORT_ROLES[owner.type]) is None
        ]

    def _gateway_rows(self, state: CurrentState, reads: Mapping[str, Rows]) -> list[Row]:
        """Return the rows of the gateways; :raises SettingsError: they don't fit into the cluster."""
        if not self.gateways:
            return []
        joins = self.cluster.joins() if self.cluster else join_offsets.join_subnets_of(reads.get(JOIN_PORT, ()))
        owners = [gateway.owner for gateway in self.gateways]
        offsets = join_offsets.assign_offsets(owners, state, reads.get(JOIN_PORTS, ()), joins)
        out = []
        for gateway in self.gateways:
            place = Place(joins, offsets[gateway.owner])
            gateway_checks.check_place(gateway, place)
            router = state.find(gateway.owner, *overlay_queries.MAIN_ROWS["Gateway"])
            external_ids = router.columns["external_ids"] if router else {}
            down = egress_rows.parse_down_mark(external_ids.get(names.EGRESS_KEY))
            shares = egress_rows.shares_of(external_ids)
            out += gateway_policy.rows(_completed(gateway, state), place, down, self._host_ips(gateway, reads), shares)
        return out

    def _check_against_others(self, state: CurrentState, reads: Mapping[str, Rows]) -> None:
        """Refuse subnets and addresses of others; :raises SettingsError: for the first of them."""
        changing = {*(one.owner for one in self._objects()), *state.renamed, *self.absent}

        def others(name: str, key: str) -> dict[str, tuple[str, ...]]:
            return {
                row.owner.name: tuple((row.external_id(key) or "").split(","))
                for row in reads.get(name, ())
                if row.owner is not None and row.external_id(key) and row.owner not in changing
            }

        raise_first(node_policy.overlap_problems(self.nodes, others(NODES, names.SUBNETS_KEY)))
        raise_first(drain.problems(self._losses(state), reads.get(PODS, ())))
        raise_first(gateway_checks.sharing_problems(self.gateways, others(GATEWAYS, names.PHYSICAL_IPS_KEY)))
        left_behind = sorted(
            row.owner.name
            for row in reads.get(JOIN_PORTS, ())
            if row.owner is not None and row.owner.type == "Gateway" and row.owner not in changing
        )
        if left_behind and self.cluster and self._join_subnets_change(state):
            raise join_offsets.left_behind(left_behind[0], self.cluster.joins())

    def _losses(self, state: CurrentState) -> list[drain.Loss]:
        """Return the subnets, and the names, that nodes would leave."""
        held = {node.owner.name: state.known(node.owner, names.SUBNETS_KEY) or "" for node in self.nodes}
        old_names = {new: owner.name for owner, new in state.renamed.items() if owner.type == "Node"}
        return drain.losses(self.nodes, held, old_names)

    def _join_subnets_change(self, state: CurrentState) -> bool:
        """Return whether the cluster router must move into other join subnets."""
        return self.cluster is not None and join_offsets.join_subnets_change(self.cluster, state)

    def _hosts_to_read(self) -> list[str]:
        """Return the gateways that share their host's NIC, of hosts that the call does not name as nodes."""
        nodes = {node.owner.name for node in self.nodes}
        return [gateway.owner.name for gateway in self.gateways if gateway.shared and gateway.owner.name not in nodes]

    def _host_ips(self, gateway: Gateway, reads: Mapping[str, Rows]) -> tuple[str, ...]:
        """Return the addresses in the overlay of the gateway's host."""
        subnets = [subnet for node in self.nodes if node.owner.name == gateway.owner.name for subnet in node.subnets]
        for row in reads.get(HOST_OF + gateway.owner.name, ()):
            subnets += [subnet for subnet in (row.external_id(names.SUBNETS_KEY) or "").split(",") if subnet]
        return tuple(addressing.nth(subnet, addressing.HOST, prefix=False) for subnet in subnets)


def _is_share(row: CurrentRow) -> bool:
    """Return whether a row is the policy for a gateway's share of the pods."""
    return (row.role or "").startswith("share-")


def _completed(gateway: Gateway, state: CurrentState) -> Gateway:
    """Return the gateway with a chassis, a MAC and its NIC's MTU: what is not known of its host now stays as the
    database has it."""
    port = state.find(gateway.owner, "Logical_Router_Port", "router-to-external")
    current_mac = port.columns["mac"] if port else None
    current_mtu = (port.external_id(names.PHYSICAL_MTU_KEY) or "") if port else ""
    return replace(
        gateway,
        chassis=gateway.chassis or state.known(gateway.owner, names.CHASSIS_KEY) or gateway.owner.name,
        mac=gateway.mac or current_mac or addressing.mac_of(gateway.physical_ips),
        physical_mtu=gateway.physical_mtu or (int(current_mtu) if current_mtu.isdecimal() else None),
    )


def _repeated_names(objects: Objects) -> Iterator[Problem]:
    """Yield names that a call has twice."""
    seen: set[Owner] = set()
    for one in objects:
        if one.owner in seen:
            advice = "names are compared in lower case"
            yield Problem("name", "is given twice", advice, one.owner.name, one.owner.type.lower())
        seen.add(one.owner)


def _repeated_chassis(objects: Objects) -> Iterator[Problem]:
    """Yield system-ids that two hosts have, as clones of a machine do."""
    objects = list(objects)
    kinds = {one.owner.name: one.owner.type.lower() for one in reversed(objects)}
    for name, other, chassis in clones.twins((one.owner.name, one.chassis) for one in objects):
        yield Problem("chassis", f"is {kinds[name]} {other}'s too", clones.ADVICE, chassis, f"{kinds[name]} {name}")


def node_owner(name: str) -> Owner:
    """Return the owner of a node's rows."""
    return Owner("Node", names.node_name(name))


def gateway_owner(name: str) -> Owner:
    """Return the owner of a gateway's rows."""
    return Owner("Gateway", names.node_name(name))
