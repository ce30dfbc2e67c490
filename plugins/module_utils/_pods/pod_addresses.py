# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which addresses the pods of the cluster have: from ports, status and annotations when a watcher begins, then from the
allocator.

A pod is served once its node may have given it its addresses. A served pod never gets others.
"""

from __future__ import annotations

import collections
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence

from .._ovsdb.replica import Replica
from .._ovsdb.rows import CurrentRow
from . import beliefs, northbound
from .addresses import Addresses, Networks
from .model import Pod
from .northbound import TABLE, NodeSwitch

LOG = logging.getLogger("ovn-k8s-watcher")


class PodAddresses:
    """The addresses of all pods.

    :param replica: the Northbound database.
    :param pods: key -> pod, the informer's store.

    :ivar table: who has which address.
    """

    def __init__(self, replica: Replica, pods: Mapping[str, Pod]) -> None:
        self.table = Addresses()
        self._replica = replica
        self._pods = pods
        self._served: dict[str, str] = {}  # key of a served pod -> its identity
        self._of_nodes: Networks | None = None  # the subnets of all nodes, when they were last asked for

    def __len__(self) -> int:
        return len(self.table)

    def begin(self, gone: Mapping[str, Pod]) -> None:
        """Learn who has which address, before one is given.

        A port counts first, then what this watcher gave when it acted before, then what kubelets report, then what
        pods' own annotations tell of. Another port with the address of a pod that is served takes nothing from it.

        :param gone: key -> static pod whose copy at the API server is gone, and whose port stays.
        """
        self._of_nodes = None
        before, served = self.table, self._served
        self.table, self._served = Addresses(), {}
        own: list[tuple[Pod, tuple[str, ...]]] = []
        left: list[tuple[str, tuple[str, ...]]] = []
        for row in self._replica.rows[TABLE].values():
            addresses = northbound.addresses_of_port(row)
            key = self.holder(row)
            pod = self._pods.get(key or "") or gone.get(key or "")
            if key is None:
                self.table.set_other(row.uuid, addresses)
            elif pod is not None and self.is_port_of(row, pod):
                own.append((pod, addresses))
            else:
                left.append((key, addresses))
        # Of two ports with one address, the one that its kubelet confirms counts.
        own.sort(key=lambda pair: not set(pair[1]) <= set(pair[0].status_ips))
        for pod, addresses in own:
            if not self._contradicts(pod, addresses) and self.table.reserve(pod.key, addresses):
                self.serve(pod)
        for key, identity in served.items():
            pod = self._pods.get(key) or gone.get(key)
            is_same = pod is not None and pod.identity == identity
            if pod is not None and is_same and not self.table.has(key) and self.table.reserve(key, before.of(key)):
                self.serve(pod)
        self.learn(self._pods.values())
        # Nobody gets an address that a port has which is about to be deleted or changed.
        for key, addresses in left:
            if not self.table.has(key):
                self.table.reserve(key, addresses)

    def learn(self, pods: Iterable[Pod]) -> None:
        """Learn the addresses of pods of which nothing is known: their ports were lost, or never were."""
        self._of_nodes = None
        unknown = [(pod, subnets) for pod, subnets in self._with_subnets(pods) if not self.table.has(pod.key)]
        # A kubelet reports what the pod's annotation said when its node read it, and a user may have forged that. So of
        # two reports of one address that of the older pod counts: most addresses are known only when a pod has them.
        unknown.sort(key=lambda pair: pair[0].created)
        claims: dict[str, tuple[Pod, tuple[str, ...]]] = {}
        for pod, subnets in unknown:
            if self.table.reserve(pod.key, beliefs.of_status(pod, subnets, self._is_of_a_node)):
                self.serve(pod)
            else:
                claims[pod.key] = pod, beliefs.of_annotation(pod, subnets)
        # Two pods whose annotations name one address: either may be forged, so none gets it.
        counts = collections.Counter(ip for _pod, addresses in claims.values() for ip in addresses)
        for pod, addresses in claims.values():
            if all(counts[ip] == 1 for ip in addresses) and self.table.reserve(pod.key, addresses, alone=True):
                self.serve(pod)

    def cidrs(self, pod: Pod, subnets: Sequence[str]) -> tuple[str, ...]:
        """Return a pod's addresses with prefix length: those that it has, when it is served, else one of each subnet.

        :param subnets: of its node.
        :raises Exhausted: there is none.
        """
        if not self.table.has(pod.key):
            self.learn((pod,))
        if self.is_served(pod):
            return self.table.cidrs(pod.key, subnets)
        return self.table.take(pod.key, subnets)

    def is_served(self, pod: Pod) -> bool:
        """Return whether a pod must not get other addresses."""
        return self._served.get(pod.key) == pod.identity and self.table.has(pod.key)

    def serve(self, pod: Pod) -> None:
        """Take in that a pod's node may give it the addresses that it has here."""
        self._served[pod.key] = pod.identity

    def reported(self, pod: Pod) -> None:
        """Take in the addresses that a kubelet reports."""
        if pod.status_ips and set(pod.status_ips) <= set(self.table.of(pod.key)):
            self.serve(pod)

    def forget(self, key: str) -> bool:
        """Free a pod's addresses; return whether it had any."""
        self._served.pop(key, None)
        return self.table.release(key)

    def holder(self, port: CurrentRow) -> str | None:
        """Return the key of the pod that a port is of, also when it has lost its owner keys and has the name and the
        UID of one; None: it is no pod's.
        """
        if port.controller is not None:
            return port.owner.name if port.owner is not None and port.owner.type == northbound.KIND else None
        pod = self._pods.get((port.name or "").replace("_", "/", 1))
        return pod.key if pod is not None and northbound.is_port_of(port, pod) else None

    def is_port_of(self, port: CurrentRow, pod: Pod) -> bool:
        """Return whether a port is this pod's, on its node's switch."""
        switch = self._replica.parent(TABLE, port.uuid)
        return northbound.is_port_of(port, pod) and switch is not None and switch.name == pod.node

    def _contradicts(self, pod: Pod, addresses: Sequence[str]) -> bool:
        """Return whether kubelet and annotation agree that a pod has others than its port: somebody edited the port."""
        told = next(
            (beliefs.of_status(one, subnets, self._is_of_a_node) for one, subnets in self._with_subnets([pod])), ()
        )
        return bool(told) and sorted(told) != sorted(addresses) and sorted(told) == sorted(beliefs.annotated(pod))

    def _with_subnets(self, pods: Iterable[Pod]) -> Iterator[tuple[Pod, tuple[str, ...]]]:
        """Yield the pods whose node has a switch, with its subnets."""
        for pod in pods:
            row = self._replica.named("Logical_Switch", pod.node)
            subnets = NodeSwitch.from_row(row).subnets if row is not None else ()
            if subnets:
                yield pod, subnets

    def _is_of_a_node(self, address: str) -> bool:
        """Return whether an address is in a subnet of any node."""
        if self._of_nodes is None:
            switches = map(NodeSwitch.from_row, self._replica.rows["Logical_Switch"].values())
            self._of_nodes = Networks(subnet for switch in switches for subnet in switch.subnets)
        return self._of_nodes.have(address)
