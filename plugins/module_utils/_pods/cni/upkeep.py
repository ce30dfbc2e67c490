# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep what ADD has made: ports of br-int and host's ends of pairs that somebody changed or took away are made again.

Events of the database and of the kernel only mark what to look at. A repair is what a repeated ADD does outside the
pod, from the record of the first one. One attachment that can't be repaired is tried again after a pause that grows,
and stops no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass

from ..._common.errors import OvnKubernetesError
from ..._common.retry import Pause
from ..._common.tasks import end
from ..._kube import reasons
from ..._kube.reference import OnEvent
from ..interface import Attachment, PodInterface
from ..model import Pod
from . import pod_links
from .attachments import Attachments
from .known_pods import KnownPods

LOG = logging.getLogger("ovn-k8s-node")
DEBOUNCE = 0.2  # seconds: a change comes as several events
# Repairs at the same time, and seconds from the end of each to the next: a bridge that was made anew has lost the ports
# of all pods.
AT_ONCE = 2
PACE = 0.05
# Seconds between two repairs of the same attachment: whoever breaks it again and again does not keep this host busy.
AGAIN = Pause(0.5, longest=60.0)
LOCKED = 1.0  # seconds until an attachment is looked at again that a request works on
HEALTHY = 120.0  # seconds without a fault after which the next one is the first again


@dataclass
class _Patient:
    """An attachment that had a fault.

    :ivar repairs: since it was healthy for long.
    :ivar last: when the last one ended, by the loop's clock.
    :ivar failure: why it could not be repaired; None: it could.
    """

    repairs: int = 0
    last: float = 0.0
    failure: str | None = None


