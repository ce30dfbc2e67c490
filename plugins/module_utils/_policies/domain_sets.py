# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The address sets of domain names: two for each name, for all policies together (:mod:`.domain_names`).

A change of a name's addresses writes those that differ. After a restart the rows say what a name had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .._common import names
from .._common.addressing import family
from .._ovsdb.plan import Change
from .._ovsdb.replica import Replica
from .._ovsdb.rows import LargeSet, Need, Owner, Row
from .._reconcile.engine import Engine
from .domain_names import VERSIONS, Ask, DomainNames

KIND = "PolicyDomain"
TABLE = "Address_Set"


class DomainPlanner:
    """The planner of these sets.

    :param ask: asks a name server.
    :param is_inside: returns whether an address is one of the cluster's own networks.

    :ivar engine: set by whoever makes the engine.
    :ivar names: the names that policies use.
    :ivar listeners: called with a name whose addresses, or whose problem, are others now.
    """

    tables = (TABLE,)
    engine: Engine

    def __init__(self, replica: Replica, ask: Ask, is_inside: Callable[[str], bool]) -> None:
        self._replica = replica
        self.names = DomainNames(ask, self._changed, lambda: self.engine.active, is_inside)
        self.listeners: list[Callable[[str], object]] = []
        self._waiting: dict[str, Callable[[], object]] = {}  # user -> what it does when there is room for names

    def begin(self) -> None:
        """Look at all names."""
        self.names.begin(self._written)
        for name in {*self.names.names(), *self._replica.owners(KIND)}:
            self.engine.mark(KIND, name)
        self._give_room()

    def use(self, name: str, user: str, on_room: Callable[[], object]) -> bool:
        """Note that a policy uses a name; return False where there are too many names.

        :param name: as :func:`.domain_names.parse` returns it.
        :param on_room: called once when there is room for one more, to use names that were refused.
        """
        is_new = not self.names.users(name)
        if not self.names.use(name, user, self._written(name) if is_new else ()):
            self._waiting[user] = on_room
            return False
        if is_new:
            self.engine.mark(KIND, name)
        return True

    def forget(self, user: str) -> None:
        """Note that a policy waits for room no more: it is gone."""
        self._waiting.pop(user, None)

    def _give_room(self) -> None:
        """Let policies use names that were refused, one after the other as long as there is room."""
        while self._waiting and self.names.has_room():
            self._waiting.pop(next(iter(self._waiting)))()

    def release(self, name: str, user: str) -> None:
        """Note that no row of a policy names the sets of a name any more."""
        self.names.release(name, user)
        if not self.names.users(name):
            self.engine.mark(KIND, name)

    @staticmethod
    def need(name: str) -> Need:
        """Return what a row that names the sets of a name needs."""
        return Need(TABLE, Owner(KIND, name))

    def _changed(self, name: str) -> None:
        self.engine.mark(KIND, name)
        for listener in self.listeners:
            listener(name)

    def _written(self, name: str) -> Iterable[str]:
        """Return the addresses of a name that the database has."""
        return [one for row in self._replica.owned(self.owner(name), self.tables) for one in row.columns["addresses"]]

    # For the engine.

    @staticmethod
    def owner(name: str) -> Owner:
        """Return the owner of a name's rows."""
        return Owner(KIND, name)

    def desired(self, name: str) -> list[Row]:
        """Return the sets of a name; none of one that nobody uses."""
        if not self.names.users(name):
            return []
        addresses = self.names.addresses(name)
        rows = []
        for version in VERSIONS:
            columns = {"addresses": LargeSet(one for one in addresses if family(one) == version)}
            set_name = names.domain_set(name, version)
            rows.append(Row(TABLE, self.owner(name), f"addresses-{version}", set_name, columns=columns, kind="known"))
        return rows

    def done(self, name: str, changes: Sequence[Change]) -> None:
        """Give the room of a name that is gone to policies that lack it."""
        self._give_room()

    def failed(self, name: str, reason: str) -> None:
        """Do nothing: the log has it."""
