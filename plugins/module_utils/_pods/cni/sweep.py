# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The removal of what a runtime has not deleted while this server ran, or never."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Iterable

from ..._common import names
from ..._common.errors import OvnKubernetesError
from ..interface import Attachment
from . import deletions, protocol
from .attachments import Attachments
from .errors import CniError
from .known_pods import KnownPods

LOG = logging.getLogger("ovn-k8s-node")


async def remove_each(
    attachments: Attachments,
    which: Iterable[Attachment],
    what: str,
    before: Callable[[Attachment], object] = lambda _attachment: None,
) -> None:
    """Remove these attachments, as far as nobody works on them. One that can't be removed keeps no other from it.

    :param what: why, for the log.
    :param before: called with each before it is removed.
    :raises OvnKubernetesError: the last one that was met.
    """
    failure: OvnKubernetesError | None = None
    for attachment in which:
        if attachment in attachments.locks:
            continue
        async with attachments.locks.hold(attachment):
            before(attachment)
            try:
                await attachments.remove(attachment, what)
            except OvnKubernetesError as exc:
                LOG.warning("%s: %s can't be removed: %s", what, attachment.host_link, exc)
                failure = exc
    if failure is not None:
        raise failure


class Sweep:
    """The removal.

    :param run_directory: where the plugin leaves its DEL requests while this server is away.
    :param on_lost_sandbox: called with an attachment before it is removed because its sandbox is gone.
    """

    def __init__(
        self,
        pods: KnownPods,
        attachments: Attachments,
        run_directory: str,
        on_lost_sandbox: Callable[[Attachment], object],
    ) -> None:
        self._pods = pods
        self._attachments = attachments
        self._deletions = os.path.join(run_directory, names.CNI_DELETIONS)
        self._refused = os.path.join(run_directory, names.CNI_REFUSED)
        self._on_lost_sandbox = on_lost_sandbox

    async def run(self) -> None:
        """Carry out the DEL requests that were left for this server, and remove the ports whose sandbox is gone, and
        those of sandboxes whose pod has a newer one.

        :raises Exception: the last that kept some of it from being done; all else is done.
        """
        failures: list[Exception] = []

        async def attempt(what: str, work: Awaitable[None]) -> None:
            try:
                await work
            except Exception as exc:
                LOG.warning("%s could not be done: %s", what, exc)
                failures.append(exc)

        for left in deletions.read(self._deletions):
            await attempt(f"the deletion {left.path}", self._carry_out(left))
        await attempt("the removal of older sandboxes' ports", self._attachments.keep_newest(self._pods))
        self._attachments.rebuild(self._pods)
        await attempt("the removal of what has no sandbox", self._remove_without_sandbox())
        if failures:
            raise failures[-1]

    async def _remove_without_sandbox(self) -> None:
        lost = await self._attachments.without_sandbox(self._pods.synced.is_set())
        await remove_each(self._attachments, lost, "its sandbox is gone", self._on_lost_sandbox)

    async def _carry_out(self, left: deletions.LeftDeletion) -> None:
        """Carry out a DEL request that was left, and remove it. The runtime was told that it is done: where only its
        configuration can't be read, its variables say enough.
        """
        problem = left.problem
        try:
            if not problem:
                request = protocol.parse_deletion(left.payload)
                async with self._attachments.locks.hold(request.attachment):
                    if not os.path.lexists(left.path):
                        return  # an ADD of the same attachment has carried it out
                    await self._attachments.remove(request.attachment, request.pod)
                protocol.parse(left.payload)
        except CniError as exc:
            problem = exc.msg
        if problem:
            place = left.set_aside(self._refused)
            LOG.warning("a deletion that was left can't be read: %s: it is now %s", problem, place)
        else:
            left.remove()