class Upkeep:
    """The upkeep of all attachments.

    :param can_repair: returns whether the database and the daemons are there that a repair needs. When they come back,
        the caller says that everything has changed.
    :param on_event: writes a Kubernetes event.
    """

    def __init__(
        self, attachments: Attachments, pods: KnownPods, can_repair: Callable[[], bool], on_event: OnEvent
    ) -> None:
        self._attachments = attachments
        self._pods = pods
        self._can_repair = can_repair
        self._on_event = on_event
        self._repairs: dict[Attachment, asyncio.Future[None]] = {}
        self._places = asyncio.Semaphore(AT_ONCE)
        self._timers: dict[Attachment, asyncio.TimerHandle] = {}  # one for each that is looked at again
        self._marked: set[Attachment] = set()
        self._links: set[str] | None = None  # that changed; None: any may have
        self._patients: dict[Attachment, _Patient] = {}
        self._wake = asyncio.Event()

    # Events.

    def port_changed(self, attachment: Attachment) -> None:
        """Look at the port of an attachment."""
        if attachment in self._attachments.records:
            self._marked.add(attachment)
            self._wake.set()

    def links_changed(self, links: Collection[str] | None) -> None:
        """Look at these links, as far as pods have them; None: at all."""
        if links is None:
            self._links = None
        elif self._links is not None:
            self._links.update(links)
        self._wake.set()

    def pod_came(self, key: str) -> None:
        """Look at what a pod has: while the API server's copy of a static pod was away, it was not repaired."""
        for interface in self._attachments.records.values():
            if interface.pod_key == key:
                self.port_changed(interface.attachment)
                self.links_changed({interface.host_link})

    def everything_changed(self) -> None:
        """Look at all, also at what has no record yet."""
        self._attachments.rebuild(self._pods)
        self._marked.update(self._attachments.records)
        self.links_changed(None)

    def lost_sandbox(self, attachment: Attachment) -> None:
        """Tell the pod that its sandbox is gone, where it still needs one."""
        interface = self._attachments.records.get(attachment)
        if interface is None:
            return
        message = f"the network namespace of {interface.ifname} is gone"
        pod = self._pods.get(interface.pod_key, interface.uid)
        if pod is not None and not pod.is_running:
            # A runtime whose next plugin fails takes the sandbox away without our DEL, and begins again by itself.
            message += (
                " before its containers were started; where its events FailedCreatePodSandBox say why, mend that, and "
                "the kubelet makes another sandbox; where there are none"
            )
        self._tell(interface, reasons.NETWORK_BROKEN, message, ask=True)

    def failure(self, attachment: Attachment) -> str | None:
        """Return why an attachment could not be repaired; None: nothing is wrong."""
        patient = self._patients.get(attachment)
        return patient.failure if patient else None

    # The loop.

    async def run(self) -> None:
        """Repair for ever what is marked."""
        try:
            while True:
                await self._wake.wait()
                await asyncio.sleep(DEBOUNCE)
                self._wake.clear()
                for attachment, fault in (await self._faults()).items():
                    self._care_for(attachment, fault)
        finally:
            for timer in self._timers.values():
                timer.cancel()
            await end(self._repairs.values())

    async def _faults(self) -> dict[Attachment, str]:
        """Return what is wrong with what is marked."""
        records, marked = self._attachments.records, self._marked
        self._marked = set()
        found: dict[Attachment, str] = {}
        links, self._links = self._links, set()
        # Each link is one question to the kernel: a node that starts many pods asks for none of the others.
        looked_at = [one for one in records.values() if links is None or one.host_link in links]
        if looked_at:
            try:
                found = await self._attachments.in_thread(pod_links.faults, looked_at)
            except OSError as exc:
                looked_at, self._links = [], None
                LOG.error("the pods' links can't be read: %s", exc)
        healthy = {one.attachment for one in looked_at} - set(found)
        for attachment in marked:
            interface = records.get(attachment)
            fault = None if interface is None else self._port_fault(interface)
            if fault:
                found.setdefault(attachment, fault)
            elif attachment in self._patients and attachment in healthy:
                self._patients[attachment].failure = None
        for attachment in [one for one in self._patients if one not in records]:
            del self._patients[attachment]
        return found

    def _port_fault(self, interface: PodInterface) -> str | None:
        """Return what is wrong with a port; None: nothing, or the database does not tell now."""
        if not self._attachments.ports.replica.connected:
            return None
        try:
            return "; ".join(self._attachments.port_differences(interface)) or None
        except OvnKubernetesError as exc:
            return str(exc)

    def _care_for(self, attachment: Attachment, fault: str) -> None:
        """Repair an attachment now, or later."""
        if attachment not in self._attachments.records or not self._can_repair():
            return  # all are marked when it can be repaired again
        loop = asyncio.get_running_loop()
        if attachment in self._attachments.locks or attachment in self._repairs:
            self._look_again(attachment, LOCKED)
            return
        patient = self._patients.setdefault(attachment, _Patient())
        if patient.repairs and loop.time() - patient.last > HEALTHY:
            patient.repairs = 0
        pause = AGAIN.seconds(patient.repairs - 1) if patient.repairs else 0.0
        left = patient.last + pause - loop.time()
        if left > 0:
            self._look_again(attachment, left)
            return
        self._repairs[attachment] = repair = asyncio.ensure_future(self._repair_in_turn(attachment, fault, patient))
        repair.add_done_callback(lambda _repair: self._repairs.pop(attachment))

    async def _repair_in_turn(self, attachment: Attachment, fault: str, patient: _Patient) -> None:
        """Repair an attachment that has a pod, while nobody else works on it."""
        async with self._places:
            async with self._attachments.locks.hold(attachment):
                interface = self._attachments.records.get(attachment)
                if interface is None or not self._pods.may_run(interface.pod_key, interface.uid):
                    return  # the runtime is about to delete it
                await self._repair(interface, fault, patient)
            patient.repairs += 1
            patient.last = asyncio.get_running_loop().time()
            if patient.failure is not None:
                self._look_again(attachment, AGAIN.seconds(patient.repairs))
            await asyncio.sleep(PACE)

    def _look_again(self, attachment: Attachment, seconds: float) -> None:
        """Look at an attachment after a while, and not before as well."""

        def look() -> None:
            del self._timers[attachment]
            self.port_changed(attachment)
            self.links_changed({attachment.host_link})

        if attachment in self._timers:
            self._timers[attachment].cancel()
        self._timers[attachment] = asyncio.get_running_loop().call_later(seconds, look)

    async def _repair(self, interface: PodInterface, fault: str, patient: _Patient) -> None:
        """Make what is missing; the log and the pod's events say so."""
        try:
            await self._attachments.repair(interface)
        except Exception as exc:  # one attachment does not stop the others
            if not self._can_repair():
                return  # not the attachment's fault
            failure = f"{interface.ifname} is broken and can't be repaired: {fault}: {exc}"
            if failure != patient.failure:
                LOG.error("%s: %s", interface.pod_key, failure)
                self._tell(interface, reasons.NETWORK_BROKEN, failure, ask=True)
            patient.failure = failure
            return
        patient.failure = None
        LOG.warning("%s: %s was broken and is repaired: %s", interface.pod_key, interface.ifname, fault)
        self._tell(interface, reasons.NETWORK_REPAIRED, f"{interface.ifname} was broken and is repaired: {fault}")

    def _tell(self, interface: PodInterface, reason: str, message: str, ask: bool = False) -> None:
        """Write an event, where the pod is known.

        :param ask: whether somebody has to do something.
        """
        pod = self._pods.get(interface.pod_key, interface.uid)
        if pod is not None:
            self._on_event(pod.reference, reason, f"{message}: {advice(pod)}" if ask else message)


def advice(pod: Pod) -> str:
    """Return how a pod gets a new sandbox. To delete the copy of a static pod does not end the pod."""
    if pod.static_uid is not None:
        return f"on {pod.node}, move the manifest of static pod {pod.key} out of the kubelet's staticPodPath and back"
    return f"kubectl delete pod -n {pod.namespace} {pod.name}"
