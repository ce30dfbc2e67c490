# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What attaches a pod, and detaches it: links, port and record. ADD and the repair of what was broken later use the
same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import replace
from typing import NamedTuple, TypeVar

from ..._common import names
from ..._common.errors import HostError, OvnKubernetesError
from ..._netlink.veth import outer_end
from ..interface import Attachment, PodInterface, rows
from . import pod_links
from .concurrency import AttachmentLocks, run_to_end
from .known_pods import KnownPods
from .pod_links import Sandbox
from .ports import Ports
from .rebuild import rebuilt
from .records import Records

LOG = logging.getLogger("ovn-k8s-node")
SHOWN_ID = 13  # characters of a container's ID in the log, as crictl shows it
T = TypeVar("T")


class _Beginning(NamedTuple):
    """When an ADD began, and for which pod.

    :ivar order: greater than those of all that began before.
    """

    order: int
    pod: tuple[str, str]


class Attachments:
    """The attachments of this node.

    :param workers: threads for what blocks.
    :param records: what ADD has made.

    :ivar locks: whoever changes an attachment holds its lock.
    """

    def __init__(self, ports: Ports, workers: Executor, records: Records) -> None:
        self.ports = ports
        self.records = records
        self.locks = AttachmentLocks()
        self._beginnings: dict[Attachment, _Beginning] = {}  # of ADDs since this program's start
        self._count = 0
        self._workers = workers

    async def make(self, interface: PodInterface, comment: str, leave_pod: bool = False) -> str:
        """Make links and port as desired, whatever of them exists; return the MAC of the host's end.

        :param comment: for the database's log.
        :param leave_pod: what the pod has changed in its own namespace stays.
        :raises OvnKubernetesError: it can't be done.
        """
        mac = await self.in_thread(pod_links.attach, interface, leave_pod)
        await self.ports.converge(interface.owner, rows(interface), comment)
        return mac

    async def repair(self, interface: PodInterface) -> None:
        """Make again what is missing. Open vSwitch would keep a port of a link that is gone: it lets go of it first.

        :raises OvnKubernetesError: it can't be done.
        """
        comment = f"ovn-k8s-node: repair of {interface.namespace}/{interface.pod}"
        host_end = await self.in_thread(outer_end, interface.host_link)
        if host_end is None:
            await self.ports.release(interface.owner, comment)
        mac = await self.make(interface, comment, leave_pod=True)
        if host_end is None or host_end.mac != mac:
            # A new pair. Where the pod kept its link, others know its MAC, and it keeps the neighbours that it has.
            await self.announce(interface)

    async def announce(self, interface: PodInterface) -> None:
        """Tell the neighbours, in other threads than the workers: what is nearly done does not wait for what has just
        begun.
        """
        await run_to_end(asyncio.get_running_loop().run_in_executor(None, pod_links.announce, interface))

    def begin(self, attachment: Attachment, namespace: str, pod: str) -> None:
        """Take in that an ADD begins. A sandbox is newer than those whose first ADD began before its own."""
        self._count += 1
        self._beginnings.setdefault(attachment, _Beginning(self._count, (namespace, pod)))

    def end(self, attachment: Attachment) -> None:
        """Take in that an ADD has ended. One that has made nothing does not count any more."""
        if attachment not in self.records:
            self._beginnings.pop(attachment, None)

    def keep(self, interface: PodInterface) -> None:
        """Keep what was made, until it is removed.

        :raises HostError: the record can't be written, or the pod has a newer sandbox by now.
        """
        self._check_newest(interface)
        try:
            self.records.add(interface)
        except OSError as exc:
            raise HostError(f"what was made can't be recorded below {names.RUN_DIRECTORY}: {exc.strerror}") from None

    async def replace_older(self, interface: PodInterface, stop: Callable[[Attachment], object]) -> None:
        """Take the ports from older sandboxes of the same pod, since ovn-controller would bind either of them. Their
        links stay until the runtime deletes them.

        The older one's lock is held, and its record goes first: a repair that waits for the lock then does nothing.
        Only a newer one waits for an older one, so no two wait for each other.

        :param stop: ends an ADD that goes on for an attachment.
        :raises HostError: the pod has a newer sandbox.
        """
        self._check_newest(interface)
        for attachment in self._of_same_pod(interface):
            stop(attachment)
            await self._take_port(attachment, interface.pod_key)

    async def _take_port(self, attachment: Attachment, pod: str) -> None:
        """Delete the port of a sandbox, whose pod has a newer one, with its record."""
        async with self.locks.hold(attachment):
            self._forget(attachment)
            changes = await self.ports.converge(attachment.owner, [], f"ovn-k8s-node: newer sandbox of {pod}")
        if changes:
            LOG.info("%s: a newer sandbox than %s has its port", pod, attachment.container[:SHOWN_ID])

    async def keep_newest(self, pods: KnownPods) -> None:
        """Take the ports from all sandboxes of a pod but the newest, where none of them is worked on: an ADD may have
        been interrupted.

        :raises OvnKubernetesError: the last that kept one from it; all others are done.
        """
        failure: OvnKubernetesError | None = None
        for port, attachments in self.ports.doubles().items():
            if any(attachment in self.locks for attachment in attachments):
                continue
            pod = pods.store.get(port.replace("_", "/", 1))
            current = {one for one, uid in attachments.items() if pod is None or pod.has_uid(uid or "")}
            order = await self.in_thread(pod_links.by_age, list(attachments))
            newest = max(attachments, key=lambda one: (one in current, order.index(one)))
            for attachment in attachments:
                if attachment.container != newest.container:
                    try:
                        await self._take_port(attachment, port.replace("_", "/", 1))
                    except OvnKubernetesError as exc:
                        failure = exc
        if failure is not None:
            raise failure

    def _check_newest(self, interface: PodInterface) -> None:
        """Refuse a sandbox that is not its pod's newest; :raises HostError: it is not."""
        mine = self._beginnings.get(interface.attachment)
        others = [one for attachment, one in self._beginnings.items() if attachment.container != interface.container]
        if mine is not None and any(one.pod == mine.pod and one.order > mine.order for one in others):
            raise HostError(f"pod {interface.pod_key} has a newer sandbox, which gets its port")

    def _of_same_pod(self, interface: PodInterface) -> list[Attachment]:
        """Return the attachments of a pod in other sandboxes: those that have a record, a port, or an ADD."""
        pod = (interface.namespace, interface.pod)
        port = names.pod_port(*pod)
        found = {
            *(one for one, other in self.records.items() if (other.namespace, other.pod) == pod),
            *(one for one, row in self.ports.attachments().items() if row.external_id("iface-id") == port),
            *(one for one, beginning in self._beginnings.items() if beginning.pod == pod),
        }
        return sorted(one for one in found if one.container != interface.container)

    def rebuild(self, pods: KnownPods) -> None:
        """Make the records that are missing, of attachments that nobody works on, once the pods are known."""
        if not pods.synced.is_set() or self.ports.own.problem() is not None:
            return
        for interface in list(self.records.values()):
            pod = pods.get(interface.pod_key, interface.uid)
            if pod is not None and interface.uid != pod.identity and interface.attachment not in self.locks:
                # An earlier release has attached a static pod by the UID of its copy.
                self._record(replace(interface, uid=pod.identity))
        for attachment, row in self.ports.attachments().items():
            if attachment in self.records or attachment in self.locks:
                continue
            rebuilt_interface = rebuilt(attachment, row, pods.store, self.ports.own.facts())
            if rebuilt_interface is not None and not self._of_same_pod(rebuilt_interface):
                self._record(rebuilt_interface)

    def _record(self, interface: PodInterface) -> None:
        """Record what an attachment has without an ADD, as far as it can be written."""
        try:
            self.records.add(interface)
        except OSError as exc:
            LOG.error("what %s has can't be recorded: %s", interface.pod_key, exc.strerror)
        else:
            LOG.info("%s: recorded what it has", interface.pod_key)

    def of_network(self, name: str) -> set[Attachment]:
        """Return the attachments of a network. Those that an earlier release has made say none, and are of none."""
        recorded = {attachment for attachment, interface in self.records.items() if interface.network_name == name}
        return recorded | {attachment for attachment, network in self.ports.networks().items() if network == name}

    async def remove(self, attachment: Attachment, what: str) -> None:
        """Remove the port, the links and the record, as far as they exist."""
        self._forget(attachment)
        changes = await self.ports.converge(attachment.owner, [], f"ovn-k8s-node: DEL {what}")
        removed = await self.in_thread(pod_links.detach, attachment.host_link)
        if changes or removed:
            LOG.info("%s: %s of %s is gone", what, attachment.ifname, attachment.container[:SHOWN_ID])

    async def clean(self, attachment: Attachment, what: str) -> None:
        """Remove everything after a failure. What can't be removed now is removed by DEL, or by :meth:`sweep`."""
        self._forget(attachment)
        steps: tuple[Coroutine[object, object, object], ...] = (
            self.in_thread(pod_links.detach, attachment.host_link),
            self.ports.converge(attachment.owner, [], f"ovn-k8s-node: ADD of {what} failed"),
        )
        for step in steps:
            try:
                await step
            except OvnKubernetesError as exc:
                LOG.warning("%s: %s", what, exc)

    def _forget(self, attachment: Attachment) -> None:
        self.records.remove(attachment)
        self._beginnings.pop(attachment, None)

    async def differences(self, interface: PodInterface) -> list[str]:
        """Return what of an interface is not as desired, beside its flows."""
        found = await self.in_thread(pod_links.differences, interface)
        return [*found.outside, *found.inside, *self.port_differences(interface)]

    def port_differences(self, interface: PodInterface) -> list[str]:
        """Return what of a port is not as desired."""
        if self.ports.misplaced(interface.host_link) is not None:
            return [f"port {interface.host_link} is in another bridge than {names.INTEGRATION_BRIDGE}"]
        return [change.describe() for change in self.ports.changes(interface.owner, rows(interface))]

    async def without_sandbox(self, are_pods_known: bool) -> list[Attachment]:
        """Return the attachments whose sandbox is gone, of those that nobody works on.

        :param are_pods_known: whether what has no record now gets none later.
        """
        places = {
            **{key: one.netns for key, one in self.records.items()},
            **{key: row.external_id(names.NETNS_KEY) or "" for key, row in self.ports.attachments().items()},
        }
        sandboxes = [
            Sandbox(attachment, netns, attachment in self.records or not are_pods_known)
            for attachment, netns in places.items()
            if attachment not in self.locks
        ]
        return await self.in_thread(pod_links.without_sandbox, sandboxes) if sandboxes else []

    async def in_thread(self, work: Callable[..., T], *args: object) -> T:
        """Run what blocks, in a worker thread."""
        return await run_to_end(asyncio.get_running_loop().run_in_executor(self._workers, work, *args))
