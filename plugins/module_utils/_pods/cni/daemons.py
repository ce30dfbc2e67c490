# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the daemons that serve pods run: ovs-vswitchd and ovn-controller, by their control sockets.

A control socket speaks JSON-RPC (ovs-appctl(8)). The connection stays open, so the end of a daemon is known at once; a
question now and then finds one that hangs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import NamedTuple

from ..._common.errors import DatabaseError, DatabaseUnreachable, Disconnected
from ..._ovsdb.channel import Channel
from ..._ovsdb.control_socket import control_socket

LOOK = 2.0  # seconds between two questions
RETRY = 0.5  # seconds until a daemon that does not run is looked for again
# Seconds for an answer: ovn-controller does not answer while it computes all flows anew.
PATIENCE = 10.0


class Kind(NamedTuple):
    """A daemon.

    :ivar unit: that starts it.
    :ivar question: a command of its control socket.
    :ivar answer: what it says when all is well; None: anything.
    :ivar otherwise: the sentence for any other answer.
    """

    name: str
    unit: str
    question: str
    answer: str | None = None
    otherwise: str = ""


VSWITCHD = Kind("ovs-vswitchd", "ovs-vswitchd", "version")
CONTROLLER = Kind(
    "ovn-controller",
    "ovn-controller",
    "connection-status",
    "connected",
    "ovn-controller is not connected to the Southbound database: look at /var/log/ovn/ovn-controller.log",
)


class Daemon:
    """One daemon of this host.

    :param directory: of its pid file and its control socket.
    :param on_change: called when :attr:`problem` has changed.

    :ivar problem: why it does not serve now, in one sentence; None when it does.
    :ivar is_cut_off: whether it runs and waits for what is elsewhere. What it has set up goes on.
    """

    def __init__(self, kind: Kind, directory: str, on_change: Callable[[], object]) -> None:
        self.problem: str | None = f"{kind.name} was not asked yet"
        self.is_cut_off = False
        self._kind = kind
        self._directory = directory
        self._on_change = on_change

    async def run(self) -> None:
        """Follow the daemon for ever."""
        while True:
            try:
                await self._follow()
            except Disconnected as exc:
                self._set(f"{self._kind.name} does not answer: {exc}; look at systemctl status {self._kind.unit}")
                if await self._is_gone():
                    self._set(self._not_running())
            except (DatabaseError, OSError, ValueError):
                self._set(self._not_running())
            await asyncio.sleep(RETRY)

    def _not_running(self) -> str:
        return f"{self._kind.name} does not run: systemctl start {self._kind.unit}"

    def own_problem(self) -> str | None:
        """Return :attr:`problem`, None when the daemon is only cut off."""
        return None if self.is_cut_off else self.problem

    def remote_problem(self) -> str | None:
        """Return :attr:`problem` when the daemon is only cut off."""
        return self.problem if self.is_cut_off else None

    def _set(self, problem: str | None, is_cut_off: bool = False) -> None:
        if problem != self.problem:
            self.problem, self.is_cut_off = problem, is_cut_off
            self._on_change()

    async def _is_gone(self) -> bool:
        """Return whether nobody listens at its control socket."""
        try:
            (await self._open()).close()
        except (DatabaseUnreachable, OSError, ValueError):
            return True
        return False

    async def _open(self) -> Channel:
        """:raises OSError, ValueError: there is no pid file."""
        remote = control_socket(self._directory, self._kind.name)
        return await Channel.open(remote, lambda _method, _params: None, PATIENCE)

    async def _follow(self) -> None:
        """Ask until the connection ends, which always ends in an exception."""
        channel = await self._open()
        try:
            while True:
                problem = await self._ask(channel)
                self._set(problem, problem is not None)
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(channel.closed.wait(), LOOK)
                    raise DatabaseUnreachable(f"{self._kind.name} ended")
        finally:
            channel.close()

    async def _ask(self, channel: Channel) -> str | None:
        """Return why the daemon does not serve, None: it does."""
        try:
            answer = str(await channel.request(self._kind.question, [], PATIENCE)).strip()
        except (Disconnected, DatabaseUnreachable):
            raise
        except DatabaseError:  # it runs, and is too old for the question
            return None
        return self._kind.otherwise if self._kind.answer not in (None, answer) else None


def daemons(openvswitch_directory: str, ovn_directory: str, on_change: Callable[[], object]) -> list[Daemon]:
    """Return the daemons that a node needs."""
    return [Daemon(VSWITCHD, openvswitch_directory, on_change), Daemon(CONTROLLER, ovn_directory, on_change)]
