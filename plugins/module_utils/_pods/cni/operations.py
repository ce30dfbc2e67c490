# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the operations of the CNI specification do on this node."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os

from ..._common import names
from ..._common.errors import DatabaseError, HostError
from .. import interface as pod_interface
from ..interface import PodInterface
from . import links, protocol
from .pods import gone
from .ports import to_its_end
from .protocol import CONFIGURATION, DIFFERS, FAILED, NOT_AVAILABLE, TRY_AGAIN, UNKNOWN_CONTAINER, CniError

LOG = logging.getLogger("ovn-k8s-node")


class Operations:
    """The operations; one attachment is worked on by one of them at a time.

    :param pods: :class:`.pods.Pods`.
    :param ports: :class:`.ports.Ports`.
    :param workers: an executor for what blocks.
    :param readiness: has ``problem()``, which says why the node can't serve now (None when it can), and ``wait()`` until it can.
    :param patience: seconds after which an ADD that is not done gives up.
    :param deletions: folder where the plugin leaves what was to be deleted while this server was away.
    """

    def __init__(self, pods, ports, workers, readiness, patience, deletions):
        self._pods = pods
        self._ports = ports
        self._workers = workers
        self._readiness = readiness
        self._patience = patience
        self._deletions = deletions
        self._locks = {}
        self._adding = {}

    async def run(self, request):
        """The answer to a request, None where there is none to give. :raises CniError: what the runtime is told instead."""
        work = {"ADD": self._add, "DEL": self._del, "CHECK": self._check, "GC": self._gc, "STATUS": self._status}
        try:
            if request.command == "VERSION":
                return protocol.versions(request)
            return await work[request.command](request)
        except (DatabaseError, HostError) as exc:
            raise CniError(FAILED, str(exc)) from None

    # ADD.

    async def _add(self, request):
        async with self._alone(request.attachment):
            waits, late = _Waits(), []
            work = self._adding[request.attachment] = asyncio.ensure_future(self._attach(request, waits))
            timer = asyncio.get_running_loop().call_later(
                self._patience, lambda: (late.append(waits.reason()), work.cancel())
            )
            try:
                while not work.done():
                    # Whoever cuts it off, the next one's turn comes when it has cleaned up.
                    try:
                        await asyncio.wait([work])
                    except asyncio.CancelledError:
                        work.cancel()
            finally:
                timer.cancel()
                del self._adding[request.attachment]
            if work.cancelled() and late:
                raise CniError(TRY_AGAIN, f"gave up after {self._patience:.0f} s: {late[0]}")
            return work.result()

    async def _attach(self, request, waits):
        waits.reason = lambda: self._pods.waits_for(request.pod, request.uid)
        uid, network = await self._pods.network(request.pod, request.uid)
        waits.reason = self._readiness.problem
        await self._readiness.wait()
        interface = self._interface(request, uid, network)
        try:
            mac = await self._in_thread(links.attach, interface)
            waits.reason = lambda: "Open vSwitch's database did not take the port"
            await self._ports.converge(
                interface.owner, pod_interface.rows(interface), f"ovn-k8s-node: ADD {request.pod}"
            )
            waits.reason = lambda: self._why_not_installed(interface)
            await self._unless_gone(self._ports.installed(interface.outer), request.pod, uid)
            self._unless_given_another(request.pod, uid, network)
            await self._announce(interface)
        except BaseException:
            await to_its_end(self._clean(request.attachment, request.pod))
            raise
        LOG.info("%s: %s has %s on %s", request.pod, request.ifname, ", ".join(network.addresses), interface.outer)
        return protocol.result(request, interface.outer, mac, network, interface.mtu)

    async def _announce(self, interface):
        """Tell the neighbours, in threads of its own: what is nearly done does not wait for what has just begun."""
        loop = asyncio.get_running_loop()
        sent = await to_its_end(loop.run_in_executor(None, links.announce, interface))
        loop.run_in_executor(None, sent.close)

    def _interface(self, request, uid, network):
        node = self._ports.node()
        return PodInterface(
            *request.attachment,
            request.netns,
            request.args["K8S_POD_NAMESPACE"],
            request.args["K8S_POD_NAME"],
            uid,
            network,
            node.mtu,
            node.userspace,
        )

    def _why_not_installed(self, interface):
        error = self._ports.error(interface.outer)
        if error:
            return f"Open vSwitch can't use {interface.outer}: {error}"
        return "ovn-controller did not install the flows of logical port {}: look at its log, and whether the port is there (ovn-nbctl show)".format(
            names.pod_port(interface.namespace, interface.pod)
        )

    async def _unless_gone(self, wanted, key, uid):
        """Wait for what is wanted, but not longer than the pod lives."""
        wanted, leaves = asyncio.ensure_future(wanted), asyncio.ensure_future(self._pods.leaves(key, uid))
        try:
            await asyncio.wait((wanted, leaves), return_when=asyncio.FIRST_COMPLETED)
            if not wanted.done():
                raise gone(key)
            wanted.result()
        finally:
            for task in (wanted, leaves):
                task.cancel()

    def _unless_given_another(self, key, uid, network):
        """The watcher may have had to give it another address: its port was lost, and somebody else has the old one."""
        pod = self._pods.known(key, uid)
        if pod is None:
            raise gone(key)
        now = self._pods.network_of(key, pod)
        if now != network:
            what = "none" if now is None else ", ".join(now.addresses)
            raise CniError(TRY_AGAIN, f"pod {key} was given another network while its interface was made: {what}")

    # DEL.

    async def _del(self, request):
        adding = self._adding.get(request.attachment)
        if adding is not None:
            adding.cancel()
        async with self._alone(request.attachment):
            await self._remove(request.attachment, request.pod)

    async def _remove(self, attachment, what):
        """Take the port and the links away, whatever of them there is."""
        plan = await self._ports.converge(pod_interface.owner(*attachment), [], f"ovn-k8s-node: DEL {what}")
        removed = await self._in_thread(links.detach, names.pod_link(*attachment))
        if plan or removed:
            LOG.info("%s: %s of %s is gone", what, attachment[1], attachment[0][:13])

    async def _clean(self, attachment, what):
        """After a failure: leave nothing behind; what can't be removed now is for DEL and the sweep."""
        for step in (
            self._in_thread(links.detach, names.pod_link(*attachment)),
            self._ports.converge(pod_interface.owner(*attachment), [], f"ovn-k8s-node: ADD of {what} failed"),
        ):
            try:
                await step
            except (DatabaseError, HostError) as exc:
                LOG.warning("%s: %s", what, exc)

    # CHECK.

    async def _check(self, request):
        async with self._alone(request.attachment):
            if self._readiness.problem():
                raise CniError(TRY_AGAIN, self._readiness.problem())
            pod = self._pods.known(request.pod, request.uid)
            if pod is None or request.attachment not in self._ports.attachments():
                raise CniError(
                    UNKNOWN_CONTAINER,
                    f"pod {request.pod} has no interface {request.ifname} in container {request.container} on this node",
                )
            network = self._pods.network_of(request.pod, pod)
            wrong = (
                self._pods.waits_for(request.pod, request.uid)
                if network is None
                else protocol.contradiction(request, network)
            )
            if wrong:
                raise CniError(DIFFERS, wrong)
            interface = self._interface(request, pod.uid, network)
            found = await self._in_thread(links.differences, interface)
            found += [change.describe() for change in self._ports.plan(interface.owner, pod_interface.rows(interface))]
            if not self._ports.is_installed(interface.outer):
                found.append(self._why_not_installed(interface))
            if found:
                raise CniError(DIFFERS, f"pod {request.pod} is not as it should be: " + "; ".join(found))

    # GC, STATUS, and what follows from events.

    async def _gc(self, request):
        try:
            valid = {(item["containerID"], item["ifname"]) for item in request.config["cni.dev/valid-attachments"]}
        except (KeyError, TypeError):
            raise CniError(
                CONFIGURATION, "cni.dev/valid-attachments must be a list of objects with containerID and ifname"
            ) from None
        if not self._ports.replica.connected:
            raise CniError(TRY_AGAIN, self._ports.problem())
        for attachment in self._ports.attachments():
            if attachment not in valid and attachment not in self._adding:
                async with self._alone(attachment):
                    await self._remove(attachment, "GC")

    async def _status(self, _request):
        problem = self._readiness.problem()
        if problem:
            raise CniError(NOT_AVAILABLE, problem)

    async def sweep(self):
        """Take away the ports whose sandbox is gone, and do the deletions that were left for us."""
        for path, payload in self._left_deletions():
            try:
                request = protocol.parse(payload)
                await self._del(request)
            except CniError as exc:
                LOG.warning("a deletion that was left can't be done: %s", exc.msg)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        idle = {
            attachment: netns
            for attachment, netns in self._ports.attachments().items()
            if attachment not in self._locks
        }
        sandboxes = [(names.pod_link(*attachment), netns) for attachment, netns in idle.items()]
        for number in await self._in_thread(links.dead, sandboxes) if sandboxes else ():
            attachment = list(idle)[number]
            if attachment not in self._locks:
                async with self._alone(attachment):
                    await self._remove(attachment, "its sandbox is gone")

    def _left_deletions(self):
        try:
            paths = [entry.path for entry in os.scandir(self._deletions) if not entry.name.endswith(".new")]
        except FileNotFoundError:
            return
        for path in paths:
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as stream:
                yield path, stream.read()

    # One at a time, and what blocks.

    @contextlib.asynccontextmanager
    async def _alone(self, attachment):
        entry = self._locks.setdefault(attachment, [asyncio.Lock(), 0])
        entry[1] += 1
        try:
            async with entry[0]:
                yield
        finally:
            entry[1] -= 1
            if not entry[1]:
                del self._locks[attachment]

    async def _in_thread(self, work, *args):
        """Run what blocks."""
        return await to_its_end(asyncio.get_running_loop().run_in_executor(self._workers, work, *args))


class _Waits:
    """What an ADD waits for."""

    reason = staticmethod(lambda: "it waits for its turn")
