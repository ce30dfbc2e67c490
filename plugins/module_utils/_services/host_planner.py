# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the Northbound rows that each host has for services."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from .._common import addressing, names
from .._kube import reasons, reference
from .._kube.reference import OnEvent
from .._kube.told import Told
from .._ovsdb.plan import Change
from .._ovsdb.replica import Replica
from .._ovsdb.rows import CurrentRow, Owner, Row
from .._ovsdb.values import as_set
from .._reconcile.engine import Engine
from . import host, host_rows, host_sets, range_rules
from .address_book import AddressBook
from .host import Host
from .link_local import Carriers
from .node_addresses import NodeAddresses
from .nodes import Node, Place
from .service_cidrs import ServiceCIDR, accepted
from .surroundings import Surroundings, split

if TYPE_CHECKING:
    from .reconcile import ServicePlanner

LOG = logging.getLogger("ovn-k8s-watcher")


class HostPlanner:
    """The planner of what each host has for services.

    :param replica: the Northbound database.
    :param nodes: name in Kubernetes -> node, the informer's store.
    :param book: says which addresses of a node are its own.
    :param on_event: writes an event about a node.
    :param service_subnets: the networks that the API server takes cluster addresses from, by the settings.
    :param cidrs: name -> further such networks, the informer's store.

    :ivar engine: set by whoever makes the engine.
    """

    tables = (
        host_sets.TABLE,
        range_rules.GROUP,
        "Chassis_Template_Var",
        "Logical_Router_Static_Route",
        "Logical_Router_Policy",
        "ACL",
    )
    engine: Engine

    def __init__(
        self,
        replica: Replica,
        nodes: Mapping[str, Node],
        services: ServicePlanner,
        book: AddressBook,
        on_event: OnEvent,
        service_subnets: Sequence[str] = (),
        cidrs: Mapping[str, ServiceCIDR] = MappingProxyType({}),
    ) -> None:
        self._replica = replica
        self._nodes = nodes
        self._services = services
        self._told = Told(on_event, LOG)
        self._configured = tuple(service_subnets)
        self._cidrs = cidrs
        self._told_of_cidrs = Told(on_event, LOG)
        self._surroundings = Surroundings(replica, book, service_subnets)
        self._addresses = NodeAddresses(book, nodes, self._has_route)
        self._carriers = Carriers(lambda name: self._chassis(name) is not None)

    # Events.

    def node_changed(self, key: str, old: Node | None, new: Node | None) -> None:
        """Take in a change of a node."""
        node = new or old
        if node is not None:
            self.engine.mark(host.KIND, node.name)
            self.mark_nodes(self._carriers.replace(node.name, new.link_local if new else ()))
        if node is not None and new is None:
            self._told.forget(node.name)
        others, services = self._addresses.update(key, old, new)
        self.mark_nodes(others)
        self._services.recheck(services)
        if (old.addresses if old else ()) != (new.addresses if new else ()):
            self.engine.mark(host.KIND, host.ALL)

    def row_changed(self, old: CurrentRow | None, new: CurrentRow | None) -> None:
        """Take in a change of a switch or a router: of the object that it belongs to, and belonged to before."""
        owners = {row.owner for row in (old, new) if row is not None and row.owner is not None}
        if any(owner.type == "Cluster" for owner in owners) and (old is None or new is None):
            self.mark_all()
        for owner in owners:
            if owner.type in ("Node", "Gateway"):
                self.mark_nodes({owner.name} | self._carriers.recheck(owner.name))

    def surroundings_changed(self, table: str, old: CurrentRow | None, new: CurrentRow | None) -> None:
        """Take in what a change of a switch or a router says of the overlay's networks, of nodes and of gateways."""
        services, addresses = self._surroundings.owners_changed(table, old, new)
        self._services.recheck(services)
        self.mark_nodes(self._addresses.reporting(addresses))
        if self._surroundings.networks_changed(table, new or old):
            self._networks_changed()
            self._follow_cidrs()
        elif table == "Logical_Router" and len({_physical_ips(row) for row in (old, new)}) > 1:
            self._follow_cidrs()  # none has an address of a gateway's network

    def cidr_changed(self, key: str, _old: ServiceCIDR | None, new: ServiceCIDR | None) -> None:
        """Take in a change of a ServiceCIDR."""
        if new is None:
            self._told_of_cidrs.forget(key)
        self._follow_cidrs()

    def _follow_cidrs(self) -> None:
        """Find the networks of services anew, and say which are refused; only where everything is known."""
        if not self.engine.active:
            return
        found = accepted(self._configured, self._cidrs.values(), self._surroundings.why_not_services)
        for key, one in self._cidrs.items():
            message = found.refusals.get(one.name, "")
            self._told_of_cidrs.tell(key, one.reference, reasons.SERVICE_CIDR_REFUSED, message)
        if self._surroundings.set_service_subnets(found.networks):
            LOG.info("networks of services: %s", ", ".join(found.networks))
            self._networks_changed()

    def _networks_changed(self) -> None:
        """Look at everything again that the overlay's networks decide."""
        for key, node in list(self._nodes.items()):
            self._addresses.update(key, node, node)
        self.mark_all()
        self._services.mark_all()

    def begin(self) -> None:
        """Look at all hosts, now that everything is known."""
        self._follow_cidrs()
        self.mark_all()

    def mark_all(self) -> None:
        """Look at all hosts again, at what they have together first: their rows name it."""
        self.engine.mark(host.KIND, host.ALL)
        in_kubernetes = {node.name for node in self._nodes.values()}
        self.mark_nodes(in_kubernetes | self._replica.owners("Node") | self._replica.owners(host.KIND))

    def group_changed(self, old: CurrentRow | None, new: CurrentRow | None) -> None:
        """Take in a change of a port group: somebody has made it, or has taken ports out of it."""
        if new is None or new.name != names.RANGES_PORT_GROUP:
            return
        if old is None:
            self.mark_all()
            return
        left = set(as_set(old.columns["ports"])) - set(as_set(new.columns["ports"]))
        rows = (self._replica.rows["Logical_Switch_Port"].get(uuid) for uuid in left)
        for row in rows:
            self.port_changed(None, row)

    def port_changed(self, old: CurrentRow | None, new: CurrentRow | None) -> None:
        """Take in a port of a switch: a new one is in no port group."""
        if old is None and new is not None and new.owner is not None:
            if new.owner.type in ("Node", "Gateway"):
                self.mark_nodes([new.owner.name])
            elif new.owner.type == "Cluster":
                self.mark_nodes([host.ALL])

    def mark_places(self, differs: Callable[[Place], bool]) -> None:
        """Look at the hosts at these places again."""
        places = {node.name: node.place for node in self._nodes.values()}
        names_of_hosts = places.keys() | self._replica.owners("Node")
        self.mark_nodes(name for name in names_of_hosts if differs(places.get(name, Place(name))))

    def mark_gateways(self) -> None:
        """Look at the hosts with a gateway again."""
        owners = {row.owner for row in self._replica.rows["Logical_Router"].values()}
        self.mark_nodes(owner.name for owner in owners if owner is not None and owner.type == "Gateway")

    def mark_nodes(self, nodes: Iterable[str | None]) -> None:
        """Look at these hosts again."""
        for name in nodes:
            if name:
                self.engine.mark(host.KIND, name)

    # For the engine.

    @staticmethod
    def owner(name: str) -> Owner:
        """Return the owner of a host's rows."""
        return host.owner(name)

    def desired(self, name: str) -> list[Row]:
        """Return the host's rows; none for a host that has no switch in the overlay."""
        has_cluster_router = self._replica.named("Logical_Router", names.CLUSTER_ROUTER) is not None
        if name == host.ALL:
            return self._shared_rows() if has_cluster_router else []
        switch, chassis = self._replica.named("Logical_Switch", name), self._chassis(name)
        if switch is None or chassis is None:
            return []
        key = self._key(name)
        own = self._addresses.of(key)
        gateway = self._replica.named("Logical_Router", names.gateway_router(name))
        outer = split(gateway.external_id(names.PHYSICAL_IPS_KEY)) if gateway else ()
        one = Host(
            name,
            chassis,
            split(switch.external_id(names.SUBNETS_KEY)),
            own.addresses,
            tuple(cidr.split("/")[0] for cidr in outer),
            gateway is not None,
            self._nodes[key].zone if key in self._nodes else "",
            self._carriers.of(name),
            self._carriers.led_by(name),
        )
        service_subnets = self._surroundings.service_subnets
        return host_rows.rows(
            one, self._services.local(), service_subnets, has_cluster_router, self._has_range_rules(one)
        )

    def _has_range_rules(self, one: Host) -> bool:
        """Return whether the groups exist by which source ranges are enforced, and the host's ports for them."""
        ports = (self._replica.named("Logical_Switch_Port", port) for port in range_rules.host_ports(one))
        return self._replica.named(range_rules.GROUP, names.RANGES_PORT_GROUP) is not None and all(ports)

    def _chassis(self, name: str) -> str | None:
        """Return the chassis of a host; None: it has no switch in the overlay."""
        switch = self._replica.named("Logical_Switch", name)
        return (switch.external_id(names.CHASSIS_KEY) if switch else None) or None

    def _shared_rows(self) -> list[Row]:
        """Return the rows that all hosts have together."""
        join_port = self._replica.named("Logical_Switch_Port", names.join_to_router(names.CLUSTER_ROUTER))
        return [*host_sets.rows(self._addresses.all()), *(range_rules.shared_rows() if join_port is not None else ())]

    def _key(self, name: str) -> str:
        """Return the key of a node, which need not be in lower case."""
        return (
            name if name in self._nodes else next((key for key, one in self._nodes.items() if one.name == name), name)
        )

    def _has_route(self, name: str, ip: str) -> bool:
        """Return whether a node has the route to an address."""
        rows = self._replica.owned(host.owner(name), ("Logical_Router_Static_Route",))
        return any(row.columns["ip_prefix"] == addressing.single(ip) for row in rows)

    def done(self, name: str, changes: Sequence[Change]) -> None:
        """Report what is refused."""
        key = self._key(name)
        node, own = self._nodes.get(key), self._addresses.of(key)
        if node is not None:
            self._told.tell(name, reference.node(node.name), reasons.ADDRESS_REFUSED, own.message())

    def failed(self, name: str, reason: str) -> None:
        """Do nothing: the log has it."""


def _physical_ips(router: CurrentRow | None) -> str:
    """Return a gateway's addresses, as the row of its router tells them; empty where there are none."""
    return (router.external_id(names.PHYSICAL_IPS_KEY) if router else None) or ""
