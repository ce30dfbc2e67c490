# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep one host's own part of services: the rules for its own addresses, and the answers to health checks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from .._common import names
from .._common.errors import HostError
from .._common.retry import Pause
from .._common.tasks import collect
from .._kube.client import Client
from .._kube.informer import Informer
from .._kube.reference import OnEvent
from .._kube.settings import Settings
from .._netlink import conntrack
from .._netlink.listening import LocalHost, read_local_host, read_next_hops
from .._pods.annotation import AnnotationError
from .._pods.model import Pod, PodHostPorts
from . import nftables, service_cidrs
from .address_book import EXTERNAL_ROUTER, SERVICES_USE, AddressBook, Served
from .endpoint_slices import EndpointSlice
from .host_networks import HostNetworks
from .host_notices import HostNotices
from .host_rule_records import HealthCheck, HostRules
from .host_rules import (
    changed_ports,
    health_checks,
    host_rules,
    names_endpoints,
    needs_rules,
    udp_rules,
)
from .model import LABEL_SELECTOR, Service
from .node_addresses import NodeAddresses
from .nodes import Node
from .service_cidrs import ServiceCIDR
from .service_state import ServiceState
from .slice_index import SliceIndex
from .surroundings import set_known_addresses

LOG = logging.getLogger("ovn-k8s-node")
# Seconds in which changes gather, at least. They gather as long as the last ones took, so that half of the time is left
# for pods.
WINDOW = 0.01
# Seconds between two checks of what no event tells: whether the rules still exist, and whether the port of a health
# check is free now.
CHECK_INTERVAL = 30.0
TABLE_INTERVAL = 5.0  # the same, for the table alone: that costs little, and who loads a firewall anew removes it whole
PAUSE = Pause(0.5, longest=30.0)  # after a failure

HealthAnswerer = Callable[[Mapping[int, HealthCheck]], Awaitable[None]]
# Called with whether the rules are now as they should be, and whether the node stays in the cluster.
HealthTeller = Callable[[bool, bool], Awaitable[None]]


