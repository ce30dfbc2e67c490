# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Multicast of pods, by namespace: with the annotation :data:`.names.MULTICAST_ANNOTATION` its pods send it to each
other, on all nodes; all other multicast of pods is dropped.

Switches learn who listens (IGMP, MLD snooping), ask for it themselves (querier), and the cluster's router passes on
between them (``mcast_relay``, ovn-nb(5)), while one namespace at least has the annotation. IPv6's neighbour discovery
and MLD pass always: ovn-northd lets them through before all ACLs.

What pods send is judged before load balancing, which is a stage by itself. So what network policies say of what pods
send holds for multicast too; only IGMP, by which a pod says that it listens, passes. What pods receive is judged by
network policies first: one that lets the sender in lets its multicast in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from .._common import addressing, names
from .._ovsdb.plan import Change
from .._ovsdb.replica import Replica
from .._ovsdb.rows import CurrentRow, Owner, Row
from .._pods.northbound import NodeSwitch
from .._reconcile.engine import Engine
from . import tiers
from .model import Namespace
from .selectors import EVERYTHING
from .shared import GROUP_TABLE, VERSIONS, PeerPods, PodGroup
from .sharing import Sharing

KIND = "Multicast"
SWITCHES = "Logical_Switch"
NAMESPACE, NODE, CLUSTER = "namespace", "node", "cluster"  # parts of the cluster; the first word of a key
DESTINATIONS = {4: "ip4.mcast", 6: "ip6.dst == ff00::/8"}
ANY = " || ".join(DESTINATIONS.values())
SNOOPING = ("mcast_snoop", "mcast_querier", "mcast_eth_src", "mcast_ip4_src", "mcast_ip6_src")  # of a switch


