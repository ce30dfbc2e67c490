# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say once, in the log and in events on the pod and its node, what is wrong with the addresses of a pod that is served.

The pod keeps them: what is wrong is said, and somebody has to mend it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from .._kube import reasons, reference
from .._kube.reference import OnEvent
from .._ovsdb.rows import CurrentRow
from .annotation import PodNetwork
from .model import Pod
from .northbound import NodeSwitch, addresses_of_port

LOG = logging.getLogger("ovn-k8s-watcher")


class Notices:
    """What was said.

    :param on_event: writes a Kubernetes event.
    """

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event
        self._said: dict[str, set[str]] = {}  # key of a pod -> messages
        self._said_of_nodes: dict[str, tuple[str, ...]] = {}  # node -> subnets of which it was said that they are new

    def forget(self, key: str) -> None:
        """Forget a pod that was deleted."""
        self._said.pop(key, None)

    def outdated(self, pod: Pod, switch: NodeSwitch, network: PodNetwork) -> None:
        """Say that a pod has addresses that its node's subnets don't have any more."""
        is_new = self._say(
            pod,
            reasons.NETWORK_OUTDATED,
            f"the subnet of node {pod.node} was changed, and the pod keeps {', '.join(network.addresses)} while it "
            f"runs: kubectl delete pod -n {pod.namespace} {pod.name}",
        )
        if is_new and self._said_of_nodes.get(pod.node) != switch.subnets:
            self._said_of_nodes[pod.node] = switch.subnets
            self._on_event(
                reference.node(pod.node),
                reasons.NODE_SUBNET_CHANGED,
                f"new pods get addresses of {', '.join(switch.subnets)}; pods that run keep theirs, which no router "
                f"serves any more, as {pod.key} does: kubectl drain {pod.node} --ignore-daemonsets",
            )

    def shared(self, pod: Pod, port: CurrentRow, addresses: Sequence[str]) -> None:
        """Say that a switch port that is not a pod's has an address of a pod.

        :param addresses: the pod's.
        """
        both = ", ".join(ip for ip in addresses_of_port(port) if ip in addresses)
        text = f"switch port {port.name} has {both} too: give it another address, pod {pod.key} keeps this one"
        if self._say(pod, reasons.ADDRESS_CONFLICT, text):
            self._on_event(reference.node(pod.node), reasons.ADDRESS_CONFLICT, text)

    def _say(self, pod: Pod, reason: str, text: str) -> bool:
        """Say something about a pod; return whether it is new."""
        said = self._said.setdefault(pod.key, set())
        if text in said:
            return False
        said.add(text)
        LOG.warning("pod %s: %s", pod.key, text)
        self._on_event(pod.reference, reason, text)
        return True