class HostServices:
    """Follow services, endpoint slices and nodes, and keep the host's rules.

    :param node: the node's name.
    :param pod_networks: the networks of all pods.
    :param client: may read services, endpoint slices and nodes.
    :param pods: key -> pod, of this node.
    :param answer: makes these health checks be answered: by port.
    :param networks: further networks of the overlay: the services', the join network.
    :param settings: say whose further addresses are; None: they don't.
    :param on_event: writes a Kubernetes event.
    :param tell: called whenever the rules were looked at; None: nobody asks.
    :param routers: IP version -> the router of the node's subnet; of the others it has none.
    :param on_own_node: called with this host's node when it changes; None: there is none.
    :param on_node_object: called with this host's Node object whenever it comes.
    :param on_routers: called with the routers of this host's default routes when they were read.
    """

    def __init__(
        self,
        node: str,
        pod_networks: Iterable[str],
        client: Client,
        pods: Mapping[str, Pod],
        answer: HealthAnswerer,
        networks: Iterable[str] = (),
        settings: Settings | None = None,
        on_event: OnEvent = lambda _about, _reason, _message: None,
        tell: HealthTeller | None = None,
        routers: Mapping[int, str] = MappingProxyType({}),
        on_own_node: Callable[[Node | None], object] = lambda _node: None,
        on_node_object: Callable[[Mapping[str, Any]], object] = lambda _item: None,
        on_routers: Callable[[Iterable[str]], object] = lambda _routers: None,
    ) -> None:
        self.node = names.node_name(node)
        self.services = Informer(
            client, "/api/v1/services", Service.from_object, self._service_changed, labels=LABEL_SELECTOR
        )
        self.nodes = Informer(client, "/api/v1/nodes", self._node_from_object, self._node_changed)
        self._on_node_object = on_node_object
        self._on_routers = on_routers
        self._routers: frozenset[str] | None = None  # None: not read yet
        self.slices = Informer(
            client,
            "/apis/discovery.k8s.io/v1/endpointslices",
            EndpointSlice.from_object,
            self._slice_changed,
            labels=LABEL_SELECTOR,
        )
        self.cidrs = Informer(client, service_cidrs.PATH, ServiceCIDR.from_object, self._cidr_changed, is_optional=True)
        self._pod_networks = tuple(pod_networks)
        self._pods = pods
        self._answer = answer
        self._tell = tell
        self._on_own_node = on_own_node
        self._is_leaving = False
        self._slices = SliceIndex(self.slices.store)
        self._book = AddressBook(self.services.store, settings.external_ip_networks if settings else ())
        # Which of the others is the services' is not known here: a cluster address may be in any of them, and an
        # address outside in none.
        self._known_networks = tuple(networks)
        self._set_networks(self._known_networks)
        if settings:
            set_known_addresses(self._book, settings)
        peers = {ip: owner.name for ip, owner in self._book.known()}
        link = names.management_link(self.node)
        self._networks = HostNetworks(link, self._pod_networks, self._known_networks, routers, peers)
        self._networks_due = False
        self._networks_problem: str | None = None
        self._addresses = NodeAddresses(self._book, self.nodes.store)
        self._notices = HostNotices(on_event, self.node)
        self._local = LocalHost()
        self._wake = asyncio.Event()
        self._own_addresses: Sequence[str] = ()
        self._zone = ""
        self._gather_until = 0.0
        self._stale_ports: set[int] = set()  # UDP ports whose clients conntrack has still to forget
        self._written: HostRules | None = None
        self._answered: Mapping[int, HealthCheck] | None = None
        self._problem: str | None = None

    def problem(self) -> str | None:
        """Return why the host does not serve services as it should, in one sentence; None when it does.

        Once everything has come, an outage of the API server is no problem.
        """
        problems = (one.lasting_problem() for one in self._informers)
        return next(filter(None, problems), self._problem or self._networks_problem)

    @property
    def _informers(self) -> Sequence[Informer[Any]]:
        return self.services, self.nodes, self.slices, self.cidrs

    async def run(self) -> None:
        """Work for ever."""
        await asyncio.gather(*(one.run() for one in self._informers), self._keep())

    # Events.

    def _node_from_object(self, item: Mapping[str, Any]) -> Node:
        node = Node.from_object(item)
        if node.name == self.node:
            self._on_node_object(item)
        return node

    def _node_changed(self, key: str, old: Node | None, new: Node | None) -> None:
        self._addresses.update(key, old, new)
        node = new or old
        if node is not None and node.name == self.node:
            self._own_addresses = new.addresses if new else ()
            self._is_leaving = new is None or new.is_leaving
            self._zone = new.zone if new else ""
            self._on_own_node(new)
        self._wake.set()

    def _service_changed(self, key: str, old: Service | None, new: Service | None) -> None:
        self._book.update(key, old, new)
        if new is None:
            self._notices.forget_service(key)
        # Which services have an endpoint at this host is found when the rules are made.
        self._wake.set()

    def _slice_changed(self, key: str, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        self._slices.update(key, old, new)
        if self._book.slice_changed(key, old, new):
            self._wake.set()
        parts = [part for part in (old, new) if part is not None]
        service = self.services.store.get(parts[-1].service)  # the new one's, where there is one
        at_host = any(part.has_endpoint_at(self._own_addresses) for part in parts)
        if service is None or names_endpoints(service) or at_host:
            self._wake.set()

    def _cidr_changed(self, key: str, _old: ServiceCIDR | None, new: ServiceCIDR | None) -> None:
        if new is None:
            self._notices.forget_cidr(key)
        self.links_changed()

    def links_changed(self) -> None:
        """Look at the routes to networks of services: one of them, or this host's links and addresses, changed."""
        self._networks_due = True
        self._wake.set()

    def pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        """Take in a change of a pod of this node."""
        if new is None and old is not None:
            self._notices.forget_pod(old.key)
        if any(pod.host_ports or pod.unserved for pod in (old, new) if pod is not None):
            self._wake.set()

    # The loop.

    async def _keep(self) -> None:
        for informer in self._informers:
            await informer.synced.wait()
        self.links_changed()
        failures, last_check = 0, asyncio.get_running_loop().time()
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), min(TABLE_INTERVAL, CHECK_INTERVAL))
            try:
                if self._wake.is_set():
                    await self._follow_changes()
                elif asyncio.get_running_loop().time() - last_check >= CHECK_INTERVAL:
                    last_check = asyncio.get_running_loop().time()
                    await self._check()
                elif not await asyncio.to_thread(nftables.exists):
                    await self._write_again()
                if self._tell:
                    await self._tell(True, not self._is_leaving)
                failures, self._problem = 0, None
                continue
            except HostError as exc:
                self._problem = str(exc)
                LOG.error("%s; trying again", exc)
            except Exception as exc:  # this program serves pods too: it must not end
                self._problem = f"the rules of services could not be made: {type(exc).__name__}: {exc}"
                LOG.exception("the rules of services could not be made; trying again")
            if self._tell:
                with contextlib.suppress(HostError):  # then the process has ended, and this program ends too
                    await self._tell(False, not self._is_leaving)
            await asyncio.sleep(PAUSE.seconds(failures))
            failures += 1
            self._wake.set()

    async def _follow_changes(self) -> None:
        """Wait until changes have gathered, then converge."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(WINDOW, self._gather_until - loop.time()))
        self._wake.clear()
        started = loop.time()
        try:
            if self._networks_due:
                await self._follow_networks()
            await self._converge()
        finally:
            self._gather_until = 2 * loop.time() - started

    async def _check(self) -> None:
        """Repair what others have removed (a firewall that reloads removes all tables), leave ports to programs of this
        host that listen on them now, and try the ports of health checks again.
        """
        await self._follow_networks()
        if not await asyncio.to_thread(nftables.has_rules):
            await self._write_again()
        elif self._written is not None and await asyncio.to_thread(read_local_host) != self._local:
            await self._converge()
        await self._answer(self._answered or {})

    async def _follow_networks(self) -> None:
        """Make the routes to networks of services, and say which networks this host refuses."""
        self._networks_due = False
        objects = list(self.cidrs.store.values())
        try:
            found = await asyncio.to_thread(self._networks.converge, objects)
        except HostError as exc:  # what is served at other addresses goes on; the next check tries again
            if str(exc) != self._networks_problem:
                LOG.error("%s; trying again", exc)
            self._networks_problem = str(exc)
            return
        self._networks_problem = None
        self._notices.tell_of_cidrs(objects, found.refusals)
        if self._set_networks(found.networks):
            for key, node in list(self.nodes.store.items()):
                self._addresses.update(key, node, node)

    def _set_networks(self, networks: Iterable[str]) -> bool:
        """Replace the networks that are not the pods'; return whether that is a change."""
        return self._book.set_networks(
            [
                *((network, "the pods' network") for network in self._pod_networks),
                *((network, SERVICES_USE) for network in networks),
            ]
        )

    async def _write_again(self) -> None:
        """Write the rules that another program has removed."""
        LOG.warning("another program has removed the rules of services: writing them again")
        self._written = None
        await self._converge()

    async def _converge(self) -> None:
        # Once at least, so that others know them before a service comes that names one.
        if self._routers is None or any(service.external_ips for service in self.services.store.values()):
            self._routers = await asyncio.to_thread(read_next_hops)
            self._on_routers(self._routers)
        routers = self._routers - self._addresses.all()
        self._book.set_owner("routes", EXTERNAL_ROUTER, routers)
        needed = await collect(self._states())
        states = [state for _served, state in needed]
        checks = health_checks(self.node, states)
        if checks != self._answered:
            await self._answer(checks)
            self._answered = checks
        nodes = list(self.nodes.store.items())
        hosts = dict(await collect((node.name, self._addresses.of(key).addresses) for key, node in nodes))
        await asyncio.to_thread(self._write, hosts, states, list(self._host_ports()))
        kept = self._written.kept_ports if self._written else ()
        self._notices.tell_of_pods(list(self._pods.values()), kept)
        self._notices.tell_of_services(self.services.store, [served for served, _state in needed], self._local, routers)

    def _states(self) -> Iterator[tuple[Served, ServiceState]]:
        """Yield the services that this host needs rules for, as they are served."""
        for key, service in list(self.services.store.items()):
            parts = self._slices.of(key)
            if needs_rules(service) or any(part.has_endpoint_at(self._own_addresses) for part in parts):
                served = self._book.served(service)
                yield served, ServiceState(served.service, parts)

    def _host_ports(self) -> Iterator[PodHostPorts]:
        """Yield the host ports of the pods that have a network."""
        for pod in self._pods.values():
            if pod.host_ports:
                with contextlib.suppress(AnnotationError):  # ADD reports it
                    network = pod.network()
                    if network is not None:
                        yield PodHostPorts(pod.host_ports, tuple(cidr.split("/")[0] for cidr in network.addresses))

    def _write(
        self, hosts: Mapping[str, Sequence[str]], states: Sequence[ServiceState], pods: Sequence[PodHostPorts]
    ) -> None:
        """Make the rules and write them.

        With many services this takes long, so it runs in a thread: pods wait in the loop.
        """
        self._local = read_local_host()
        link = names.management_link(self.node)
        rules = host_rules(self.node, link, self._pod_networks, hosts, states, pods, self._local, self._zone)
        if rules == self._written:
            return
        if self._written is None:
            # The table may be of an earlier run, and clients may have come since: compare what nft(8) lists.
            listed = nftables.current_udp_rules()
            nftables.write(rules)
            self._stale_ports |= changed_ports(listed, nftables.current_udp_rules())
        else:
            nftables.write(rules)
            self._stale_ports |= changed_ports(udp_rules(self._written), udp_rules(rules))
        if self._stale_ports:
            conntrack.forget_udp(sorted(self._stale_ports))
            self._stale_ports.clear()
        for port in set(rules.kept_ports) - set(self._written.kept_ports if self._written else ()):
            LOG.warning(
                "host port %d/%s of a pod is not served at %s: a program of this host listens on it",
                port.port,
                port.protocol,
                port.address or "any address",
            )
        self._written = rules
        LOG.info(
            "services: %d node ports, %d ports of other addresses, %d host ports",
            len(rules.node_ports),
            len(rules.service_addresses) + len(rules.outside_addresses),
            len(rules.host_ports),
        )
