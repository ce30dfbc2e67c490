# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The whole of what one call wants of the Northbound database: a cluster, nodes, gateways, or their absence.

Pure: what must be known of the database is asked for as queries and comes back as rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .._common import addressing, names
from .._common.address_rules import FIRST_GATEWAY, gateway_offsets
from .._common.errors import SettingsError
from .._ovsdb.rows import Owner, Query, by_name, includes, is_uuid
from .._ovsdb.values import as_set
from .._services import hosts as host_policy
from . import cluster as cluster_policy
from . import gateway as gateway_policy
from . import node as node_policy

# What is read of our rows: all columns that policy holds.
COLUMNS = {
    "Logical_Router": ("name", "options", "load_balancer_group", "external_ids"),
    "Logical_Router_Policy": ("priority", "match", "action", "nexthops", "external_ids"),
    "Logical_Router_Port": ("name", "networks", "mac", "options", "external_ids"),
    "Logical_Router_Static_Route": ("ip_prefix", "nexthop", "output_port", "external_ids"),
    "Logical_Switch": ("name", "other_config", "load_balancer_group", "external_ids"),
    "Logical_Switch_Port": ("name", "type", "addresses", "options", "external_ids"),
    "NAT": ("type", "logical_ip", "external_ip", "external_port_range", "external_ids"),
}
WATCHER_COLUMNS = {  # of further tables in which the watcher has rows
    "Load_Balancer": ("name", "external_ids"),
    "Chassis_Template_Var": ("chassis", "external_ids"),
    "ACL": ("direction", "external_ids"),
}
UNOWNED_COLUMNS = {"Load_Balancer_Group": ("name",)}  # of tables without external_ids
ROLES = {"Cluster": cluster_policy.ROLES, "Node": node_policy.ROLES, "Gateway": gateway_policy.ROLES}
OF_WATCHER = {"Host": host_policy.ROLES}  # they go with the node, also when no watcher runs to see that
HOME = {"Node": "Logical_Switch", "Gateway": "Logical_Router"}  # the table whose row names an owner's chassis
FEW = 8  # owners up to which each is asked for by itself; more are cheaper in one sweep


