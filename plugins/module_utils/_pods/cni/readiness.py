# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether this node can serve pods now, and the configuration that tells the runtime so."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os

from ..._common import names
from ..._common.errors import HostError
from ..._host.apply import apply_steps
from ..._host.desired import File, HostState
from ..._host.read import read_and_plan
from .. import interface as pod_interface

LOG = logging.getLogger("ovn-k8s-node")
STARTING = 1.0  # seconds in which a problem is none yet
GRACE = 30.0  # seconds that a problem lasts until the runtime is told: a restart of a service is none


class Readiness:
    """What :meth:`problem` says, kept up to date by :meth:`update`.

    :param ports: :class:`.ports.Ports`; ``synced``: an event that is set once the node's pods are known.
    """

    def __init__(self, ports, synced):
        self._ports = ports
        self._synced = synced
        self._ready = asyncio.Event()
        self._changed = asyncio.Event()

    def problem(self):
        """Why the node can't serve pods now, in one sentence; None when it can. An outage of the API server is none, once the pods are known."""
        problem = self._ports.problem()
        if problem is None and not self._synced.is_set():
            return "the API server has not told of this node's pods yet: look at journalctl -u ovn-k8s-node"
        return problem

    def update(self):
        """Something that it depends on may have changed."""
        if self.problem() is None:
            self._ready.set()
        else:
            self._ready.clear()
        self._changed.set()

    async def wait(self):
        """Until the node can serve."""
        await self._ready.wait()

    async def keep_configuration(self, path, run):
        """For ever: the runtime's configuration is there when the node can serve. It makes the kubelet's node Ready, so it comes last.

        :param run: our directory below /run. A file from before the last boot says nothing of now, and goes at once: where that directory is new,
            this is the first start since.
        """
        deletions = os.path.join(run, names.CNI_DELETIONS)
        if not os.path.isdir(deletions):
            self._write(path, None)
            os.makedirs(deletions, 0o700)
        told = ""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._ready.wait(), STARTING)
        while True:
            self._changed.clear()
            problem = self.problem()
            if problem != told:
                LOG.log(logging.WARNING if problem else logging.INFO, "%s", problem or "ready for pods")
                told = problem
            if problem is None:
                self._write(path, pod_interface.configuration(self._ports.node().mtu))
                await self._changed.wait()
                continue
            try:
                await asyncio.wait_for(self._changed.wait(), GRACE)
            except asyncio.TimeoutError:
                self._write(path, None)
                await self._changed.wait()

    @staticmethod
    def _write(path, content):
        """Make the file say this, None: there is none."""
        state = HostState(files=(File(path, content),))
        try:
            steps = read_and_plan(state)
            apply_steps(steps)
        except HostError as exc:
            LOG.error("%s", exc)
            return
        for step in steps:
            LOG.info("%s", step.describe())
