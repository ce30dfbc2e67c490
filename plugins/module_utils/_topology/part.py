# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A part of this host that is converged by itself, a node's or a gateway's: rows of Open vSwitch, its kernel, files.

Policy is in :mod:`.node_part` and :mod:`.gateway_part`. Here are the host's database and the end of each call.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import DatabaseError
from .._host.change import DesiredHost
from .._host.converge import converge_host
from .._host.desired import File, HostState
from .._host.rows import COLUMNS, LocalRows
from .._ovsdb.connection import Connection, NoDatabase
from .._ovsdb.converge import read_rows
from .._ovsdb.rows import by_name
from . import before
from .host_facts import HostFacts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any, Union

    from .._common.result import Result
    from .._ovsdb.rows import CurrentRow, Owner, Row

    Settings = Mapping[str, Any]
    AnyConnection = Union[Connection, NoDatabase]


@dataclass(frozen=True)
class Part:
    """A part of this host that is converged by itself.

    :ivar name: for the database's log.
    :ivar owner: the owner of its rows.
    :ivar file: its saved settings.
    """

    name: str
    owner: Owner
    file: str

    def has_saved(self, key: str, value: str) -> bool:
        """Return whether a setting had this value when the part was converged last."""
        try:
            with open(self.file, encoding="utf-8") as stream:
                return bool(json.load(stream).get(key) == value)
        except (OSError, ValueError, AttributeError):
            return False


@dataclass(frozen=True)
class Current:
    """What Open vSwitch's database has now.

    :ivar rows: the rows of one owner.
    :ivar settings: the row of the table Open_vSwitch; None where Open vSwitch does not run.
    """

    rows: Sequence[CurrentRow]
    settings: CurrentRow | None

    def external_id(self, key: str) -> str | None:
        """Return a key of the table Open_vSwitch."""
        return self.settings.external_id(key) if self.settings else None


@dataclass(frozen=True)
class Way:
    """What comes before and after the change of a part's rows and state.

    :ivar first: the state to reach before the rows change.
    :ivar at_last: the states to reach after all else, one after another.
    """

    first: HostState = field(default_factory=HostState)
    at_last: tuple[HostState, ...] = ()


class LocalHost:
    """This host, as its parts read and change it.

    :param remote: the host's Open_vSwitch database.
    :param check: plan only; then a host without Open vSwitch counts as one that has nothing yet.
    :ivar facts: of the host.
    :ivar notes: what users have to know beside the result of a call.
    """

    def __init__(self, remote: str, check: bool) -> None:
        self.remote = remote
        self.check = check
        self.facts = HostFacts(check)
        self.notes: list[str] = []
        self._expects_database = True

    def expect(self, part: Part, settings: Settings | None) -> None:
        """Note whether Open vSwitch must run: not for the removal of a part that never came."""
        self._expects_database = settings is not None or os.path.exists(part.file)

    def connect(self) -> AnyConnection:
        """Open a connection to the host's Open_vSwitch database."""
        try:
            return Connection(self.remote, names.LOCAL)
        except DatabaseError as exc:
            if self.check:
                self.notes.append(f"the plan assumes that nothing is here yet: {exc}")
            elif self._expects_database:
                raise
            return NoDatabase()

    @contextlib.contextmanager
    def database(self) -> Iterator[AnyConnection]:
        """Connect to the host's Open_vSwitch database for a while."""
        connection = self.connect()
        try:
            yield connection
        finally:
            connection.close()

    def current(self, owner: Owner) -> Current:
        """Read the owner's rows, and the row of the table Open_vSwitch."""
        with self.database() as database:
            rows = read_rows(database, LocalRows(owner).owned_queries())
            settings = read_rows(database, [by_name("Open_vSwitch", ".", COLUMNS["Open_vSwitch"])])
        return Current(rows, next(iter(settings), None))

    def converge(
        self, part: Part, rows: Sequence[Row], state: HostState, settings: Settings, way: Way | None = None
    ) -> Result:
        """Converge a part, and save its settings for the next boot.

        :param way: what comes before the rows change, and what after all else.
        """
        content = json.dumps(settings, indent=2, sort_keys=True) + "\n"
        state = replace(state, files=(*state.files, File(part.file, content)))
        return self.converge_state(part, rows, way or Way(), state)

    def remove(self, part: Part, rows: Sequence[Row], way: Way) -> Result:
        """Remove a part: the kernel's state comes before the rows change, files go after."""
        last = HostState(files=(*way.first.files, File(part.file, None), before.file(part.file, None)))
        return self.converge_state(part, rows, replace(way, first=replace(way.first, files=())), last)

    def converge_state(self, part: Part, rows: Sequence[Row], way: Way, last: HostState) -> Result:
        """Converge a part in one change: ``way.first``, the rows, the state ``last``, ``way.at_last``."""
        desired = DesiredHost(LocalRows(part.owner, tuple(rows)), way.first, last, way.at_last)
        result = converge_host(self.connect, desired, f"ovn.kubernetes: {part.name}", self.check)
        result.notes = list(dict.fromkeys([*self.notes, *result.notes]))
        return result
