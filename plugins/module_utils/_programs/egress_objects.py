# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kinds of ``k8s.ovn.org`` that the watcher serves, and multicast: informers, and what hears of their events.

All are optional: an API server without a definition has no objects of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .._common import names
from .._common.retry import Pause
from .._egress_ip import model as egress_ip_model
from .._egress_ip import requests as egress_ip_requests
from .._egress_ip import rows as egress_ip_rows
from .._egress_ip.model import EgressIP
from .._egress_ip.requests import RequestPlanner
from .._kube.client import Client
from .._kube.informer import Informer
from .._kube.reference import OnEvent
from .._kube.statuses import StatusWriter
from .._ovsdb.replica import Replica
from .._ovsdb.rows import CurrentRow
from .._pods.model import Pod
from .._policies import egress_firewalls, egress_qos, external_routes, multicast, pins
from .._policies.cluster_networks import ClusterNetworks
from .._policies.domain_sets import DomainPlanner
from .._policies.egress_firewall_model import EgressFirewall
from .._policies.egress_firewalls import FirewallPlanner
from .._policies.egress_qos import QoSPlanner
from .._policies.egress_qos_model import EgressQoS
from .._policies.external_routes import ExternalRoute
from .._policies.model import Namespace
from .._policies.multicast import MulticastPlanner
from .._policies.pin_planner import PinPlanner
from .._policies.reconcile import PolicyPlanner
from .._reconcile.engine import Engine
from .._services.address_book import AddressBook
from .._services.model import Service
from .._services.nodes import Node

if TYPE_CHECKING:
    from .._reconcile.planning import Planner

KINDS = (pins.KIND, egress_firewalls.KIND, egress_qos.KIND, multicast.KIND, *egress_ip_requests.KINDS)  # owner types
WITH_SETS = (egress_firewalls.KIND,)  # owner types that have address sets of their own
DEFINITION_PAUSE = Pause(5.0, jitter=0.5)  # until it is asked again whether there are objects of a definition


def has_rows(replica: Replica, *kinds: str) -> bool:
    """Return whether objects of these owner types may have rows: some are there, or it is not known yet."""
    return not replica.ready.is_set() or any(replica.owners(kind) for kind in kinds)