@dataclass(frozen=True)
class Overlay:
    """Settings of one call.

    :ivar cluster: None when the call is not about the cluster.
    :ivar absent: owners that are to have no rows.
    :ivar everything: nothing of ours is to be left.
    :ivar known: names of nodes that exist beside those of this call, and so can't be older names of theirs.
    :ivar by_uuid: find rows by the UUID of their identity only.
    """

    cluster: cluster_policy.Cluster | None = None
    nodes: tuple = ()
    gateways: tuple = ()
    absent: tuple = ()
    everything: bool = False
    known: frozenset = frozenset()
    by_uuid: bool = False

    @property
    def fast_path(self):
        """Return the same call, with rows that are found by their UUID only; None unless it is about one object.

        Rows that are to be removed, and rows of many objects, are searched: some may have another UUID than that of their identity.
        """
        return None if self.everything or self.absent or len(self.owners()) != 1 else replace(self, by_uuid=True)

    @staticmethod
    def columns(table):
        """What is read of a row that is looked up by its name."""
        return COLUMNS.get(table) or UNOWNED_COLUMNS[table]

    def check(self):
        """Refuse settings that can't work, before anything is read; :raises SettingsError: in one sentence."""
        if self.cluster:
            cluster_policy.check(self.cluster)
        for node in self.nodes:
            node_policy.check(node)
        for gateway in self.gateways:
            gateway_policy.check(gateway)
        for policy, objects in ((node_policy, self.nodes), (gateway_policy, self.gateways)):
            seen = set()
            for one in objects:
                if one.owner.name in seen:
                    raise SettingsError(
                        f"{one.owner.type.lower()} {one.owner.name} is given twice: names are compared in lower case"
                    )
                seen.add(one.owner.name)
            policy.check_apart(objects, {})
            _check_chassis(objects)

    def owners(self):
        """Owners whose rows this call converges."""
        cluster = [cluster_policy.OWNER] if self.cluster else []
        hosts = [Owner("Host", one.name) for one in self.absent if one.type == "Node"]
        return cluster + [one.owner for one in self.nodes + self.gateways] + list(self.absent) + hosts

    def owned_queries(self, owners=None):
        """Queries for every row of the owners, and for rows that carry their chassis under an older name."""
        owners = self.owners() if owners is None else owners
        if self.by_uuid:
            return [_by_uuid(table, owner, role) for owner in owners for table, role in ROLES[owner.type]]
        if self.everything:
            return [
                _ours(table, {names.OWNER_CONTROLLER: names.CONTROLLER}) for table in {**COLUMNS, **WATCHER_COLUMNS}
            ]
        if len(owners) > FEW:  # pods' and services' rows, which are many, stay out of it
            kinds = {**ROLES, **(OF_WATCHER if any(owner.type in OF_WATCHER for owner in owners) else {})}
            return [
                _ours(table, {names.OWNER_CONTROLLER: names.CONTROLLER, names.OWNER_TYPE: kind})
                for kind, roles in kinds.items()
                for table in dict(roles)
            ]
        queries = [
            _ours(table, owner.keys()) for owner in owners for table in dict({**ROLES, **OF_WATCHER}[owner.type])
        ]
        for one in self.nodes + self.gateways:
            if one.chassis:
                keys = dict(one.owner.keys(), **{names.CHASSIS_KEY: one.chassis})
                del keys[names.OWNER_NAME]
                queries.append(_ours(HOME[one.owner.type], keys))
        return queries

    def renamed_owners(self, current):
        """Return the owners that have rows with the same chassis under an old name, with their new names."""
        chassis = {(one.owner.type, one.chassis): one.owner.name for one in self.nodes + self.gateways if one.chassis}
        here = set(self.owners())
        out = {}
        for row in current:
            kind, name = row.external_id(names.OWNER_TYPE), row.external_id(names.OWNER_NAME)
            now = chassis.get((kind, row.external_id(names.CHASSIS_KEY)))
            if now and row.table == HOME[kind] and Owner(kind, name) not in here:
                if name in self.known:
                    raise SettingsError(
                        f"node {now} has the system-id {row.external_id(names.CHASSIS_KEY)} of node {name}: give the clone its own "
                        "(remove /etc/openvswitch/system-id.conf there, and restart Open vSwitch)"
                    )
                out[Owner(kind, name)] = now
        return out

    def owned_rows(self, current, renamed):
        """Return the rows of this call's owners: a query for a whole table finds others too."""
        if self.everything:
            return list(current)
        owners = set(self.owners()) | set(renamed)
        unsaid = {one.owner.name for one in self.gateways if one.pinned is None}
        return [
            row
            for row in current
            if row.owner in owners
            and not (
                (row.table, row.external_id(names.OWNER_TYPE)) == ("Logical_Router_Policy", "Gateway")
                and row.external_id(names.OWNER_NAME) in unsaid
            )
        ]

    def reads(self, current, renamed):
        """Return what else the rows depend on: name -> query. An object that is as desired depends on no other."""
        homes = self._homes(current, renamed)
        ask = {}
        if self.gateways and not self.cluster:
            ask["joins"] = (
                _by_uuid("Logical_Router_Port", cluster_policy.OWNER, "router-to-join")
                if self.by_uuid
                else by_name("Logical_Router_Port", names.router_to_join(names.CLUSTER_ROUTER), ("networks",))
            )
        if self._joins_move(current) or any(self._offset(current, renamed, one) is None for one in self.gateways):
            ask["taken"] = Query(
                "Logical_Router_Port",
                (includes("external_ids", {names.JOIN_MARK: "yes"}),),
                ("networks", "external_ids"),
            )
        for one in self._shared_elsewhere():
            ask["home " + one.owner.name] = Query(
                "Logical_Switch", (("name", "==", one.owner.name),), ("external_ids",)
            )
        if any(_held(homes, one, names.SUBNETS_KEY) != ",".join(one.subnets) for one in self.nodes):
            ask["subnets"] = _others("Node")
        if any(_held(homes, one, names.PHYSICAL_IPS_KEY) != ",".join(one.physical_ips) for one in self.gateways):
            ask["physical"] = _others("Gateway")
        return ask

    def rows(self, current, renamed, reads):
        """Return the desired rows.

        :param reads: name -> rows that the query of :meth:`reads` found.

        :raises SettingsError: when a subnet or an address is somebody else's.
        """
        moving = {one.owner for one in self.nodes + self.gateways} | set(renamed) | set(self.absent)
        for policy, question, key, objects in (
            (node_policy, "subnets", names.SUBNETS_KEY, self.nodes),
            (gateway_policy, "physical", names.PHYSICAL_IPS_KEY, self.gateways),
        ):
            others = {
                row.external_id(names.OWNER_NAME): tuple((row.external_id(key) or "").split(","))
                for row in reads.get(question, ())
                if row.external_id(key) and row.owner not in moving
            }
            policy.check_apart(objects, others)
        out = cluster_policy.rows(self.cluster) if self.cluster else []
        for node in self.nodes:
            out += node_policy.rows(node)
        joins = self._joins(reads)
        offsets = self._offsets(current, renamed, reads, joins)
        left = {
            row.external_id(names.OWNER_NAME)
            for row in reads.get("taken", ())
            if row.external_id(names.OWNER_TYPE) == "Gateway"
        }
        left -= {name for kind, name in moving if kind == "Gateway"}
        if left and self._joins_move(current):
            raise SettingsError(
                "join_subnet {} is another one than before, and gateway {} would stay behind: name all gateways in the call".format(
                    ", ".join(self.cluster.joins()), sorted(left)[0]
                )
            )
        homes = self._homes(current, renamed)
        for one in self.gateways:
            down = gateway_policy.marked(_held(homes, one, names.EGRESS_KEY))
            out += gateway_policy.rows(
                self._completed(one, current, renamed),
                joins,
                offsets[one.owner.name],
                down,
                self._host_addresses(one, reads),
            )
        return out + (cluster_policy.gone() if self.everything else [])

    def _shared_elsewhere(self):
        """Gateways that share their host's NIC, of hosts that the call does not name as nodes."""
        nodes = {node.owner.name for node in self.nodes}
        return [one for one in self.gateways if one.shared and one.owner.name not in nodes]

    def _host_addresses(self, gateway, reads):
        """The own addresses, in the overlay, of the host that a gateway shares its NIC with."""
        subnets = [subnet for node in self.nodes if node.owner.name == gateway.owner.name for subnet in node.subnets]
        for row in reads.get("home " + gateway.owner.name, ()):
            subnets += [subnet for subnet in (row.external_id(names.SUBNETS_KEY) or "").split(",") if subnet]
        return tuple(addressing.nth(subnet, addressing.HOST, prefix=False) for subnet in subnets)

    def _joins(self, reads):
        """The join subnets: the cluster's settings where the call has them, else what its router has."""
        if self.cluster:
            return self.cluster.joins()
        found = reads.get("joins", ())
        if self.gateways and not found:
            raise SettingsError(
                "the cluster router does not exist in the Northbound database: make the cluster first (ovn_master_init)"
            )
        nets = [str(addressing.interface(cidr).network) for row in found for cidr in as_set(row.columns["networks"])]
        return tuple(sorted(nets, key=addressing.family))

    def _joins_move(self, current):
        """Whether the cluster router leaves the join subnets in which it is."""
        ports = (
            [row for row in current if row.role == "router-to-join" and row.external_id(names.OWNER_TYPE) == "Cluster"]
            if self.cluster
            else []
        )
        wanted = [addressing.nth(join, addressing.ROUTER) for join in self.cluster.joins()] if ports else []
        return bool(ports) and sorted(as_set(ports[0].columns["networks"])) != sorted(wanted)

    def _completed(self, gateway, current, renamed):
        """The gateway with a chassis and a MAC: what isn't known of its host now stays as the database has it."""
        held = _held(self._homes(current, renamed), gateway, names.CHASSIS_KEY)
        macs = [
            row.columns["mac"]
            for row in current
            if row.role == "router-to-external"
            and renamed.get(("Gateway", row.external_id(names.OWNER_NAME)), row.external_id(names.OWNER_NAME))
            == gateway.owner.name
        ]
        return replace(
            gateway,
            chassis=gateway.chassis or held or gateway.owner.name,
            mac=gateway.mac or next(iter(macs), None) or addressing.mac_of(gateway.physical_ips),
        )

    def _offset(self, current, renamed, gateway):
        """The place in the join subnets that the gateway already has, None for a new one."""
        for row in current:
            if (row.table, row.role) == ("Logical_Router_Port", "router-to-join") and row.external_id(
                names.OWNER_TYPE
            ) == "Gateway":
                name = row.external_id(names.OWNER_NAME)
                cidrs = as_set(row.columns["networks"])
                if renamed.get(("Gateway", name), name) == gateway.owner.name and cidrs:
                    return addressing.offset_in(str(addressing.interface(cidrs[0]).network), cidrs[0])
        return None

    def _offsets(self, current, renamed, reads, joins):
        """Gateway -> its place in the join subnets: kept, else the lowest that is free."""
        out = {one.owner.name: self._offset(current, renamed, one) for one in self.gateways}
        used = {offset for offset in out.values() if offset}
        for row in reads.get("taken", ()):
            used |= {
                addressing.offset_in(str(addressing.interface(cidr).network), cidr)
                for cidr in as_set(row.columns["networks"])
            }
        candidate = FIRST_GATEWAY
        for name, offset in out.items():
            if offset is None:
                while candidate in used:
                    candidate += 1
                if any(candidate >= gateway_offsets(join).stop for join in joins):
                    raise SettingsError(
                        "join_subnet {} has no address left for gateway {}: make it larger".format(
                            ", ".join(joins), name
                        )
                    )
                used.add(candidate)
                out[name] = candidate
        return out

    def _homes(self, current, renamed):
        """(owner type, name of today) -> the row that carries the owner's facts."""
        out = {}
        for row in current:
            kind, name = row.external_id(names.OWNER_TYPE), row.external_id(names.OWNER_NAME)
            if row.table == HOME.get(kind) and row.role in ("switch", "router"):
                out.setdefault((kind, renamed.get((kind, name), name)), row)
        return out


