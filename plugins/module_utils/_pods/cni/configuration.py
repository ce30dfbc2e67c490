# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The file with the runtime's network configuration: without it the kubelet calls the node NotReady."""

from __future__ import annotations

import logging
import time
from typing import Callable, Optional

from ..._common.errors import HostError
from ..._common.files import read_file
from ..._common.retry import Pause
from ..._host.apply import apply_steps
from ..._host.desired import File, HostState
from ..._host.read import read_and_plan
from . import conflist

LOG = logging.getLogger("ovn-k8s-node")
# Seconds from a write that failed, or that somebody may undo, to the next: neither a full disk nor another program that
# removes the file keeps this host busy.
AGAIN = Pause(0.2, longest=30.0)
STEADY = 60.0  # seconds without a write after which the next one is the first again
OFTEN = 4  # writes after which somebody undoes them
Make = Callable[[str], Optional[str]]


class Configuration:
    """The file.

    :ivar path: its path.
    :ivar problem: why it is not as desired, in one sentence; None when it is.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.problem: str | None = None
        self._known = ""  # its last text: whoever removes it does not mean the plugins that others have added
        self._earlier: list[conflist.Earlier] = []
        self._writes = 0
        self._last = self._due = 0.0  # when it was written, and when it may be written again

    def keep(self, make: Make | None) -> float | None:
        """Make the file have the content that is made of its text, None: remove it, unless that was done just now.

        :returns: seconds until it must be looked at again; None: only when something changes.
        """
        now = time.monotonic()
        if now - self._last > STEADY:
            self._writes = 0
        is_due = now >= self._due
        undone = f"{self.path} is changed by another program again and again: look for another CNI agent"
        try:
            self._read()
            steps = read_and_plan(HostState(files=(File(self.path, make(self._known) if make else None),)))
            if steps and is_due:
                self._count(now)
                apply_steps(steps)
        except HostError as exc:
            if is_due and self._last != now:  # it can't even be read
                self._count(now)
            self._fail(str(exc))
            return self._due - now
        if steps and not is_due:
            if self._writes >= OFTEN and self.problem is None:
                self._fail(undone)
            return self._due - now
        for step in steps:
            LOG.info("%s", step.describe())
        if self.problem == undone and now < self._due:
            return self._due - now
        self.problem = None
        return None

    def _read(self) -> None:
        try:
            file = read_file(self.path)
        except OSError:
            return  # the plan says why
        self._known = file.content if file else self._known

    def look_around(self) -> None:
        """Log which configurations of others the runtime takes instead, when that changes."""
        found = conflist.earlier(self.path)
        for other in found:
            if other not in self._earlier:
                LOG.warning("%s: %s; %s", other.describe(self.path), other.causes, other.mend)
        if self._earlier and not found:
            LOG.info("%s comes first", self.path)
        self._earlier = found

    def _count(self, now: float) -> None:
        """Take in that it is written now."""
        self._writes, self._last = self._writes + 1, now
        self._due = now + AGAIN.seconds(self._writes - 1)

    def _fail(self, problem: str) -> None:
        if problem != self.problem:
            LOG.error("%s", problem)
        self.problem = problem