class EgressObjects:
    """These kinds.

    :param namespaces: name -> namespace, the informer's store.
    :param nodes: name -> node, the informer's store.
    :param policies: has groups and sets that are used here too, and the annotations of namespaces.
    :param book: says whose an address is.
    :param recheck_services: called with the keys of services that may not have an address any more.
    :param on_state: called when an informer has read its objects, or can't.

    :ivar informers: collection -> informer.
    """

    def __init__(
        self,
        client: Client,
        replica: Replica,
        namespaces: Mapping[str, Namespace],
        nodes: Mapping[str, Node],
        policies: PolicyPlanner,
        domains: DomainPlanner,
        networks: ClusterNetworks,
        on_event: OnEvent,
        statuses: StatusWriter,
        book: AddressBook,
        recheck_services: Callable[[Iterable[str]], object],
        on_state: Callable[[], object],
    ) -> None:
        def informer(
            path: str, decode: Callable[[Mapping[str, Any]], Any], on_change: Callable[..., Any], *kinds: str
        ) -> Any:
            return Informer(
                client,
                path,
                decode,
                on_change,
                on_state=on_state,
                is_optional=True,
                missing_pause=DEFINITION_PAUSE,
                is_used=lambda: has_rows(replica, *kinds),
            )

        routes = informer(external_routes.PATH, ExternalRoute.from_object, self._route_changed, pins.KIND)
        firewalls = informer(
            egress_firewalls.PATH, EgressFirewall.from_object, self._firewall_changed, egress_firewalls.KIND
        )
        qoses = informer(egress_qos.PATH, EgressQoS.from_object, self._qos_changed, egress_qos.KIND)
        egress_ips = informer(egress_ip_model.PATH, EgressIP.from_object, self._egress_ip_changed, egress_ip_rows.KIND)
        self.informers: dict[str, Informer[Any]] = {
            "adminpolicybasedexternalroutes": routes,
            "egressfirewalls": firewalls,
            "egressqoses": qoses,
            "egressips": egress_ips,
        }
        sharing = policies.sharing
        self.pins = PinPlanner(replica, routes.store, namespaces, sharing, on_event, statuses, lambda: routes.is_unread)
        self.firewalls = FirewallPlanner(
            replica,
            firewalls.store,
            sharing,
            domains,
            networks,
            nodes,
            on_event,
            statuses,
            lambda: not firewalls.is_unread,
            policies.logging,
        )
        self.qos = QoSPlanner(replica, qoses.store, sharing, on_event, statuses, lambda: not qoses.is_unread)
        self.multicast = MulticastPlanner(replica, namespaces, sharing)
        self.egress_ips = RequestPlanner(
            replica,
            egress_ips.store,
            nodes,
            book,
            sharing,
            on_event,
            statuses,
            book.networks,
            recheck_services,
            lambda: egress_ips.is_unread,
        )

    @property
    def planners(self) -> dict[str, Planner]:
        """Kind -> planner."""
        return {
            pins.KIND: self.pins,
            egress_firewalls.KIND: self.firewalls,
            egress_qos.KIND: self.qos,
            multicast.KIND: self.multicast,
            **self.egress_ips.planners,
        }

    @property
    def engine(self) -> Engine:
        """The engine, which whoever makes it sets."""
        return self.pins.engine

    @engine.setter
    def engine(self, engine: Engine) -> None:
        self.pins.engine = self.firewalls.engine = self.qos.engine = self.multicast.engine = engine
        self.egress_ips.engine = engine

    def begin_sets(self) -> None:
        """Look at those objects whose rows of before may name groups and sets. Policies begin after it: they remove
        what nobody uses.
        """
        self.pins.begin()
        self.firewalls.begin_sets()
        self.qos.begin_sets()
        self.multicast.begin_sets()
        self.egress_ips.begin_sets()

    def begin(self) -> None:
        """Look at everything else."""
        self.firewalls.begin()
        self.qos.begin()
        self.multicast.begin()
        self.egress_ips.begin()

    # Events.

    def row_changed(self, table: str, old: CurrentRow | None, new: CurrentRow | None) -> None:
        """Take in a change of a row."""
        if table in ("Logical_Switch", "Logical_Router", "Logical_Router_Port"):
            self.pins.row_changed(old, new)
        if table == "Logical_Router":
            self.multicast.router_changed(old, new)
            self.egress_ips.router_changed(old, new)
        if table == "Logical_Router_Policy":
            for row in filter(None, (old, new)):
                self.egress_ips.routes_changed(row)
        if table == "Logical_Switch":
            self.qos.switch_changed(old, new)
            self.multicast.switch_changed(old, new)
            if any(row is not None and row.name == names.JOIN_SWITCH for row in (old, new)):
                self.firewalls.networks_changed()
        if table in ("Logical_Switch", "Logical_Router"):
            self.networks_changed()

    def networks_changed(self) -> None:
        """Take in that the overlay's own networks may be others."""
        self.egress_ips.follow_networks()

    def service_changed(self, old: Service | None, new: Service | None) -> None:
        """Take in a change of a service: addresses may be its, or no more."""
        for one in (old, new):
            self.egress_ips.addresses_changed((*one.cluster_ips, *one.external_ips) if one is not None else ())

    def pod_changed(self, key: str, old: Pod | None, new: Pod | None) -> None:
        """Take in a change of a pod."""
        self.qos.pod_changed(key, old, new)

    def namespace_changed(self, key: str, old: Namespace | None, new: Namespace | None) -> None:
        """Take in a change of a namespace."""
        self.multicast.namespace_changed(key, old, new)
        self.pins.namespace_changed(key, old, new)

    def node_changed(self, key: str, old: Node | None, new: Node | None) -> None:
        """Take in a change of a node."""
        self.firewalls.node_changed(key, old, new)
        self.egress_ips.node_changed(old, new)
        for one in (old, new):
            self.egress_ips.addresses_changed((*one.addresses, *one.routers) if one is not None else ())
        for name in {one.name for one in (old, new) if one is not None}:
            self.pins.node_changed(name, new.labels if new is not None and new.name == name else None)

    # The informers are made before the planners, so they can't have the planners' methods.

    def _route_changed(self, key: str, old: ExternalRoute | None, new: ExternalRoute | None) -> None:
        self.pins.route_changed(key, old, new)

    def _firewall_changed(self, key: str, old: EgressFirewall | None, new: EgressFirewall | None) -> None:
        self.firewalls.firewall_changed(key, old, new)

    def _egress_ip_changed(self, key: str, old: EgressIP | None, new: EgressIP | None) -> None:
        self.egress_ips.object_changed(key, old, new)

    def _qos_changed(self, key: str, old: EgressQoS | None, new: EgressQoS | None) -> None:
        self.qos.object_changed(key, old, new)
