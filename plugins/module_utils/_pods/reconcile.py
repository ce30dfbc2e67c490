# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the pods' logical ports: the port in the Northbound database comes first, then the annotation that tells the
node of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, MutableMapping, Sequence

from .._kube import reasons
from .._kube.reference import OnEvent
from .._ovsdb.plan import Change
from .._ovsdb.replica import Replica
from .._ovsdb.rows import CurrentRow, Owner, Row
from .._ovsdb.values import as_set
from .._reconcile.engine import Engine
from .._reconcile.planning import NotReady
from . import annotation, northbound
from .addresses import Exhausted
from .annotation import PodNetwork
from .annotator import Annotator, PatchClient
from .model import Pod
from .northbound import TABLE, NodeSwitch
from .notices import Notices
from .pod_addresses import PodAddresses
from .static_pods import GoneStaticPods

# Called with what was measured, and its seconds.
Observer = Callable[[str, float], object]


class PodPlanner:
    """The planner of pods.

    :param replica: the Northbound database.
    :param pods: key -> pod, the informer's store.
    :param on_event: writes a Kubernetes event.
    :param observe: gets "lsp" and "annotation": seconds from the first sight of a pod to its port, and to its
        annotation.

    :ivar addresses: the pods' addresses.
    :ivar engine: set by whoever makes the engine.
    """

    tables = (TABLE,)
    engine: Engine

    def __init__(
        self,
        replica: Replica,
        pods: MutableMapping[str, Pod],
        client: PatchClient,
        on_event: OnEvent,
        observe: Observer,
    ) -> None:
        self.addresses = PodAddresses(replica, pods)
        self.annotator = Annotator(client, pods, self._annotated, self._plan_again, self.failed)
        self._replica = replica
        self._pods = pods
        self._on_event = on_event
        self._observe = observe
        self._notices = Notices(on_event)
        self._gone = GoneStaticPods()
        self._of_node: dict[str, set[str]] = {}  # node -> keys of its pods
        self._without_address: dict[str, set[str]] = {}  # node -> keys of pods that its subnet has no address for
        self._first_seen: dict[str, float] = {}  # key -> time at which the pod was first seen, until it is annotated

    # Events.

    def pod_changed(self, key: str, old: Pod | None, new: Pod | None) -> None:
        """Take in a change of a pod."""
        if old is not None and (new is None or old.node != new.node):
            for index in (self._of_node, self._without_address):
                keys = index.get(old.node, set())
                keys.discard(key)
                if not keys:
                    index.pop(old.node, None)
        if new is not None:
            self._gone.pop(key)
            self._of_node.setdefault(new.node, set()).add(key)
            if old is None or old.uid != new.uid:
                self._first_seen[key] = time.monotonic()
        else:
            self._first_seen.pop(key, None)
            self._notices.forget(key)
            self.annotator.forget(key)
            if old is not None and old.static_uid is not None:
                self._mark_all(self._gone.add(old, self._is_up))
        if old is not None and new is not None and self._is_known(key, old, new):
            self.addresses.reported(new)
        else:
            self._mark(key)

    def _is_known(self, key: str, old: Pod, new: Pod) -> bool:
        """Return whether nothing has changed but what the kubelet reports, and what this watcher writes."""
        texts = new.annotations if self.annotator.is_echo(key, new.annotations) else old.annotations
        return old._replace(status_ips=new.status_ips, annotations=texts) == new

    def port_changed(self, old: CurrentRow | None, new: CurrentRow | None) -> None:
        """Take in a change of a switch port."""
        if old is not None:
            self.addresses.table.set_other(old.uuid, ())
        if new is not None and self.addresses.holder(new) is None:
            # Pods get no address that a port has that is not a pod's.
            self.addresses.table.set_other(new.uuid, northbound.addresses_of_port(new))
            self._mark_all(self.addresses.table.pods_with_addresses_of(new.uuid))

    def is_only_up(self, old: CurrentRow | None, new: CurrentRow | None) -> bool:
        """Return whether a port was only bound or released by its host, which counts for a static pod that is gone."""
        if old is None or new is None or old.columns.get("up") == new.columns.get("up"):
            return False
        return (self.addresses.holder(new) or "") not in self._gone and all(
            old.columns[column] == value for column, value in new.columns.items() if column != "up"
        )

    def _is_up(self, key: str) -> bool:
        """Return whether a host has the port of a pod."""
        return any(True in as_set(row.columns["up"]) for row in self._replica.owned(self.owner(key), self.tables))

    def _has_port(self, key: str) -> bool:
        return bool(self._replica.owned(self.owner(key), self.tables))

    def switch_changed(self, name: str) -> None:
        """Take in a change of a node's switch."""
        keys = self._of_node.get(name, ())
        self.addresses.learn([self._pods[key] for key in keys if key in self._pods])
        self._mark_all(keys)

    def begin(self) -> None:
        """Learn who has which address, and look at all pods and ports."""
        self.annotator.failing.clear()
        for row in self._replica.rows[TABLE].values():
            switch = self._replica.parent(TABLE, row.uuid)
            pod = northbound.static_pod(row, switch.name or "") if switch is not None else None
            if pod is not None and pod.key not in self._pods:
                self._gone.add(pod, self._is_up)
        self.addresses.begin(self._gone.pods())
        self._mark_all({*self._pods, *self._gone.pods(), *self._replica.owners(northbound.KIND)})

    def _mark(self, key: str) -> None:
        self.engine.mark(northbound.KIND, key)

    def _mark_all(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._mark(key)

    def _plan_again(self, key: str, seconds: float) -> None:
        self.engine.mark_later(northbound.KIND, key, seconds)

    # For the engine.

    @staticmethod
    def owner(key: str) -> Owner:
        """Return the owner of a pod's rows."""
        return northbound.owner(key)

    def desired(self, key: str) -> list[Row]:
        """Return the pod's rows; none for a pod that gets no port.

        :raises NotReady: it can't have its port now.
        """
        pod = self._pods.get(key) or self._gone.with_port(key, self._is_up(key))
        if pod is None:
            return []
        switch = self._switch(pod)
        return northbound.rows(pod, switch, self._network(pod, switch))

    def _network(self, pod: Pod, switch: NodeSwitch) -> PodNetwork:
        """Return the network of a pod. :raises NotReady: its node has no address for it."""
        try:
            cidrs = self.addresses.cidrs(pod, switch.subnets)
        except Exhausted as exc:
            self._without_address.setdefault(pod.node, set()).add(pod.key)
            # Addresses wait for static pods whose copy comes back; pods that are here come first.
            self._mark_all(self._gone.clear(pod.node, self._has_port))
            raise NotReady(str(exc)) from None
        return northbound.network(cidrs)

    def _switch(self, pod: Pod) -> NodeSwitch:
        """Return the switch of a pod's node. :raises NotReady: when it has none."""
        row = self._replica.named("Logical_Switch", pod.node)
        if row is None:
            raise NotReady(
                f"node {pod.node} has no switch in the overlay yet: run the site play "
                "for its host, whose ovn_node_name must be this name"
            )
        switch = NodeSwitch.from_row(row)
        if not switch.subnets:
            raise NotReady(
                f"the switch of node {pod.node} has no subnet of ours: run the site play for it", keeps_rows=True
            )
        return switch

    def done(self, key: str, changes: Sequence[Change]) -> None:
        """Take in that the port is as desired: free the addresses of a deleted pod, annotate any other one.

        A pod that was deleted or made anew since then has another port than that: it is marked, and comes here again.
        """
        pod = self._pods.get(key)
        ports = self._replica.owned(self.owner(key), self.tables)
        if pod is None:
            seconds = self._gone.seconds_left(key)
            if seconds:
                self._plan_again(key, seconds + 0.1)
            if key not in self._gone and not ports and self.addresses.forget(key):
                self._retry_without_address()
            return
        if not any(self.addresses.is_port_of(port, pod) for port in ports):
            return
        self._without_address.get(pod.node, set()).discard(key)
        if changes and key in self._first_seen:
            self._observe("lsp", time.monotonic() - self._first_seen[key])
        switch = self._switch(pod)
        network = self._network(pod, switch)
        table = self.addresses.table
        for uuid in table.others_of(key):
            self._notices.shared(pod, self._replica.rows[TABLE][uuid], table.of(key))
        outdated = not table.fit(key, switch.subnets)
        if outdated:
            self._notices.outdated(pod, switch, network)
        self._annotate(pod, network, outdated)

    def _annotate(self, pod: Pod, network: PodNetwork, outdated: bool) -> None:
        """Write the pod's annotations where they differ.

        :param outdated: an earlier subnet has its addresses: the annotation knows the prefix length.
        """
        desired = annotation.render(network, pod.identity)
        if pod.annotations.written == desired.written or (outdated and _tells(pod, network)):
            if pod.key not in self.annotator:  # else the reply ends the time: the watch was faster
                self._first_seen.pop(pod.key, None)
            self.annotator.forget(pod.key)
            self.addresses.serve(pod)
        else:
            self.annotator.write(pod, desired)

    def _annotated(self, pod: Pod) -> None:
        """Take in that a pod's annotations are written."""
        current = self._pods.get(pod.key)
        if current is not None and current.identity == pod.identity:
            self.addresses.serve(pod)
        if pod.key in self._first_seen:
            self._observe("annotation", time.monotonic() - self._first_seen.pop(pod.key))

    def _retry_without_address(self) -> None:
        """Look again at all pods for which there was no address."""
        for keys in self._without_address.values():
            self._mark_all(keys)
        self._without_address.clear()

    def failed(self, key: str, reason: str) -> None:
        """Write an event about a pod that can't have its port now."""
        pod = self._pods.get(key)
        if pod is not None:
            self._on_event(pod.reference, reasons.NETWORK_NOT_READY, reason)


def _tells(pod: Pod, network: PodNetwork) -> bool:
    """Return whether a pod's own annotation has the MAC and the addresses of a network."""
    try:
        told = pod.network()
    except annotation.AnnotationError:
        return False
    if told is None or told.mac != network.mac:
        return False
    return [cidr.split("/")[0] for cidr in told.addresses] == [cidr.split("/")[0] for cidr in network.addresses]
