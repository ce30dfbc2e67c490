# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the pods' logical ports: the port in the Northbound database comes first, then the annotation that tells the
node of it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, MutableMapping, Sequence

from .._common import names
from .._ovsdb.plan import Change
from .._ovsdb.replica import Replica
from .._ovsdb.rows import CurrentRow, Owner, Row
from .._reconcile.engine import Engine
from .._reconcile.planning import NotReady
from . import annotation, northbound
from .addresses import Addresses, Exhausted
from .annotation import PodNetwork
from .annotator import Annotator, PatchClient
from .model import Pod
from .northbound import NodeSwitch

LOG = logging.getLogger("ovn-k8s-watcher")
TABLE = "Logical_Switch_Port"

# Called with a pod, a reason of an event, and its message.
EventWriter = Callable[[Pod, str, str], object]
# Called with what was measured, and its seconds.
Observer = Callable[[str, float], object]


class PodPlanner:
    """The planner of pods.

    :param replica: the Northbound database.
    :param pods: key -> pod, the informer's store.
    :param on_event: writes a Kubernetes event about a pod.
    :param observe: gets "lsp" and "annotation": seconds from the first sight of a pod to its port, and to its
        annotation.

    :ivar engine: set by whoever makes the engine.
    """

    tables = (TABLE,)
    engine: Engine

    def __init__(
        self,
        replica: Replica,
        pods: MutableMapping[str, Pod],
        client: PatchClient,
        on_event: EventWriter,
        observe: Observer,
    ) -> None:
        self.addresses = Addresses()
        self.annotator = Annotator(client, pods, self._annotated, self._plan_again)
        self._replica = replica
        self._pods = pods
        self._on_event = on_event
        self._observe = observe
        self._of_node: dict[str, set[str]] = {}  # node -> keys of its pods
        self._without_address: dict[str, set[str]] = {}  # node -> keys of pods that its subnet has no address for
        self._outdated: set[str] = set()  # keys of pods that keep addresses of an earlier subnet
        self._first_seen: dict[str, float] = {}  # key -> time at which the pod was first seen, until it is annotated

    # Events.

    def pod_changed(self, key: str, old: Pod | None, new: Pod | None) -> None:
        """Take in a change of a pod."""
        if old is not None and (new is None or old.node != new.node):
            self._of_node.get(old.node, set()).discard(key)
            self._without_address.get(old.node, set()).discard(key)
        if new is not None:
            self._of_node.setdefault(new.node, set()).add(key)
            if old is None or old.uid != new.uid:
                self._first_seen[key] = time.monotonic()
        else:
            self._first_seen.pop(key, None)
            self._outdated.discard(key)
            self.annotator.forget(key)
        self._mark(key)

    def port_changed(self, old: CurrentRow | None, new: CurrentRow | None) -> None:
        """Take in a change of a switch port."""
        row = new or old
        if row is None:
            return
        if row.external_id(names.OWNER_TYPE) == northbound.KIND:
            self._mark(row.external_id(names.OWNER_NAME) or "")
            return
        # Pods get no address that a port has that is not a pod's.
        self.addresses.release(row.uuid)
        if new is not None and not self.addresses.reserve(row.uuid, northbound.addresses_of_port(new)):
            LOG.warning("switch port %s has an address that a pod has too", new.name)

    def switch_changed(self, name: str) -> None:
        """Take in a change of a node's switch."""
        for key in self._of_node.get(name, ()):
            self._mark(key)

    def begin(self) -> None:
        """Learn who has which address, before one is given: from all ports, then from the annotations of pods whose
        port was lost.
        """
        self.addresses = Addresses()
        # Ports that are not pods' come first: pods can get another address, they can't.
        for row in sorted(self._replica.rows[TABLE].values(), key=_is_pods):
            key = (row.external_id(names.OWNER_NAME) or "") if _is_pods(row) else row.uuid
            if not self.addresses.reserve(key, northbound.addresses_of_port(row)):
                LOG.warning("switch port %s has an address that another one has too", row.name)
        for key, pod in self._pods.items():
            if not self.addresses.has(key):
                self.addresses.reserve(key, annotation.claimed_addresses(pod.annotations))
        for key in {*self._pods, *self._replica.owners(northbound.KIND)}:
            self._mark(key)

    def _mark(self, key: str) -> None:
        self.engine.mark(northbound.KIND, key)

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
        pod = self._pods.get(key)
        if pod is None:
            return []
        switch = self._switch(pod)
        kept = self._kept(pod, switch)
        if kept is not None:
            return northbound.rows(pod, switch, kept)
        if not self.addresses.has(key):
            # A restored or copied pod is created with annotations: its node may use them before ours are written.
            self.addresses.reserve(key, annotation.claimed_addresses(pod.annotations))
        try:
            cidrs = self.addresses.take(key, switch.subnets)
        except Exhausted as exc:
            self._without_address.setdefault(pod.node, set()).add(key)
            raise NotReady(str(exc)) from None
        return northbound.rows(pod, switch, northbound.network(switch, cidrs))

    def _kept(self, pod: Pod, switch: NodeSwitch) -> PodNetwork | None:
        """Return the network of a pod whose addresses its node's subnets don't have any more, None for any other pod.

        A pod that runs can't be given another address. The port must have the same: anybody may write annotations.
        """
        if self.addresses.fit(pod.key, switch.subnets):
            return None
        try:
            network = pod.network()
        except annotation.AnnotationError:
            return None
        ports = self._replica.owned(self.owner(pod.key), (TABLE,))
        is_its_own = bool(ports) and ports[0].map_value("options", "iface-id-ver") == pod.uid
        return network if network and is_its_own and northbound.is_of(ports[0], network) else None

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
            raise NotReady(f"the switch of node {pod.node} has no subnet of ours: run the site play for it")
        return switch

    def done(self, key: str, changes: Sequence[Change]) -> None:
        """Take in that the port is as desired: free the addresses of a deleted pod, annotate any other one."""
        pod = self._pods.get(key)
        if pod is None:
            if self.addresses.release(key):
                self._retry_without_address()
            return
        self._without_address.get(pod.node, set()).discard(key)
        if changes and key in self._first_seen:
            self._observe("lsp", time.monotonic() - self._first_seen[key])
        kept = self._kept(pod, self._switch(pod))
        if kept is not None:
            self._say_kept(pod, kept)
            return
        self._outdated.discard(key)
        if key not in self.annotator:
            self._annotate(pod)

    def _say_kept(self, pod: Pod, kept: PodNetwork) -> None:
        """Say once that a pod has addresses that its node's subnets don't have any more."""
        self._first_seen.pop(pod.key, None)
        if pod.key in self._outdated:
            return
        self._outdated.add(pod.key)
        text = (
            f"the subnet of node {pod.node} was changed, and the pod keeps {', '.join(kept.addresses)} while it runs: "
            f"kubectl delete pod -n {pod.namespace} {pod.name}"
        )
        LOG.warning("pod %s: %s", pod.key, text)
        self._on_event(pod, "NetworkOutdated", text)

    def _annotate(self, pod: Pod) -> None:
        """Write the pod's annotations where they differ."""
        switch = self._switch(pod)
        network = northbound.network(switch, self.addresses.take(pod.key, switch.subnets))
        desired = annotation.render(network, pod.uid)
        if pod.annotations.written == desired.written:
            self._first_seen.pop(pod.key, None)
        else:
            self.annotator.write(pod, desired)

    def _annotated(self, key: str) -> None:
        if key in self._first_seen:
            self._observe("annotation", time.monotonic() - self._first_seen.pop(key))

    def _retry_without_address(self) -> None:
        """Look again at all pods for which there was no address."""
        for keys in self._without_address.values():
            for key in keys:
                self._mark(key)
        self._without_address.clear()

    def failed(self, key: str, reason: str) -> None:
        """Write an event about a pod that can't have its port now."""
        pod = self._pods.get(key)
        if pod is not None:
            self._on_event(pod, "NetworkNotReady", reason)


def _is_pods(row: CurrentRow) -> bool:
    """Return whether a port is a pod's."""
    return row.external_id(names.OWNER_TYPE) == northbound.KIND
