# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose question to name servers comes next: objects take turns, so that names whose servers are silent hold up nobody.

An object has few questions under way at one time, however many names it has. Names whose last answer did not come
quickly, and those that are new, have half of all places: the other half is for those that answer.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item")

AT_ONCE = 16  # questions that wait for an answer
OF_USER = 2  # of them, of one object
OF_SLOW = AT_ONCE // 2  # of them, of names that are slow or new


class Turn(NamedTuple):
    """Whom a question that is under way is charged to."""

    user: str
    is_slow: bool


class Turns(Generic[Item]):
    """The questions that are due, and those that are under way."""

    def __init__(self) -> None:
        # By whether they are slow: object -> its questions. The object whose turn it is comes first.
        self._due: dict[bool, dict[str, deque[Item]]] = {False: {}, True: {}}
        self._asking: Counter[str] = Counter()
        self._under_way = self._slow = 0

    def __len__(self) -> int:
        """How many are due."""
        return sum(len(items) for users in self._due.values() for items in users.values())

    def add(self, users: Iterable[str], is_slow: bool, item: Item) -> None:
        """Note a question that is due.

        :param users: objects that have the name: it goes to the one with the fewest questions.
        """
        due = self._due[is_slow]
        due.setdefault(min(users, key=lambda one: len(due.get(one, ()))), deque()).append(item)

    def next(self) -> tuple[Turn, Item] | None:
        """Take the next question; None: none is due, or others must end before. Ones that answer come first."""
        if self._under_way >= AT_ONCE:
            return None
        for is_slow, due in self._due.items():
            if is_slow and self._slow >= OF_SLOW:
                continue
            for user in due:  # no more than AT_ONCE / OF_USER are passed over
                if self._asking[user] < OF_USER:
                    return self._take(user, is_slow)
        return None

    def _take(self, user: str, is_slow: bool) -> tuple[Turn, Item]:
        due = self._due[is_slow]
        items = due.pop(user)
        item = items.popleft()
        if items:
            due[user] = items
        self._asking[user] += 1
        self._under_way += 1
        self._slow += is_slow
        return Turn(user, is_slow), item

    def done(self, turn: Turn) -> None:
        """Note that a question has ended."""
        self._asking[turn.user] -= 1
        if not self._asking[turn.user]:
            del self._asking[turn.user]
        self._under_way -= 1
        self._slow -= turn.is_slow

    def keep(self, is_wanted: Callable[[Item], bool]) -> None:
        """Forget the questions that nobody wants any more."""
        for due in self._due.values():
            for user, items in list(due.items()):
                due[user] = deque(filter(is_wanted, items))
                if not due[user]:
                    del due[user]