class MulticastPlanner:
    """The planner of multicast.

    :param namespaces: name -> namespace, the informer's store.
    :param groups: groups and sets of network policies, which it uses too.

    :ivar engine: set by whoever makes the engine.
    """

    tables = ("ACL",)
    engine: Engine

    def __init__(self, replica: Replica, namespaces: Mapping[str, Namespace], groups: Sharing) -> None:
        self._replica = replica
        self._namespaces = namespaces
        self._sharing = groups
        self._enabled: set[str] = set()  # namespaces
        self._shared: set[str] = set()  # namespaces whose groups and sets are used

    def begin_sets(self) -> None:
        """Keep the groups and sets that rows of an earlier run name, until these are as desired."""
        for key in self._replica.owners(KIND):
            part, _slash, name = key.partition("/")
            if part == NAMESPACE:
                self._share(name)

    def begin(self) -> None:
        """Look at everything."""
        for key in {*map(_of_namespace, self._shared), *self._replica.owners(KIND)}:
            self.engine.mark(KIND, key)
        self._mark_network()

    def _mark_network(self) -> None:
        self.engine.mark(KIND, CLUSTER)
        for name in self._replica.owners("Node"):
            self.engine.mark(KIND, f"{NODE}/{name}")

    # Events.

    def namespace_changed(self, name: str, old: Namespace | None, new: Namespace | None) -> None:
        """Take in a change of a namespace."""
        is_enabled = new is not None and new.has_multicast
        if is_enabled == (name in self._enabled):
            return
        had_any = bool(self._enabled)
        if is_enabled:
            self._enabled.add(name)
            self._share(name)
        else:
            self._enabled.discard(name)
            if not self.engine.active:
                self._unshare(name)
        self.engine.mark(KIND, _of_namespace(name))
        if had_any != bool(self._enabled):
            self._mark_network()

    def _share(self, name: str) -> None:
        if name not in self._shared:
            self._shared.add(name)
            for key in _keys(name):
                self._sharing.use(key, KIND)

    def _unshare(self, name: str) -> None:
        if name in self._shared:
            self._shared.discard(name)
            for key in _keys(name):
                self._sharing.release(key, KIND)

    def switch_changed(self, *rows_of_switch: CurrentRow | None) -> None:
        """Take in a change of a switch."""
        for row in rows_of_switch:
            if row is not None and row.owner is not None and row.owner.type == "Node":
                self.engine.mark(KIND, f"{NODE}/{row.name}")

    def router_changed(self, *rows_of_router: CurrentRow | None) -> None:
        """Take in a change of a router."""
        if any(row is not None and row.name == names.CLUSTER_ROUTER for row in rows_of_router):
            self.engine.mark(KIND, CLUSTER)

    # For the engine.

    @staticmethod
    def owner(key: str) -> Owner:
        """Return the owner of a part's rows."""
        return Owner(KIND, key)

    def desired(self, key: str) -> list[Row]:
        """Return the rows of a part."""
        part, _slash, name = key.partition("/")
        if part == CLUSTER:
            return self._of_cluster()
        if part == NODE:
            return self._of_node(name)
        return self._of_enabled(name) if name in self._enabled else []

    def _of_cluster(self) -> list[Row]:
        if self._replica.named("Logical_Router", names.CLUSTER_ROUTER) is None:
            return []
        options = {"mcast_relay": "true" if self._enabled else None}
        return [
            Row(
                "Logical_Router",
                self.owner(CLUSTER),
                "relay",
                names.CLUSTER_ROUTER,
                columns={"options": options},
                kind="shared",
            )
        ]

    def _of_node(self, name: str) -> list[Row]:
        """Return what a node's switch has: snooping, and the ACLs that drop what nobody may send or receive."""
        row = self._replica.named(SWITCHES, name)
        if row is None or row.owner is None or row.owner.type != "Node":
            return []
        switch, owner = NodeSwitch.from_row(row), self.owner(f"{NODE}/{name}")
        router, host = json.dumps(names.switch_to_router(name)), json.dumps(names.management_port(name))
        found = [
            Row(SWITCHES, owner, "snooping", name, columns={"other_config": self._snooping(switch)}, kind="shared")
        ]
        for role, columns in (
            ("passed-on", _sent(tiers.MULTICAST_SENT, "allow", f"inport == {{{router}, {host}}} && ({ANY})")),
            ("unsent", _sent(tiers.MULTICAST_UNSENT, "drop", ANY)),
            ("to-router", _received(tiers.MULTICAST_ALLOW, "allow", f"outport == {router} && ({ANY})")),
            ("unreceived", _received(tiers.MULTICAST_DROP, "drop", ANY)),
        ):
            found.append(Row("ACL", owner, role, parent=name, columns=columns))
        return found

    def _snooping(self, switch: NodeSwitch) -> dict[str, str | None]:
        """Return the settings of a switch. Its querier has the router's addresses: in IPv6 the link-local one, from
        which alone MLD takes queries (RFC 3810, 5.1.14).
        """
        found: dict[str, str | None] = dict.fromkeys(SNOOPING)
        if not self._enabled or not switch.subnets:
            return found
        routers = [addressing.nth(subnet, addressing.ROUTER) for subnet in switch.subnets]
        mac = addressing.mac_of(routers)
        found.update(mcast_snoop="true", mcast_querier="true", mcast_eth_src=mac)
        for address in routers:
            if addressing.family(address) == 4:
                found["mcast_ip4_src"] = address.partition("/")[0]
            else:
                found["mcast_ip6_src"] = _link_local(mac)
        return found

    def _of_enabled(self, namespace: str) -> list[Row]:
        """Return the ACLs by which the pods of a namespace send to each other."""
        group, pods = (self._sharing.get(key) for key in _keys(namespace))
        owner = self.owner(_of_namespace(namespace))
        receives, sends = f"outport == @{group.group}", f"inport == @{group.group}"
        senders = " || ".join(
            f"(ip{version}.src == ${pods.set_name(version)} && {DESTINATIONS[version]})" for version in VERSIONS
        )
        acls = (
            ("sent", _sent(tiers.MULTICAST_SENT, "allow", f"{sends} && ({ANY})")),
            ("received", _received(tiers.MULTICAST_ALLOW, "allow", f"{receives} && ({senders})")),
            ("listens", tiers.columns(tiers.FROM_POD, tiers.FIREWALL, tiers.ALWAYS, "allow", f"{sends} && igmp")),
            ("asked", tiers.columns(tiers.TO_POD, tiers.FIREWALL, tiers.ALWAYS, "allow", f"{receives} && igmp")),
        )
        return [
            Row(
                "ACL",
                owner,
                role,
                parent=group.group,
                parent_table=GROUP_TABLE,
                columns=columns,
                needs=(group.need, pods.need),
            )
            for role, columns in acls
        ]

    def done(self, key: str, changes: Sequence[Change]) -> None:
        """Give up the groups and sets of a namespace that does not have the annotation any more."""
        part, _slash, name = key.partition("/")
        if part == NAMESPACE and name not in self._enabled:
            self._unshare(name)

    def failed(self, key: str, reason: str) -> None:
        """Do nothing: the log has it."""


def _of_namespace(name: str) -> str:
    return f"{NAMESPACE}/{name}"


def _keys(namespace: str) -> tuple[PodGroup, PeerPods]:
    return PodGroup(namespace, EVERYTHING), PeerPods(namespace, EVERYTHING)


def _sent(priority: int, action: str, match: str) -> dict[str, object]:
    return tiers.columns_before(priority, action, match)


def _received(priority: int, action: str, match: str) -> dict[str, object]:
    return tiers.columns(tiers.TO_POD, tiers.NETWORK, priority, action, match)


def _link_local(mac: str) -> str:
    """Return the link-local address of a MAC (RFC 4291, appendix A)."""
    octets = [int(one, 16) for one in mac.split(":")]
    octets[0] ^= 2
    parts = [*octets[:3], 0xFF, 0xFE, *octets[3:]]
    groups = (parts[n] << 8 | parts[n + 1] for n in range(0, 8, 2))
    return addressing.normalized("fe80::" + ":".join(f"{one:x}" for one in groups)) or ""
