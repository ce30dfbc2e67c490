# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with this node's pods now: their sandboxes, ports and annotations compared."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from ..._common import names
from ..._common.errors import OvnKubernetesError
from ..annotation import AnnotationError, PodNetwork
from ..interface import PodInterface
from ..model import Pod
from . import pod_links
from .attachments import Attachments
from .known_pods import KnownPods
from .pod_links import Differences
from .underlay import Underlay
from .upkeep import Upkeep, advice

LONGEST = 300  # characters of a sentence
MOST = 100  # findings: a node has 110 pods, and one cause breaks all of them


ERROR, WARNING = "error", "warning"
FRESH = 1.0  # seconds for which what was read is given again
NO_NETWORK = "the pod has no network"


class Finding(NamedTuple):
    """Something that is wrong.

    :ivar subject: the object, as ``pod demo/web``.
    :ivar wrong: what is wrong with it.
    :ivar causes: what follows from that.
    :ivar mend: the command that mends it.
    :ivar severity: ERROR, or WARNING for what a pod may have done by itself.
    """

    subject: str
    wrong: str
    causes: str
    mend: str
    severity: str = ERROR


class Findings:
    """What :meth:`read` compares. One thread of its own reads the pods' namespaces: requests of the CNI plugin don't
    wait for it.
    """

    def __init__(self, attachments: Attachments, pods: KnownPods, upkeep: Upkeep, underlay: Underlay) -> None:
        self._attachments = attachments
        self._pods = pods
        self._upkeep = upkeep
        self._underlay = underlay
        self._reader = ThreadPoolExecutor(1, "findings")
        self._reading: asyncio.Future[list[Finding]] | None = None
        self._read_at = 0.0

    def close(self) -> None:
        """Read no more."""
        self._reader.shutdown(wait=False)

    async def read(self) -> list[Finding]:
        """Return what is wrong now, at most MOST findings. Who asks meanwhile, or just after, gets the same answer."""
        now = asyncio.get_running_loop().time()
        if self._reading is None or (self._reading.done() and now > self._read_at + FRESH):
            self._reading = asyncio.ensure_future(self._read())
        return await asyncio.shield(self._reading)

    async def _read(self) -> list[Finding]:
        loop = asyncio.get_running_loop()
        interfaces = [one for one in self._attachments.records.values() if self._is_quiet(one)]
        try:
            found = await loop.run_in_executor(self._reader, pod_links.differences_of_all, interfaces)
        finally:
            self._read_at = loop.time()
        findings = self._without_port()
        for interface, differences in zip(interfaces, found):
            if self._is_quiet(interface):
                findings += self._of_pod(interface, differences)
        return findings[:MOST]

    def _is_quiet(self, interface: PodInterface) -> bool:
        """Return whether an interface has a pod, and nobody works on it now, unless that has failed before."""
        attachment = interface.attachment
        is_busy = attachment in self._attachments.locks and self._upkeep.failure(attachment) is None
        may_run = self._pods.may_run(interface.pod_key, interface.uid)
        return may_run and not is_busy and attachment in self._attachments.records

    def _without_port(self) -> list[Finding]:
        """Return a finding for each pod that runs and that this host has no port for."""
        ports = self._attachments.ports
        if not self._pods.synced.is_set() or not ports.replica.connected:
            return []
        attached = ports.interface_ids() | {
            names.pod_port(one.namespace, one.pod) for one in self._attachments.records.values()
        }
        return [
            Finding(
                f"pod {pod.key}", f"it runs, and has no port in {names.INTEGRATION_BRIDGE}", NO_NETWORK, advice(pod)
            )
            for pod in self._pods.store.values()
            if pod.is_running and names.pod_port(pod.namespace, pod.name) not in attached
        ]

    def _of_pod(self, interface: PodInterface, differences: Differences) -> list[Finding]:
        pod = self._pods.get(interface.pod_key, interface.uid)
        mend = f"kubectl delete pod -n {interface.namespace} {interface.pod}" if pod is None else advice(pod)

        def finding(wrong: str, causes: str = NO_NETWORK, command: str = "", severity: str = ERROR) -> Finding:
            return Finding(f"pod {interface.pod_key}", wrong[:LONGEST], causes, command or mend, severity)

        found = [finding(*broken) for broken in self._broken(interface, differences)]
        if differences.inside:
            wrong = f"something has changed in the pod: {'; '.join(differences.inside)}"
            found.append(finding(wrong, "it may have no network, unless the pod did it on purpose", "", WARNING))
        found += [finding(wrong, causes) for wrong, causes in _of_annotation(interface, pod)]
        strays = self._underlay.strays(interface.network.addresses)
        if strays:
            wrong = f"it has {', '.join(strays)}, which is in no subnet of this node any more"
            found.append(finding(wrong, "no router serves it: it reaches nothing outside its node's switch"))
        return found

    def _broken(self, interface: PodInterface, differences: Differences) -> list[tuple[str, ...]]:
        """Return what is wrong with the host's link, port and flows: one finding, since one follows from the other."""
        failure = self._upkeep.failure(interface.attachment)
        if failure:
            return [(failure,)]
        ports = self._attachments.ports
        try:
            lines = [*differences.outside]
            if ports.replica.connected:
                lines += self._attachments.port_differences(interface)
        except OvnKubernetesError as exc:
            lines = [str(exc)]
        if lines:
            return [(f"it is not as it was made: {'; '.join(lines)}",)]
        if ports.replica.connected and not ports.has_flows(interface.host_link):
            port = names.pod_port(interface.namespace, interface.pod)
            look = f"on a master: ovn-nbctl lsp-get-addresses {port}; on this host: journalctl -u ovn-controller"
            return [(ports.why_no_flows(interface), NO_NETWORK, look)]
        return []


def _of_annotation(interface: PodInterface, pod: Pod | None) -> list[tuple[str, str]]:
    """Return what of the annotation contradicts the pod's interface, and what follows."""
    if pod is None:
        return []
    try:
        network = pod.network()
    except AnnotationError as exc:
        return [(str(exc), "watcher and node don't know its address")]
    if network is None or _is_served(interface.network, network):
        return []
    has, says = ", ".join(interface.network.addresses), ", ".join(network.addresses)
    return [(f"it has {has}, and its annotation says {says}", "nobody reaches it")]


def _is_served(network: PodNetwork, annotated: PodNetwork) -> bool:
    """Return whether the overlay sends to the pod what goes to the addresses that it has."""
    return network.mac == annotated.mac and set(network.addresses) <= set(annotated.addresses)
