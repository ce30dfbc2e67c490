# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether this node can serve pods now, the runtime's network configuration, and who is told that it can't."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Optional

from ..._common import inotify, names
from ..._common.tasks import end
from .configuration import Configuration
from .conflist import configuration
from .ports import Ports

LOG = logging.getLogger("ovn-k8s-node")
STARTUP = 1.0  # seconds after the start in which a problem is not reported
GRACE = 30.0  # seconds that a problem must last until others are told; a service that restarts takes less
STARTING = "ovn-k8s-node has not served pods since its start"
STEADY = 5.0  # seconds without a problem after which it is over


Need = Callable[[], Optional[str]]


class Readiness:
    """Whether the node can serve pods; :meth:`update` keeps it current.

    :param synced: set once the node's pods are known.
    :param needs: each returns why something that pods need does not work now, None when it does.
    :param delays: as these, of what only new pods wait for. For these alone nobody is told: when all nodes are cut off
        from the databases at once, no pod must leave its Services, since what is set up goes on.
    :param on_told: called with why no new pods must come, None: they may.
    """

    def __init__(
        self,
        ports: Ports,
        synced: asyncio.Event,
        needs: Sequence[Need] = (),
        delays: Sequence[Need] = (),
        on_told: Callable[[str | None], object] = lambda _problem: None,
    ) -> None:
        self._ports = ports
        self._synced = synced
        self._needs, self._delays = needs, delays
        self._on_told = on_told
        self._told: str | None = None
        self._mark = ""
        self._configuration: Configuration | None = None
        self._ready = asyncio.Event()
        self._changed = asyncio.Event()

    def problem(self) -> str | None:
        """Return why the node can't serve pods now, in one sentence; None when it can.

        Once the pods are known, an outage of the API server is no problem.
        """
        return self._problem((*self._needs, *self._delays))

    def _lasting_problem(self) -> str | None:
        """Return why others must be told when it lasts, None: they need not."""
        return self._problem(self._needs)

    def _problem(self, needs: Sequence[Need]) -> str | None:
        for need in (self._ports.own.problem, *needs, self._ports.own.flows_problem):
            problem = need()
            if problem is not None:
                return problem
        if not self._synced.is_set():
            return "the API server has not sent this node's pods yet: look at journalctl -u ovn-k8s-node"
        return None

    def report(self) -> str | None:
        """Return :meth:`problem`, or why the runtime does not know that there is none."""
        return self.problem() or (self._configuration.problem if self._configuration else None)

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

    def told(self) -> str | None:
        """Return why the runtime and the scheduler are to send no new pods, None: they may.

        A restart of a daemon takes less than what that takes, and ADD waits for it.
        """
        return None if self._told is None else self.problem() or self._told

    async def keep_configuration(self, path: str, run_directory: str) -> None:
        """Keep the runtime's network configuration, and what the runtime and the scheduler are told, for ever.

        The kubelet calls the node Ready when the file exists. It is first written when the node can serve pods, as the
        last step. From then on it stays, since without it containerd refuses DEL; when somebody changes or removes it,
        it is written again at once.

        A file from before the last boot is removed at once, so that pods wait for the node in the usual case, and is
        back when the node is ready, or has not been for GRACE. The run directory is below /run: where it is new, this
        is the first start since the boot.

        :param path: of the configuration.
        """
        file = self._configuration = Configuration(path)
        deletions = os.path.join(run_directory, names.CNI_DELETIONS)
        self._mark = os.path.join(run_directory, names.CNI_UNAVAILABLE)
        had_file = os.path.exists(path) or os.path.isdir(deletions)
        if os.path.exists(self._mark):
            self._tell(STARTING)
        if not os.path.isdir(deletions):
            self._tell(STARTING)
            file.keep(None)
            os.makedirs(deletions, 0o700)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._ready.wait(), STARTUP)
        watch = asyncio.ensure_future(inotify.watch([path], self._changed.set))
        try:
            await self._keep_configuration(file, had_file)
        finally:
            await end([watch])

    async def _keep_configuration(self, file: Configuration, had_file: bool) -> None:
        """Write the configuration, and tell what has changed, at each change.

        :param had_file: whether the file was there before, so that the runtime may have pods to delete.
        """
        reported: str | None = ""
        patience = Patience()
        while True:
            self._changed.clear()
            problem = self.problem()
            if problem != reported:
                LOG.log(logging.WARNING if problem else logging.INFO, "%s", problem or "ready for pods")
                reported = problem
            file.look_around()
            waits = [patience.take(self._lasting_problem() is not None, asyncio.get_running_loop().time())]
            if patience.is_at_end:
                self._tell(self._lasting_problem() or problem or self._told or STARTING)
                if had_file and not os.path.exists(file.path):
                    waits.append(file.keep(partial(configuration, self._mtu())))
            elif problem is None:
                waits.append(file.keep(partial(configuration, self._mtu())))
                had_file = True
                self._tell(None)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(
                    self._changed.wait(), min((one for one in waits if one is not None), default=None)
                )

    def _mtu(self) -> int | None:
        """Return the MTU of the pods' network, None while the database does not tell."""
        return None if self._ports.own.problem() else self._ports.own.facts().mtu

    def _tell(self, problem: str | None) -> None:
        """Tell the runtime and the scheduler; a mark below /run says so to the next start."""
        self._told = problem
        self._on_told(problem)
        with contextlib.suppress(OSError):
            if problem is None:
                os.unlink(self._mark)
            else:
                os.close(os.open(self._mark, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


class Patience:
    """How long a problem is endured.

    :ivar is_at_end: whether others are told: from the moment at which a problem has lasted for GRACE until there
        was none for STEADY. Less health than that does not interrupt a problem that comes and goes.
    """

    def __init__(self) -> None:
        self.is_at_end = False
        self._broken: float | None = None  # since when
        self._healthy: float | None = None

    def take(self, is_broken: bool, now: float) -> float | None:
        """Take in whether there is a problem; return the seconds until this must be called again."""
        if not is_broken and self._broken is None:
            return None
        if is_broken:
            self._healthy = None
            self._broken = now if self._broken is None else self._broken
            left = self._broken + GRACE - now
            self.is_at_end = self.is_at_end or left <= 0
        else:
            self._healthy = now if self._healthy is None else self._healthy
            left = self._healthy + STEADY - now
            if left <= 0:
                self.is_at_end, self._broken = False, None
        return left if left > 0 else None


def plugin_problem(path: str) -> str | None:
    """Return why the runtime can't start the plugin, None when it can."""
    return None if os.access(path, os.X_OK) else f"{path} is missing: run ovn.kubernetes.site"
