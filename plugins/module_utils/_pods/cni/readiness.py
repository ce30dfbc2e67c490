# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether this node can serve pods now, and the network configuration that tells the runtime so."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Sequence

from ..._common import inotify, names
from ..._common.errors import HostError
from ..._host.apply import apply_steps
from ..._host.desired import File, HostState
from ..._host.read import read_and_plan
from .ports import Ports
from .protocol import configuration

LOG = logging.getLogger("ovn-k8s-node")
STARTUP = 1.0  # seconds after the start in which a problem is not reported
GRACE = 30.0  # seconds that a problem must last until the runtime is told; a service that restarts takes less


class Readiness:
    """Whether the node can serve pods; :meth:`update` keeps it current.

    :param synced: set once the node's pods are known.
    :param needs: each returns why something that pods need does not work now, None when it does.
    """

    def __init__(self, ports: Ports, synced: asyncio.Event, needs: Sequence[Callable[[], str | None]] = ()) -> None:
        self._ports = ports
        self._synced = synced
        self._needs = needs
        self._unwritten: str | None = None  # why the runtime's configuration can't be written
        self._ready = asyncio.Event()
        self._changed = asyncio.Event()

    def problem(self) -> str | None:
        """Return why the node can't serve pods now, in one sentence; None when it can.

        Once the pods are known, an outage of the API server is no problem.
        """
        for need in (self._ports.own.problem, *self._needs, self._ports.own.flows_problem):
            problem = need()
            if problem is not None:
                return problem
        if not self._synced.is_set():
            return "the API server has not sent this node's pods yet: look at journalctl -u ovn-k8s-node"
        return None

    def report(self) -> str | None:
        """Return :meth:`problem`, or why the runtime does not know that there is none."""
        return self.problem() or self._unwritten

    def update(self) -> None:
        """Take in that something has changed that :meth:`problem` depends on."""
        if self.problem() is None:
            self._ready.set()
        else:
            self._ready.clear()
        self._changed.set()

    async def wait(self) -> None:
        """Wait until the node can serve pods."""
        await self._ready.wait()

    async def keep_configuration(self, path: str, run_directory: str) -> None:
        """Keep the runtime's network configuration, for ever: it exists while the node can serve pods.

        The kubelet calls the node Ready when the file exists, so it is written last. When somebody changes or removes
        it, it is written again at once.

        A file from before the last boot is removed at once. The run directory is below /run: where it is new, this is
        the first start since the boot.

        :param path: of the configuration.
        """
        deletions = os.path.join(run_directory, names.CNI_DELETIONS)
        if not os.path.isdir(deletions):
            _write(path, None)
            os.makedirs(deletions, 0o700)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._ready.wait(), STARTUP)
        watch = asyncio.ensure_future(inotify.watch([path], self._changed.set))
        try:
            await self._keep_configuration(path)
        finally:
            watch.cancel()

    async def _keep_configuration(self, path: str) -> None:
        """Write the configuration, or remove it, at each change."""
        reported: str | None = ""
        since: float | None = None  # when the problem began
        while True:
            self._changed.clear()
            problem = self.problem()
            if problem != reported:
                LOG.log(logging.WARNING if problem else logging.INFO, "%s", problem or "ready for pods")
                reported = problem
            if problem is None:
                since = None
                self._unwritten = _write(path, configuration(self._ports.own.facts().mtu))
                await self._changed.wait()
                continue
            now = asyncio.get_running_loop().time()
            since = now if since is None else since
            try:
                await asyncio.wait_for(self._changed.wait(), max(0.0, since + GRACE - now))
            except asyncio.TimeoutError:
                _write(path, None)
                await self._changed.wait()


def plugin_problem(path: str) -> str | None:
    """Return why the runtime can't start the plugin, None when it can."""
    return None if os.access(path, os.X_OK) else f"{path} is missing: run ovn.kubernetes.site"


def _write(path: str, content: str | None) -> str | None:
    """Make the file have this content; None: remove it. Return why it can't be done, None: it is done."""
    desired = HostState(files=(File(path, content),))
    try:
        steps = read_and_plan(desired)
        apply_steps(steps)
    except HostError as exc:
        LOG.error("%s", exc)
        return str(exc)
    for step in steps:
        LOG.info("%s", step.describe())
    return None
