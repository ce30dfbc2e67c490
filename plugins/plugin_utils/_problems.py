# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Everything that is wrong with an inventory, before any host is touched. Private to the collection.

Each check says host, variable, value, and what would be right. What many hosts have in common is said once.
"""

from __future__ import annotations

import collections
import difflib
import typing as t
from collections.abc import Mapping

from . import _not_yet
from ._inventory import GATEWAYS, MASTERS, NODES, Inventory, Undefined, wrong
from ._problems_cluster import cluster_problems
from ._problems_gateways import gateway_problems
from ._problems_hosts import host_problems
from ._problems_kubernetes import kubernetes_problems
from ._subnets import plan
from ._values import InventoryError, show
from ._variables import ALL, GATEWAY, PLAY, VARIABLES, closest

_NAMED = 3  # hosts that a sentence names before it counts


class Problems:
    """Sentences in the order in which they are found, one for each thing that is wrong."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}  # text to hosts

    def say(self, hosts: str | t.Iterable[str], text: str) -> None:
        """Note what is wrong with a host or several; with none it is about the inventory as a whole."""
        known = self._found.setdefault(text, [])
        known.extend([hosts] if isinstance(hosts, str) else hosts)

    def sentences(self) -> list[str]:
        """All of them."""
        return ["%s: %s" % (_names(hosts), text) if hosts else text for text, hosts in self._found.items()]

    def __bool__(self) -> bool:
        return bool(self._found)


def _names(hosts: list[str]) -> str:
    hosts = list(dict.fromkeys(hosts))
    named = hosts[:_NAMED]
    if len(hosts) > _NAMED:
        rest = len(hosts) - _NAMED
        named.append("%d other%s" % (rest, "" if rest == 1 else "s"))
    return " and ".join(filter(None, [", ".join(named[:-1]), named[-1]]))


def _group_problems(inventory: Inventory, found: Problems) -> None:
    for group in (MASTERS, NODES, GATEWAYS):
        singular = group[:-1]
        if not inventory.groups.get(group) and inventory.groups.get(singular):
            found.say(
                inventory.groups[singular],
                "the group %s is not one of this collection: did you mean %s?" % (singular, group),
            )
    _misspelt_group_problems(inventory, found)
    number = len(inventory.masters)
    if number == 0:
        found.say(
            (),
            "%s has no host: put the host that is to hold OVN's databases, or a group like kube_control_plane, into it"
            % MASTERS,
        )
    elif number not in (1, 3, 5):
        found.say(
            inventory.masters,
            "%s has %d hosts, and must have 1, 3 or 5%s"
            % (MASTERS, number, "; " + _not_yet.MASTERS_TEXT if number > _not_yet.MASTERS else ""),
        )
    elif number > _not_yet.MASTERS:
        found.say(inventory.masters, "%s has %d hosts, and %s" % (MASTERS, number, _not_yet.MASTERS_TEXT))


def _misspelt_group_problems(inventory: Inventory, found: Problems) -> None:
    """A group that is nearly one of ours, with a host that is in none of ours."""
    ours = (MASTERS, NODES, GATEWAYS)
    for group, members in inventory.groups.items():
        singular = group + "s" in ours and not inventory.groups.get(group + "s")  # said already
        likely = difflib.get_close_matches(group, ours, n=1, cutoff=0.85)
        left_out = [host for host in members if not inventory.is_host(host)]
        if group not in ours and likely and left_out and not singular:
            found.say(
                left_out,
                "the group %s is not one of this collection, and the host is in none that is: did you mean %s?"
                % (group, likely[0]),
            )


def _unknown(name: str, value: t.Any) -> str:
    likely = closest(name)
    secret = (likely and VARIABLES[likely].secret) or any(
        word in name for word in ("token", "password", "secret", "key")
    )
    shown = "" if secret or isinstance(value, Undefined) else " %s" % show(value)
    hint = "did you mean %s?" % likely if likely else "remove it; docs/inventory.md lists those that are"
    return "%s%s is not a variable of this collection: %s" % (name, shown, hint)


def _value_problems(inventory: Inventory, found: Problems) -> None:
    """What is wrong with a value whatever the others are."""
    for host in inventory.hosts:
        for name in inventory.names(host):
            value = inventory.given(host, name)
            if name not in VARIABLES:
                found.say(host, _unknown(name, value))
                continue
            try:
                known = inventory.value(host, name)
            except InventoryError as error:
                found.say(host, error.text)
                continue
            for refusal in _not_yet.NOT_YET:
                if refusal.variable == name and refusal.refused(known):
                    found.say(host, wrong(VARIABLES[name], value, refusal.text))
            if VARIABLES[name].scope == PLAY and inventory.extra is not None and name not in inventory.extra:
                found.say(
                    host,
                    "%s is set in the inventory, where it would hold for every run: remove the line, and say it with -e when it is meant"
                    % name,
                )
            if VARIABLES[name].scope == GATEWAY and not inventory.is_gateway(host):
                found.say(
                    host,
                    wrong(
                        VARIABLES[name],
                        value,
                        "is for hosts of %s, and this one is not in it: add the host, or remove the variable"
                        % GATEWAYS,
                    ),
                )


def _difference_problems(inventory: Inventory, found: Problems) -> None:
    """One value for the cluster must be the same on all hosts."""
    for variable in VARIABLES.values():
        if variable.scope != ALL:
            continue
        hosts_by_value: dict[str, list[str]] = collections.defaultdict(list)
        for host in inventory.hosts:
            try:
                hosts_by_value[repr(inventory.value(host, variable.name))].append(host)
            except InventoryError:
                continue  # said already
        most = max(hosts_by_value.values(), key=len, default=[])
        for hosts in hosts_by_value.values():
            if hosts is most:
                continue
            value, other = (inventory.given(some[0], variable.name) for some in (hosts, most))
            if not inventory.is_set(hosts[0], variable.name):
                text = "%s is not set, and %s has %s" % (
                    variable.name,
                    most[0],
                    "one" if variable.secret else show(other),
                )
            else:
                there = (
                    "none"
                    if not inventory.is_set(most[0], variable.name)
                    else "another"
                    if variable.secret
                    else show(other)
                )
                text = wrong(variable, value, "differs from other hosts', %s has %s" % (most[0], there))
            found.say(hosts, text + ": it is one value for the cluster, set it once for all hosts")


def problems(inventory: Inventory, existing: Mapping) -> list[str]:
    """Everything that is wrong, one sentence each; nothing when the inventory can be used.

    :param existing: node subnets that the northbound database holds, as for :func:`_subnets.plan`.
    """
    found = Problems()
    _group_problems(inventory, found)
    if not inventory.hosts:
        return found.sentences()
    _value_problems(inventory, found)
    _difference_problems(inventory, found)
    cluster_problems(inventory, found)
    kubernetes_problems(inventory, found)
    host_problems(inventory, found)
    gateway_problems(inventory, found)
    if not found:  # a plan from wrong numbers would only repeat what was said
        try:
            plan(inventory, existing)
        except InventoryError as error:
            found.say(error.host or inventory.hosts, error.text)
    return found.sentences()
