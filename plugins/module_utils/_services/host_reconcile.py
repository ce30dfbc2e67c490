# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One host's own part of the services converged: what comes for its addresses, and what outer load balancers ask it."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from .._common import names
from .._common.errors import HostError
from .._kube.informer import Informer
from .._netlink import conntrack
from .._pods import interface as pod_interface
from . import host_rules as node_ports
from . import nftables as service_rules
from . import northbound as policy
from .slices import Slices

LOG = logging.getLogger("ovn-k8s-node")
WINDOW = 0.01  # seconds in which changes gather, at least: as long as the last ones took, so that half of the time is the pods'
LOOK = (
    30.0  # seconds until what nobody tells of is looked at: the rules are there still, each health check has its port
)
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0


class HostServices:
    """Follows services, endpoints and nodes, and keeps the host's rules.

    :param node: the node's name.
    :param inside: the pods' networks.
    :param client: may read services, endpoint slices and nodes.
    :param pods: name -> pod, with ``host_ports`` and ``network()``, of this node.
    :param answer: an async function that makes these health checks be answered: port -> :class:`._services.host_rules.Check`.
    """

    def __init__(self, node, inside, client, pods, answer):
        self.node = names.node_name(node)
        self.services = Informer(client, "/api/v1/services", policy.trim, self._service_changed, labels=policy.LABELS)
        self.nodes = Informer(client, "/api/v1/nodes", policy.trim_node, self._node_changed)
        self.slices = Informer(
            client,
            "/apis/discovery.k8s.io/v1/endpointslices",
            policy.trim_slice,
            self._slice_changed,
            labels=policy.LABELS,
        )
        self._inside = inside
        self._pods = pods
        self._answer = answer
        self._of = Slices(self.slices.store)
        self._wake = asyncio.Event()
        self._mine = ()  # the host's own addresses
        self._gather = 0.0  # until when changes gather
        self._stale = set()  # UDP ports whose clients are still to be led anew
        self._written = self._answered = self._problem = None

    def problem(self):
        """Why the host does not do what services want, in one sentence; None when it does."""
        return self._problem

    async def run(self):
        """For ever."""
        await asyncio.gather(self.services.run(), self.nodes.run(), self.slices.run(), self._keep())

    def _node_changed(self, key, before, after):
        if (after or before).name == self.node:
            self._mine = after.addresses if after else ()
        self._wake.set()

    def _service_changed(self, key, before, after):
        # Which services have this host among their endpoints is found when the rules are made.
        self._wake.set()

    def _slice_changed(self, key, before, after):
        self._of.changed(key, before, after)
        service = self.services.store.get((after or before).service)
        whole = service is None or service.external_local or (service.internal_local and service.external_ips)
        if whole or node_ports.touches(before, self._mine) or node_ports.touches(after, self._mine):
            self._wake.set()

    def pod_changed(self, before, after):
        """The API server told of a pod."""
        if (before and before.host_ports) or (after and after.host_ports):
            self._wake.set()

    def _host_ports(self):
        """(host ports, addresses) of the pods that have both."""
        for pod in self._pods.values():
            if pod.host_ports:
                with contextlib.suppress(pod_interface.AnnotationError):  # who makes its interface says so
                    network = pod.network()
                    if network is not None:
                        yield pod.host_ports, [cidr.split("/")[0] for cidr in network.addresses]

    async def _keep(self):
        for informer in (self.services, self.nodes, self.slices):
            await informer.synced.wait()
        self._wake.set()
        pause = FIRST_PAUSE
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), LOOK)
            try:
                await (self._followed() if self._wake.is_set() else self._look())
                pause, self._problem = FIRST_PAUSE, None
                continue
            except HostError as exc:
                self._problem = str(exc)
                LOG.error("%s; trying again", exc)
            except Exception as exc:  # pods get their interfaces from this program too
                self._problem = f"the rules of services could not be made: {type(exc).__name__}: {exc}"
                LOG.exception("the rules of services could not be made; trying again")
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            self._wake.set()

    async def _followed(self):
        """Do what follows of changes, once they have gathered."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(WINDOW, self._gather - loop.time()))
        self._wake.clear()
        began = loop.time()
        try:
            await self._converge()
        finally:
            self._gather = 2 * loop.time() - began

    async def _look(self):
        """Mend what others have done: a firewall's reload takes all tables away; and a port that was taken may be free now."""
        if not await asyncio.to_thread(service_rules.whole):
            LOG.warning("the rules of services were taken away by somebody else: writing them anew")
            self._written = None
            await self._converge()
        await self._answer(self._answered)

    async def _converge(self):
        concerned = [
            (service, slices)
            for service, slices in ((service, self._of.of(key)) for key, service in self.services.store.items())
            if node_ports.concerns(service) or any(node_ports.touches(one, self._mine) for one in slices)
        ]
        checks = node_ports.checks(self.node, concerned)
        if checks != self._answered:
            await self._answer(checks)
            self._answered = checks
        hosts = {host.name: host.addresses for host in self.nodes.store.values()}
        await asyncio.to_thread(self._write, hosts, concerned, list(self._host_ports()))

    def _write(self, hosts, concerned, pods):
        """Make rules and write them: with many services this takes a while, and pods wait for their interfaces in the loop."""
        rules = node_ports.rules(self.node, names.management_link(self.node), self._inside, hosts, concerned, pods)
        if rules == self._written:
            return
        known = self._written is not None
        before = (
            node_ports.udp(self._written) if known else service_rules.udp()
        )  # an earlier run's, or nobody's: clients may be there already
        service_rules.write(rules)
        self._stale |= node_ports.stale(before, node_ports.udp(rules) if known else service_rules.udp())
        if self._stale:
            conntrack.forget_udp(sorted(self._stale))
            self._stale.clear()
        self._written = rules
        LOG.info(
            "services: %d node ports, %d addresses of services for the host's own connections, %d host ports",
            len(rules.node_ports),
            len(rules.own),
            len(rules.host_ports),
        )
