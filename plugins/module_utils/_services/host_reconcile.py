# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep one host's own part of services: the rules for its own addresses, and the answers to health checks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

from .._common import names
from .._common.errors import HostError
from .._common.retry import Pause
from .._kube.client import Client
from .._kube.informer import Informer
from .._netlink import conntrack
from .._pods.annotation import AnnotationError
from .._pods.model import Pod, PodHostPorts
from . import nftables
from .host_rules import (
    HealthCheck,
    HostRules,
    changed_ports,
    health_checks,
    host_rules,
    needs_rules,
    udp_rules,
)
from .model import LABEL_SELECTOR, EndpointSlice, Node, Service, ServiceState
from .slice_index import SliceIndex

LOG = logging.getLogger("ovn-k8s-node")
# Seconds in which changes gather, at least. They gather as long as the last ones took, so that half of the time is left
# for pods.
WINDOW = 0.01
# Seconds between two checks of what no event tells: whether the rules still exist, and whether the port of a health
# check is free now.
CHECK_INTERVAL = 30.0
PAUSE = Pause(0.5, longest=30.0)  # after a failure

HealthAnswerer = Callable[[Mapping[int, HealthCheck]], Awaitable[None]]


class HostServices:
    """Follow services, endpoint slices and nodes, and keep the host's rules.

    :param node: the node's name.
    :param pod_networks: the networks of all pods.
    :param client: may read services, endpoint slices and nodes.
    :param pods: key -> pod, of this node.
    :param answer: makes these health checks be answered: by port.
    """

    def __init__(
        self,
        node: str,
        pod_networks: Iterable[str],
        client: Client,
        pods: Mapping[str, Pod],
        answer: HealthAnswerer,
    ) -> None:
        self.node = names.node_name(node)
        self.services = Informer(
            client, "/api/v1/services", Service.from_object, self._service_changed, labels=LABEL_SELECTOR
        )
        self.nodes = Informer(client, "/api/v1/nodes", Node.from_object, self._node_changed)
        self.slices = Informer(
            client,
            "/apis/discovery.k8s.io/v1/endpointslices",
            EndpointSlice.from_object,
            self._slice_changed,
            labels=LABEL_SELECTOR,
        )
        self._pod_networks = tuple(pod_networks)
        self._pods = pods
        self._answer = answer
        self._slices = SliceIndex(self.slices.store)
        self._wake = asyncio.Event()
        self._own_addresses: Sequence[str] = ()
        self._gather_until = 0.0
        self._stale_ports: set[int] = set()  # UDP ports whose clients conntrack has still to forget
        self._written: HostRules | None = None
        self._answered: Mapping[int, HealthCheck] | None = None
        self._problem: str | None = None

    def problem(self) -> str | None:
        """Return why the host does not serve services as it should, in one sentence; None when it does."""
        return self._problem

    async def run(self) -> None:
        """Work for ever."""
        await asyncio.gather(self.services.run(), self.nodes.run(), self.slices.run(), self._keep())

    # Events.

    def _node_changed(self, _key: str, old: Node | None, new: Node | None) -> None:
        node = new or old
        if node is not None and node.name == self.node:
            self._own_addresses = new.addresses if new else ()
        self._wake.set()

    def _service_changed(self, _key: str, _old: Service | None, _new: Service | None) -> None:
        # Which services have an endpoint at this host is found when the rules are made.
        self._wake.set()

    def _slice_changed(self, key: str, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        self._slices.update(key, old, new)
        parts = [part for part in (old, new) if part is not None]
        service = self.services.store.get(parts[-1].service)  # the new one's, where there is one
        names_endpoints = (
            service is None or service.external_local or (service.internal_local and bool(service.external_ips))
        )
        if names_endpoints or any(part.has_endpoint_at(self._own_addresses) for part in parts):
            self._wake.set()

    def pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        """Take in a change of a pod of this node."""
        if (old and old.host_ports) or (new and new.host_ports):
            self._wake.set()

    # The loop.

    async def _keep(self) -> None:
        for informer in (self.services, self.nodes, self.slices):
            await informer.synced.wait()
        self._wake.set()
        failures = 0
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), CHECK_INTERVAL)
            try:
                await (self._follow_changes() if self._wake.is_set() else self._check())
                failures, self._problem = 0, None
                continue
            except HostError as exc:
                self._problem = str(exc)
                LOG.error("%s; trying again", exc)
            except Exception as exc:  # this program serves pods too: it must not end
                self._problem = f"the rules of services could not be made: {type(exc).__name__}: {exc}"
                LOG.exception("the rules of services could not be made; trying again")
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
            await self._converge()
        finally:
            self._gather_until = 2 * loop.time() - started

    async def _check(self) -> None:
        """Repair what others have removed (a firewall that reloads removes all tables), and try the ports of health
        checks again.
        """
        if not await asyncio.to_thread(nftables.has_rules):
            LOG.warning("another program has removed the rules of services: writing them again")
            self._written = None
            await self._converge()
        await self._answer(self._answered or {})

    async def _converge(self) -> None:
        states = list(self._states())
        checks = health_checks(self.node, states)
        if checks != self._answered:
            await self._answer(checks)
            self._answered = checks
        hosts = {node.name: node.addresses for node in self.nodes.store.values()}
        await asyncio.to_thread(self._write, hosts, states, list(self._host_ports()))

    def _states(self) -> Iterator[ServiceState]:
        """Yield the services that this host needs rules for."""
        for key, service in self.services.store.items():
            state = self._slices.state(key, service)
            if needs_rules(service) or any(part.has_endpoint_at(self._own_addresses) for part in state.slices):
                yield state

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
        rules = host_rules(self.node, names.management_link(self.node), self._pod_networks, hosts, states, pods)
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
        self._written = rules
        LOG.info(
            "services: %d node ports, %d addresses of services for the host's own connections, %d host ports",
            len(rules.node_ports),
            len(rules.service_addresses),
            len(rules.host_ports),
        )