def _check_chassis(objects):
    """Refuse hosts that share a system-id, as clones of one machine do; :raises SettingsError: in one sentence."""
    seen = {}
    for one in objects:
        other = seen.setdefault(one.chassis, one.owner.name) if one.chassis else one.owner.name
        if other != one.owner.name:
            raise SettingsError(
                f"chassis {one.chassis} is both {one.owner.type.lower()} {other} and {one.owner.name}: "
                "give each host a system-id of its own"
            )


def _held(homes, one, key):
    row = homes.get((one.owner.type, one.owner.name))
    return row.external_id(key) if row else None


def _ours(table, keys):
    return Query(table, (includes("external_ids", keys),), COLUMNS.get(table) or WATCHER_COLUMNS[table])


def _by_uuid(table, owner, role):
    return Query(table, (is_uuid(owner.row_uuid(role)), includes("external_ids", owner.keys(role))), COLUMNS[table])


def _others(kind):
    owner = {names.OWNER_CONTROLLER: names.CONTROLLER, names.OWNER_TYPE: kind}
    return Query(HOME[kind], (includes("external_ids", owner),), ("external_ids",))


def node_owner(name):
    """The owner of a node's rows, by the node's name."""
    return Owner("Node", names.node_name(name))


def gateway_owner(name):
    """The owner of a gateway's rows, by its node's name."""
    return Owner("Gateway", names.node_name(name))
