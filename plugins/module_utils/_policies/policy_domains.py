# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The domain names of cluster network policies: which of them are used, and which are more than what is served."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial

from .domain_sets import DomainPlanner
from .model import bounded


class PolicyDomains:
    """The names of all policies.

    :param domains: the planner of domain names' sets.
    :param mark: called with the key of a policy one of whose names has other addresses, or another problem.
    :param find: called with the key of a policy when there is room for names of it that were refused.
    """

    def __init__(self, domains: DomainPlanner, mark: Callable[[str], object], find: Callable[[str], object]) -> None:
        self._domains = domains
        self._mark = mark
        self._find = find
        self._used: dict[str, set[str]] = {}  # policy -> names that its ACLs name, or did until now
        self._unknown: dict[str, set[str]] = {}  # policy -> names that are beyond what is served
        domains.listeners.append(self._changed)

    def _changed(self, name: str) -> None:
        for key in self._domains.names.users(name):
            if key in self._used:
                self._mark(key)

    def use(self, key: str, names: Iterable[str]) -> Collection[str]:
        """Use the names of a policy; return those that are not served."""
        used, unknown = self._used.setdefault(key, set()), set[str]()
        for name in names:
            if name in used or self._domains.use(name, key, partial(self._find, key)):
                used.add(name)
            else:
                unknown.add(name)
        self._unknown[key] = unknown
        return unknown

    def of(self, key: str) -> Collection[str]:
        """Return the names that a policy uses."""
        return self._used.get(key, ())

    def release(self, key: str, current: Collection[str]) -> None:
        """Give up the names that no row of a policy names any more.

        :param current: those that its ACLs name.
        """
        used = self._used.get(key, set())
        for name in [one for one in used if one not in current]:
            used.discard(name)
            self._domains.release(name, key)
        if not used:
            self._used.pop(key, None)

    def forget(self, key: str) -> None:
        """Forget what is not served of a policy that was deleted."""
        self._unknown.pop(key, None)
        self._domains.forget(key)

    def faults(self, key: str) -> list[str]:
        """Return what of the names of a policy is not enforced, in words."""
        faults = []
        if self._unknown.get(key):
            faults.append(f"{len(self._unknown[key])} of its domain names match nothing: the cluster has too many")
        problems = ((name, self._domains.names.problem(name)) for name in sorted(self._used.get(key, ())))
        return [*faults, *bounded([f"domain name {name}: {problem}" for name, problem in problems if problem])]
