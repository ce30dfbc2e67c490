# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Carry out one step on the host that it names: with conditions that are waited for, never with pauses."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import DatabaseError, Disconnected, HostError
from .._common.retry import Pause, wait_until
from .._ovsdb.channel import Channel
from . import asked as do
from . import files, listeners
from .database import CLUSTERED, FAILED, JOINING, LEFT, MEMBER, NONE, STANDALONE
from .places import FOLDERS, RELAY
from .read import PATIENCE, ask_server, has_all, read_database, read_file, version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    from .asked import Step
    from .database import Database
    from .files import Run
    from .places import Folders, Place

    class Servers(Protocol):
        """How the servers of the databases are started and stopped."""

        def start(self, place: Place) -> None:
            """Start a server, or start it again after it has failed."""

        def stop(self, place: Place) -> None:
            """Stop a server, and return when it has ended."""


PAUSE = Pause(0.05, longest=0.5)
START_TIME = 20.0  # seconds until a server that was started answers, beside the time in which it reads its file
READ_RATE = 2e6  # bytes of its file that a server reads in a second at least; without load it is ten times as many
LONGEST_START = 600.0  # seconds
ANSWER_TIME = 20.0  # seconds for an answer
CLUSTER_TIME = 60.0  # seconds for an election
JOIN_TIME = 180.0  # seconds for a member to get all rows
CONVERT_TIME = 120.0  # seconds for a change of the schema of a large database
LISTEN_ATTEMPTS = 10
TIMED_OUT = "timed out"  # of a "wait" that has not come true (RFC 7047, 5.2.6)


def start_time(file: str) -> float:
    """Return the seconds within which a server answers that was started with a file: it reads all of it before."""
    try:
        size = os.path.getsize(file)
    except OSError:
        size = 0
    return min(START_TIME + size / READ_RATE, LONGEST_START)


class Systemd:
    """The servers as systemd's units.

    :param units: key of a database to its unit.
    """

    def __init__(self, run: Run, units: dict[str, str]) -> None:
        self._run = run
        self._units = units

    def start(self, place: Place) -> None:
        """Start a server. systemd gives up a unit that has failed again and again, and forgets that when told to."""
        unit = self._units[place.key]
        self._run(["systemctl", "reset-failed", unit])
        self._systemctl("start", unit)

    def stop(self, place: Place) -> None:
        """Stop a server."""
        self._systemctl("stop", self._units[place.key])

    def _systemctl(self, verb: str, unit: str) -> None:
        code, out, err = self._run(["systemctl", verb, unit])
        if code:
            raise HostError(f"systemctl {verb} {unit} failed: {' '.join((err or out).split())}")


