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
from typing import TypeVar

from ..._common import names
from ..._common.errors import HostError, OvnKubernetesError
from ..._netlink.veth import outer_end
from ..interface import Attachment, PodInterface, rows
from . import pod_links
from .concurrency import AttachmentLocks, run_to_end
from .pod_links import Sandbox
from .ports import Ports
from .records import Records

LOG = logging.getLogger("ovn-k8s-node")
SHOWN_ID = 13  # characters of a container's ID in the log, as crictl shows it
T = TypeVar("T")


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
        self._workers = workers

    async def make(self, interface: PodInterface, comment: str) -> str:
        """Make links and port as desired, whatever of them exists; return the MAC of the host's end.

        :param comment: for the database's log.
        :raises OvnKubernetesError: it can't be done.
        """
        mac = await self.in_thread(pod_links.attach, interface)
        await self.ports.converge(interface.owner, rows(interface), comment)
        return mac

    async def repair(self, interface: PodInterface) -> None:
        """Make again what is missing. Open vSwitch would keep a port of a link that is gone: it lets go of it first.

        :raises OvnKubernetesError: it can't be done.
        """
        comment = f"ovn-k8s-node: repair of {interface.namespace}/{interface.pod}"
        if await self.in_thread(outer_end, interface.host_link) is None:
            await self.ports.release(interface.owner, comment)
        await self.make(interface, comment)
        await self.announce(interface)

    async def announce(self, interface: PodInterface) -> None:
        """Tell the neighbours, in other threads than the workers: what is nearly done does not wait for what has just
        begun.
        """
        loop = asyncio.get_running_loop()
        sent = await run_to_end(loop.run_in_executor(None, pod_links.announce, interface))
        loop.run_in_executor(None, sent.close)

    def keep(self, interface: PodInterface) -> None:
        """Keep what was made, until it is removed. :raises HostError: the record can't be written."""
        try:
            self.records.add(interface)
        except OSError as exc:
            raise HostError(f"what was made can't be recorded below {names.RUN_DIRECTORY}: {exc.strerror}") from None

    async def replace_older(self, interface: PodInterface) -> None:
        """Take the port from older sandboxes of the same pod, since ovn-controller would bind either of them. Their
        links stay until the runtime deletes them.
        """
        for attachment in self._older(interface):
            await self.ports.converge(attachment.owner, [], f"ovn-k8s-node: newer sandbox of {interface.pod}")
            self.records.remove(attachment)
            LOG.info("%s/%s: a newer sandbox has its port", interface.namespace, interface.pod)

    def _older(self, interface: PodInterface) -> list[Attachment]:
        return [
            attachment
            for attachment, other in self.records.items()
            if (other.namespace, other.pod, other.ifname) == (interface.namespace, interface.pod, interface.ifname)
            and attachment != interface.attachment
            and attachment not in self.locks
        ]

    async def remove(self, attachment: Attachment, what: str) -> None:
        """Remove the port, the links and the record, as far as they exist."""
        self.records.remove(attachment)
        changes = await self.ports.converge(attachment.owner, [], f"ovn-k8s-node: DEL {what}")
        removed = await self.in_thread(pod_links.detach, attachment.host_link)
        if changes or removed:
            LOG.info("%s: %s of %s is gone", what, attachment.ifname, attachment.container[:SHOWN_ID])

    async def clean(self, attachment: Attachment, what: str) -> None:
        """Remove everything after a failure. What can't be removed now is removed by DEL, or by :meth:`sweep`."""
        self.records.remove(attachment)
        steps: tuple[Coroutine[object, object, object], ...] = (
            self.in_thread(pod_links.detach, attachment.host_link),
            self.ports.converge(attachment.owner, [], f"ovn-k8s-node: ADD of {what} failed"),
        )
        for step in steps:
            try:
                await step
            except OvnKubernetesError as exc:
                LOG.warning("%s: %s", what, exc)

    async def differences(self, interface: PodInterface) -> list[str]:
        """Return what of an interface is not as desired, beside its flows."""
        lines = await self.in_thread(pod_links.differences, interface)
        return [*lines, *self.port_differences(interface)]

    def port_differences(self, interface: PodInterface) -> list[str]:
        """Return what of a port is not as desired."""
        if self.ports.is_misplaced(interface.host_link):
            return [f"port {interface.host_link} is in another bridge than {names.INTEGRATION_BRIDGE}"]
        return [change.describe() for change in self.ports.changes(interface.owner, rows(interface))]

    async def without_sandbox(self) -> list[Attachment]:
        """Return the attachments whose sandbox is gone, of those that nobody works on."""
        places = {**{key: one.netns for key, one in self.records.items()}, **self.ports.attachments()}
        sandboxes = [
            Sandbox(attachment, netns, attachment in self.records)
            for attachment, netns in places.items()
            if attachment not in self.locks
        ]
        return await self.in_thread(pod_links.without_sandbox, sandboxes) if sandboxes else []

    async def in_thread(self, work: Callable[..., T], *args: object) -> T:
        """Run what blocks, in a worker thread."""
        return await run_to_end(asyncio.get_running_loop().run_in_executor(self._workers, work, *args))
