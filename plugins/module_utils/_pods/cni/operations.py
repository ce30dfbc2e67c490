# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The operations of the CNI specification (section 2, "CNI operations") on this node."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from ..._common.errors import OvnKubernetesError
from ..annotation import PodNetwork
from ..interface import Attachment, PodInterface
from ..model import Pod
from . import deletions, protocol, result
from .attachments import Attachments
from .concurrency import run_to_end
from .errors import CniError, ErrorCode
from .known_pods import KnownPods, deleted
from .protocol import Request
from .readiness import Readiness
from .sweep import remove_each

LOG = logging.getLogger("ovn-k8s-node")


class Operations:
    """The operations; each attachment is worked on by one of them at a time.

    :param add_timeout: seconds after which ADD gives up.
    :param deletions_directory: where the plugin leaves its DEL requests while this server is away.
    """

    def __init__(
        self,
        pods: KnownPods,
        attachments: Attachments,
        readiness: Readiness,
        add_timeout: float,
        deletions_directory: str,
    ) -> None:
        self._pods = pods
        self._attachments = attachments
        self._ports = attachments.ports
        self._locks = attachments.locks
        self._readiness = readiness
        self._add_timeout = add_timeout
        self._deletions = deletions_directory
        self._adding: dict[Attachment, _Adding] = {}

    async def run(self, request: Request) -> dict[str, Any] | None:
        """Return the result of a request, None where the command has none.

        :raises CniError: the error for the runtime.
        """
        work: dict[str, Callable[[Request], Coroutine[Any, Any, dict[str, Any] | None]]] = {
            "ADD": self._add,
            "DEL": self._del,
            "CHECK": self._check,
            "GC": self._gc,
            "STATUS": self._status,
        }
        try:
            if request.command == "VERSION":
                return result.versions(request)
            return await work[request.command](request)
        except OvnKubernetesError as exc:
            raise CniError(ErrorCode.FAILED, str(exc)) from None

    # ADD.

    async def _add(self, request: Request) -> dict[str, Any]:
        async with self._locks.hold(request.attachment):
            progress = _Progress()
            await self._finish_deletion(request.attachment)
            self._attachments.begin(request.attachment, request.namespace, request.pod_name)
            work = asyncio.ensure_future(self._attach(request, progress))
            adding = self._adding[request.attachment] = _Adding(work)

            def give_up() -> None:
                adding.stop(f"gave up after {self._add_timeout:.0f} s: {progress.waits_for()}")

            timer = asyncio.get_running_loop().call_later(self._add_timeout, give_up)
            try:
                while not work.done():
                    # Also when this request is cancelled, the lock is held until the work has cleaned up.
                    try:
                        await asyncio.wait([work])
                    except asyncio.CancelledError:
                        work.cancel()
            finally:
                timer.cancel()
                del self._adding[request.attachment]
                self._attachments.end(request.attachment)
            if work.cancelled() and adding.reason:
                raise CniError(ErrorCode.TRY_AGAIN_LATER, adding.reason)
            return work.result()

    async def _finish_deletion(self, attachment: Attachment) -> None:
        """Carry out the DEL request that was left for an attachment, before it is made anew."""
        path = deletions.path_of(self._deletions, attachment)
        if os.path.lexists(path):
            await self._attachments.remove(attachment, "a deletion that was left")
            deletions.LeftDeletion(path, b"").remove()

    def _make_way(self, attachment: Attachment) -> None:
        """End the ADD of a sandbox whose pod has a newer one."""
        adding = self._adding.get(attachment)
        if adding is not None:
            adding.stop("the pod has a newer sandbox, which gets its port")

    async def _attach(self, request: Request, progress: _Progress) -> dict[str, Any]:
        progress.waits_for = lambda: self._pods.missing(request.pod, request.uid)
        pod, network = await self._pods.wait_for_network(request.pod, request.uid)
        progress.waits_for = self._readiness.problem
        await self._readiness.wait()
        interface = self._interface(request, pod, network)
        progress.waits_for = lambda: "the pod's links and its port in Open vSwitch's database are not made yet"
        try:
            await self._attachments.replace_older(interface, self._make_way)
            mac = await self._attachments.make(interface, f"ovn-k8s-node: ADD {request.pod}")
            progress.waits_for = lambda: self._ports.why_no_flows(interface)
            await self._unless_deleted(self._ports.wait_for_flows(interface.host_link), pod)
            self._check_same_network(pod, network)
            await self._attachments.announce(interface)
            self._attachments.keep(interface)
        except BaseException:
            await run_to_end(self._attachments.clean(request.attachment, request.pod))
            raise
        addresses = ", ".join(network.addresses)
        LOG.info("%s: %s has %s on %s", request.pod, request.ifname, addresses, interface.host_link)
        return result.success(request, interface.host_link, mac, network, interface.mtu)

    def _interface(self, request: Request, pod: Pod, network: PodNetwork) -> PodInterface:
        """Return the desired interface."""
        node = self._ports.own.facts()
        return PodInterface(
            request.attachment,
            request.netns,
            request.namespace,
            request.pod_name,
            pod.identity,
            network,
            node.mtu,
            node.userspace,
            request.network,
        )

    async def _unless_deleted(self, work: Coroutine[Any, Any, None], pod: Pod) -> None:
        """Wait for work, but not longer than the pod exists. :raises CniError: when the pod was deleted."""
        task = asyncio.ensure_future(work)
        deletion = asyncio.ensure_future(self._pods.wait_for_deletion(pod.key, pod.identity))
        try:
            await asyncio.wait((task, deletion), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise deleted(pod.key)
            task.result()
        finally:
            task.cancel()
            deletion.cancel()

    def _check_same_network(self, pod: Pod, network: PodNetwork) -> None:
        """Check that the pod still has this network.

        When the pod's logical port was lost, and another one has its address, then the watcher has given it a new
        address.

        :raises CniError: when the network is another one, or the pod was deleted.
        """
        current_pod = self._pods.get(pod.key, pod.identity)
        if current_pod is None:
            raise deleted(pod.key)
        current = self._pods.network_of(current_pod)
        if current != network:
            addresses = "none" if current is None else ", ".join(current.addresses)
            raise CniError(
                ErrorCode.TRY_AGAIN_LATER,
                f"pod {pod.key} was given another network while its interface was made: {addresses}",
            )

    # DEL.

    async def _del(self, request: Request) -> None:
        adding = self._adding.get(request.attachment)
        if adding is not None:
            adding.stop()
        async with self._locks.hold(request.attachment):
            await self._attachments.remove(request.attachment, request.pod)

    # CHECK.

    async def _check(self, request: Request) -> None:
        async with self._locks.hold(request.attachment):
            problem = self._readiness.problem()
            if problem:
                raise CniError(ErrorCode.TRY_AGAIN_LATER, problem)
            pod = self._pods.get(request.pod, request.uid)
            if pod is None or request.attachment not in self._ports.attachments():
                raise CniError(
                    ErrorCode.UNKNOWN_CONTAINER,
                    f"pod {request.pod} has no interface {request.ifname} in container {request.container} "
                    "on this node",
                )
            network = self._pods.network_of(pod)
            if network is None:
                raise CniError(ErrorCode.DIFFERS, self._pods.missing(request.pod, request.uid))
            contradiction = result.contradiction(request, network)
            if contradiction:
                raise CniError(ErrorCode.DIFFERS, contradiction)
            of_network = self._ports.networks().get(request.attachment, "")
            interface = replace(self._interface(request, pod, network), network_name=of_network)
            lines = await self._attachments.differences(interface)
            if not self._ports.has_flows(interface.host_link):
                lines.append(self._ports.why_no_flows(interface))
            if lines:
                raise CniError(ErrorCode.DIFFERS, f"pod {request.pod} is not as it should be: {'; '.join(lines)}")

    # GC and STATUS.

    async def _gc(self, request: Request) -> None:
        try:
            valid = {
                Attachment(item["containerID"], item["ifname"]) for item in request.config[protocol.VALID_ATTACHMENTS]
            }
        except (KeyError, TypeError):
            raise CniError(
                ErrorCode.INVALID_CONFIGURATION,
                f"{protocol.VALID_ATTACHMENTS} must be a list of objects with containerID and ifname",
            ) from None
        if not self._ports.replica.connected:
            raise CniError(ErrorCode.TRY_AGAIN_LATER, self._ports.own.problem() or "")
        # One that is worked on now is newer than the runtime's list.
        unknown = self._attachments.of_network(request.network) - valid
        await remove_each(self._attachments, unknown, f"GC of network {request.network}")

    async def _status(self, _request: Request) -> None:
        problem = self._readiness.told()
        if problem:
            raise CniError(ErrorCode.NOT_AVAILABLE, problem)


class _Adding:
    """An ADD that goes on.

    :ivar reason: why it was stopped; empty: it was not, or by a DEL.
    """

    def __init__(self, work: asyncio.Future[dict[str, Any]]) -> None:
        self.reason = ""
        self._work = work

    def stop(self, reason: str = "") -> None:
        """End it; it cleans up first."""
        self.reason = self.reason or reason
        self._work.cancel()


class _Progress:
    """What an ADD waits for now: :attr:`waits_for` returns it as a sentence."""

    def __init__(self) -> None:
        self.waits_for: Callable[[], str | None] = lambda: "another request for this interface is not done"