@dataclass(frozen=True)
class Executor:
    """What carries out the steps of one database on one host.

    :ivar run: runs ovsdb-tool.
    :ivar configure: writes the files by which the server is started.
    """

    place: Place
    servers: Servers
    run: Run
    configure: Callable[[], None]
    folders: Folders = FOLDERS

    @property
    def file(self) -> str:
        """The database's file."""
        return self.folders.file(self.place)

    def state(self) -> Database:
        """Return the database's state now."""
        return asyncio.run(read_database(self.place, self.folders))

    def carry_out(self, step: Step) -> None:
        """Carry out a step.

        :raises HostError, DatabaseError: it failed, or what it waits for has not come true in time.
        """
        {
            do.BOOTSTRAP: self._bootstrap,
            do.CONVERT: self._convert,
            do.READDRESS: self._readdress,
            do.JOIN: self._join,
            do.LEAVE: self._leave,
            do.KICK: self._kick,
            do.START: self._start_member,
            do.RESTART: self._restart,
            do.WAIT: lambda _step: self._wait_for_leader(),
            do.TIMER: self._timer,
            do.UPGRADE: self._upgrade,
            do.LISTEN: self._listen,
            do.COMPACT: lambda _step: self._compact(),
            do.SET_ASIDE: self._set_aside,
        }[step.action](step)

    def _bootstrap(self, step: Step) -> None:
        state = self.state()
        if state.model == CLUSTERED and state.status == JOINING:  # it has nothing yet, of a cluster that is no more
            self.servers.stop(self.place)
        elif state.model != NONE or state.problem:
            raise HostError(f"{self.file} is there already ({state.problem or state.model}): run it again")
        schema = f"{self.folders.schemas}/{self.place.schema}"
        files.create_cluster(self.run, self.file, schema, step.address, step.timer)
        self._serve(step)

    def _convert(self, step: Step) -> None:
        found = read_file(self.file).get("model", NONE)
        if found != STANDALONE:  # a server may have the only rows of a file that somebody has removed: it goes on
            raise HostError(f"{self.file} is {found}, and no standalone database: look what has become of it")
        self.servers.stop(self.place)
        self._recreate(self.file, step)

    def _readdress(self, step: Step) -> None:
        state = self.state()
        if state.has_leader and len(state.members) > 1:  # the others would go on without this one
            raise HostError(
                f"{self.place.database} has a leader and {len(state.members)} members by now, and no cluster is made in"
                " its place: run it again"
            )
        if state.has_leader and state.address == step.address:
            return  # another run has done it
        if state.running and state.status == MEMBER and not self._is_written():
            self._compact()
        self.servers.stop(self.place)
        copy = f"{self.file}.standalone"
        try:
            # ovsdb-tool leaves out what is missing, and says nothing.
            if read_file(self.file).get("status") == FAILED:
                raise HostError(f"{self.file} has a gap, and changes are missing in it: name another master")
            files.to_standalone(self.run, self.file, copy)
        except (OSError, HostError):
            self.servers.start(self.place)
            raise
        self._recreate(copy, step)
        files.set_aside(copy)

    def _recreate(self, content: str, step: Step) -> None:
        """Make a cluster of one member with the rows of a standalone database; when that fails all is as it was."""
        try:
            files.create_cluster(self.run, self.file, content, step.address, step.timer)
        except (OSError, HostError):
            self.servers.start(self.place)
            raise
        self._serve(step)

    def _serve(self, step: Step) -> None:
        """Start the server of a cluster of one member, and let it listen."""
        self._start()
        self._wait_for_leader()
        if step.listeners:
            self._listen(step)

    def _join(self, step: Step) -> None:
        state = self.state()
        if state.has_leader and (state.cluster_id, state.address) == (step.cluster, step.address):
            return  # another run has let it join, and its member must not be lost
        if not (state.model == CLUSTERED and state.status == JOINING and state.running and self._has_joined(10)):
            self.servers.stop(self.place)
            files.join_cluster(self.run, self.file, self.place.database, step.address, step.remotes, step.cluster)
            self._start()
        if not self._has_joined(JOIN_TIME):
            through = ", ".join(step.remotes)
            raise HostError(
                f"{self.place.database} has not joined its cluster as {step.address} within {JOIN_TIME:.0f} s "
                f"through {through}: see the log of its server, and whether the masters reach each other on TCP port "
                f"{self.place.raft_port}"
            )

    def _has_joined(self, timeout: float) -> bool:
        return bool(wait_until(lambda: self.state().has_leader, timeout, PAUSE))

    def _leave(self, step: Step) -> None:
        state = self.state()
        if state.running and state.status == MEMBER:
            self._ask("cluster/leave", self.place.database)

        def has_left() -> bool:
            now = self.state()
            return now.status == LEFT or (now.model != CLUSTERED and not now.problem)

        if not wait_until(has_left, CLUSTER_TIME, PAUSE):
            raise HostError(
                f"{self.place.database} has not left its cluster within {CLUSTER_TIME:.0f} s: a majority of its members"
                " must run"
            )
        self.servers.stop(self.place)
        files.set_aside(self.file)

    def _compact(self) -> None:
        """Let the server write its file anew (ovsdb-server(1), ovsdb-server/compact)."""
        try:
            self._ask("ovsdb-server/compact", self.place.database, timeout=start_time(self.file))
        except Disconnected as error:
            raise HostError(f"{self.file} is not written anew yet: {error}") from error
        except DatabaseError as error:
            raise HostError(f"{self.file} can't be written anew: {error}; make room on its disk") from error
        if not wait_until(self._is_written, ANSWER_TIME, PAUSE):
            raise HostError(f"{self.file} still lacks changes that its server has: make room on its disk")

    def _is_written(self) -> bool:
        """Return whether the server says what it has, and its file has all of that."""
        state = self.state()
        return bool(state.role) and has_all(read_file(self.file), state)

    def _set_aside(self, _step: Step) -> None:
        if self.state().has_leader:
            raise HostError(f"{self.place.database} has a leader by now, and its file is not set aside: run it again")
        self.servers.stop(self.place)
        files.set_aside(self.file)

    def _kick(self, step: Step) -> None:
        def is_gone() -> bool:
            state = self.state()
            if all(member.id != step.server for member in state.members):
                return bool(state.members)
            # While nobody leads, nobody takes the request.
            with contextlib.suppress(DatabaseError):
                self._ask("cluster/kick", self.place.database, step.server)
            return False

        if not wait_until(is_gone, CLUSTER_TIME, PAUSE):
            raise HostError(
                f"the cluster of {self.place.database} has not taken {step.server} out within {CLUSTER_TIME:.0f} s: a"
                " majority of its members must run"
            )

    def _start_member(self, _step: Step) -> None:
        self._start()

    def start_again(self, check: bool = False) -> bool:
        """Start the server again, where it runs, and don't wait for its cluster; return whether it does run."""
        runs = self.state().running
        if runs and not check:
            self.servers.stop(self.place)
            self.servers.start(self.place)
        return runs

    def _restart(self, _step: Step) -> None:
        self.servers.stop(self.place)
        self._start()
        self._wait_for_leader()

    def _start(self) -> None:
        """Start the server with its options as they are now; where they can't be written, with those of before."""
        try:
            self.configure()
        except (OSError, HostError):
            self.servers.start(self.place)
            raise
        self.servers.start(self.place)
        patience = start_time(self.file)
        # Its state would be read from its file, all of it, each time.
        if not wait_until(lambda: asyncio.run(version(self.place, self.folders)), patience, PAUSE):
            what, log = f"server of {self.place.database}", f"/var/log/ovn/ovsdb-server-{self.place.stem[3:5]}.log"
            if self.place is RELAY:
                what, log = f"relay of {names.SOUTHBOUND}", f"journalctl -u {self.place.unit}"
            raise HostError(
                f"the {what} does not answer {patience:.0f} s after its start: see its log, {log}, and systemctl "
                f"status {self.place.unit}"
            )

    def _wait_for_leader(self) -> None:
        if not wait_until(lambda: self.state().has_leader, CLUSTER_TIME, PAUSE):
            if self.place is RELAY:
                raise HostError(
                    f"the relay of {names.SOUTHBOUND} is connected to no member that has a leader, after "
                    f"{CLUSTER_TIME:.0f} s: see journalctl -u {self.place.unit}, and whether this master reaches the "
                    f"masters on TCP port {names.SOUTHBOUND_CENTRAL_PORT}"
                )
            raise HostError(
                f"{self.place.database} has no leader after {CLUSTER_TIME:.0f} s: see the logs of the masters' servers,"
                f" and whether they reach each other on TCP port {self.place.raft_port}"
            )

    def _timer(self, step: Step) -> None:
        """Set the election timer. A step of it may be twice as long as the one before at most (ovsdb-server(1))."""
        state = self.state()
        while state.timer != step.timer:
            next_timer = min(step.timer, state.timer * 2) if step.timer > state.timer else step.timer
            self._ask("cluster/change-election-timer", self.place.database, str(next_timer))
            if not wait_until(lambda value=next_timer: self.state().timer == value, CLUSTER_TIME, PAUSE):  # type: ignore[misc]
                raise HostError(f"the election timer of {self.place.database} is still {self.state().timer} ms")
            state = self.state()

    def _upgrade(self, _step: Step) -> None:
        with open(f"{self.folders.schemas}/{self.place.schema}", encoding="utf-8") as file:
            schema = json.load(file)
        asyncio.run(self._request("convert", [self.place.database, schema], CONVERT_TIME))

    def _listen(self, step: Step) -> None:
        asyncio.run(self._set_listeners(step))

    async def _set_listeners(self, step: Step) -> None:
        """Set the listeners; again where somebody has changed the rows in the meantime: ovn-northd makes the one row of
        a new database, and other masters may do the same."""
        results: Sequence[Any] = ()
        for _attempt in range(LISTEN_ATTEMPTS):
            results = await self._try_listeners(step)
            if not any(result and result.get("error") == TIMED_OUT for result in results):
                break
        listeners.check(self.place, results)

    async def _try_listeners(self, step: Step) -> Sequence[Any]:
        channel = await Channel.open(self.folders.socket(self.place), lambda _method, _params: None)
        try:
            selects = [
                {"op": "select", "table": table, "where": [], "columns": columns}
                for table, columns in (
                    ("Connection", ["_uuid", "target", "external_ids", "inactivity_probe"]),
                    (self.place.root_table, ["_uuid", "connections"]),
                )
            ]
            rows, roots = await channel.request("transact", [self.place.database, *selects], ANSWER_TIME)
            made = listeners.operations(self.place, step.listeners, rows["rows"], roots["rows"])
            results: Sequence[Any] = await channel.request("transact", [self.place.database, *made], ANSWER_TIME)
        finally:
            channel.close()
        return results

    async def _request(self, method: str, params: Sequence[Any], timeout: float) -> Any:
        channel = await Channel.open(self.folders.socket(self.place), lambda _method, _params: None)
        try:
            return await channel.request(method, list(params), timeout)
        finally:
            channel.close()

    def _ask(self, question: str, *arguments: str, timeout: float = PATIENCE) -> str:
        try:
            return asyncio.run(ask_server(self.place, self.folders, question, *arguments, timeout=timeout))
        except OSError as error:
            raise DatabaseError(f"the server of {self.place.database} does not run: {error}") from error
