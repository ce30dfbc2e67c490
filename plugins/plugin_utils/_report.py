# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Collect what is wrong with an inventory: one sentence for each problem, with all hosts that have it. Private to the
collection."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable

from ._errors import FactsMissing, InventoryError, count, show
from ._inventory import Inventory
from ._values import sentence
from ._variables import VARIABLES

if t.TYPE_CHECKING:
    from ..module_utils._common.errors import SettingsError
    from ..module_utils._topology.problems import Field, Problem

NAMED = 3  # hosts that a sentence names; the others are counted

# Setting of the policy -> the variable that it comes from.
VARIABLE_OF: dict[Field, str] = {
    "cluster_subnets": "ovn_cluster_subnet",
    "join_subnets": "ovn_join_subnet",
    "node_subnets": "ovn_node_subnet",
    "mtu": "ovn_mtu",
    "physical_ips": "ovn_gateway_ip",
    "next_hops": "ovn_gateway_next_hop",
    "name": "ovn_node_name",
}


class Report:
    """Sentences in the order in which they were added."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._hosts_by_text: dict[str, list[str]] = {}

    def add(self, hosts: str | Iterable[str], text: str) -> None:
        """Add what is wrong with a host, or with several; without hosts it is about the inventory as a whole."""
        known = self._hosts_by_text.setdefault(text, [])
        known.extend([hosts] if isinstance(hosts, str) else hosts)

    def add_unreadable(self, hosts: str | Iterable[str], error: InventoryError) -> None:
        """Add what can't be read. A value that waits for facts is judged when they are gathered."""
        if not isinstance(error, FactsMissing):
            self.add(hosts, error.text)

    def add_problems(self, host: str, problems: Iterable[Problem]) -> None:
        """Add what the policy says about a host's settings, or about the cluster's, in words of the inventory.

        :param host: empty for settings of the cluster.
        """
        for problem in problems:
            name = VARIABLE_OF[problem.field]
            hosts = [host] if host else self._inventory.hosts_with(name)
            text = f"{problem.problem}: {problem.advice}" if problem.advice else problem.problem
            self.add(hosts, f"{self.setting(hosts[0], name, problem.value)} {text}")

    def add_error(self, name: str, error: SettingsError) -> None:
        """Add what a rule of the library says about a variable of the cluster."""
        hosts = self._inventory.hosts_with(name)
        self.add(hosts, f"{self.setting(hosts[0], name, error.value)} {sentence(error)}")

    def setting(self, host: str, name: str, value: t.Any) -> str:
        """Return a variable and its value for a sentence, which says so when the value is a default."""
        shown = "" if value is None or VARIABLES[name].secret else f" {show(value)}"
        return f"{name}{shown}" if self._inventory.is_set(host, name) else f"{name} is not set, and its default{shown}"

    def sentences(self) -> list[str]:
        """Return all of them."""
        return [f"{names_of(hosts)}: {text}" if hosts else text for text, hosts in self._hosts_by_text.items()]

    def __bool__(self) -> bool:
        return bool(self._hosts_by_text)


def names_of(hosts: Iterable[str]) -> str:
    """Return hosts for a sentence: the first of them by their names, the others as a number."""
    unique = list(dict.fromkeys(hosts))
    named = unique[:NAMED]
    if len(unique) > NAMED:
        named.append(count(len(unique) - NAMED, "other"))
    return " and ".join(filter(None, [", ".join(named[:-1]), named[-1]]))
