# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with this node's pods now: their sandboxes, ports and annotations compared."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from ..._common import names
from ..._common.errors import OvnKubernetesError
from ..annotation import AnnotationError, PodNetwork
from ..interface import PodInterface
from ..model import Pod
from .attachments import Attachments
from .known_pods import KnownPods
from .upkeep import Upkeep, advice

LONGEST = 300  # characters of a sentence
MOST = 100  # findings: a node has 110 pods, and one cause breaks all of them


class Finding(NamedTuple):
    """Something that is wrong.

    :ivar subject: the object, as ``pod demo/web``.
    :ivar wrong: what is wrong with it.
    :ivar causes: what follows from that.
    :ivar mend: the command that mends it.
    """

    subject: str
    wrong: str
    causes: str
    mend: str


class Findings:
    """What :meth:`read` compares."""

    def __init__(self, attachments: Attachments, pods: KnownPods, upkeep: Upkeep) -> None:
        self._attachments = attachments
        self._pods = pods
        self._upkeep = upkeep

    async def read(self) -> list[Finding]:
        """Return what is wrong now, at most MOST findings."""
        of_pods = await asyncio.gather(*map(self._of_pod, self._attachments.records.values()))
        return [finding for found in of_pods for finding in found][:MOST]

    async def _of_pod(self, interface: PodInterface) -> list[Finding]:
        pod = self._pods.get(f"{interface.namespace}/{interface.pod}", interface.uid)
        if pod is None or interface.attachment in self._attachments.locks:
            return []
        return [*await self._of_sandbox(interface), *self._of_annotation(interface, pod)]

    async def _of_sandbox(self, interface: PodInterface) -> list[Finding]:
        """Return what is wrong with links, port and flows: one finding, since one follows from the other."""
        failure = self._upkeep.failure(interface.attachment)
        if failure:
            return [_finding(interface, failure)]
        try:
            lines = await self._attachments.differences(interface)
        except OvnKubernetesError as exc:
            lines = [str(exc)]
        ports = self._attachments.ports
        if lines:
            return [_finding(interface, f"it is not as it was made: {'; '.join(lines)}")]
        if ports.replica.connected and not ports.has_flows(interface.host_link):
            port = names.pod_port(interface.namespace, interface.pod)
            look = f"on a master: ovn-nbctl lsp-get-addresses {port}; on this host: journalctl -u ovn-controller"
            return [_finding(interface, ports.why_no_flows(interface), mend=look)]
        return []

    @staticmethod
    def _of_annotation(interface: PodInterface, pod: Pod) -> list[Finding]:
        """Return what of the annotation contradicts the pod's interface."""
        try:
            network = pod.network()
        except AnnotationError as exc:
            return [_finding(interface, str(exc), "watcher and node don't know its address")]
        if network is None or _is_served(interface.network, network):
            return []
        has, says = ", ".join(interface.network.addresses), ", ".join(network.addresses)
        return [_finding(interface, f"it has {has}, and its annotation says {says}", "nobody reaches it")]


def _finding(interface: PodInterface, wrong: str, causes: str = "the pod has no network", mend: str = "") -> Finding:
    return Finding(f"pod {interface.namespace}/{interface.pod}", wrong[:LONGEST], causes, mend or advice(interface))


def _is_served(network: PodNetwork, annotated: PodNetwork) -> bool:
    """Return whether the overlay sends to the pod what goes to the addresses that it has."""
    return network.mac == annotated.mac and set(network.addresses) <= set(annotated.addresses)
