# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with a variable on its own: its name, its value, where it is set, and differences between hosts.
Private to the collection."""

from __future__ import annotations

import collections
from collections.abc import Container

from ._errors import InventoryError, show
from ._inventory import GATEWAYS, GROUPS, Inventory
from ._report import Report
from ._templates import Undefined
from ._variables import ALL, GATEWAY, PLAY, VARIABLES, Variable, closest, meant

# In unknown names, whose values are not shown then.
SECRET_WORDS = ("token", "pass", "secret", "key", "cred", "auth", "bearer", "cert", "config", "vault")


def add_variable_problems(inventory: Inventory, report: Report) -> None:
    """Add what is wrong with each variable of each host, and with those that differ between hosts."""
    add_problems_of(VARIABLES, inventory, report)
    for variable in VARIABLES.values():
        if variable.scope == ALL:
            _add_differences(inventory, variable, report)


def add_problems_of(names: Container[str], inventory: Inventory, report: Report) -> None:
    """Add what is wrong with the variables of these names on each host, and those that are not known at all."""
    for host in inventory.hosts:
        for name in inventory.names(host):
            if name in names:
                _add_value_problems(inventory, host, VARIABLES[name], report)
            elif name not in VARIABLES:
                report.add(host, _unknown(inventory, host, name))
        for name in inventory.other_names(host):
            if meant(name):
                report.add(host, f"{name} is not a variable of this collection: did you mean {meant(name)}?")


def _unknown(inventory: Inventory, host: str, name: str) -> str:
    if name in GROUPS:
        return f"{name} is a group of hosts, not a variable: put the hosts into it, and remove the variable"
    similar, value = closest(name), inventory.raw(host, name)
    secret = (
        (similar and VARIABLES[similar].secret)
        or any(word in name.lower() for word in SECRET_WORDS)
        or inventory.is_secret(host, name)
    )
    shown = "" if secret or isinstance(value, Undefined) else f" {show(value)}"
    hint = f"did you mean {similar}?" if similar else "remove it; docs/inventory.md lists those that are"
    return f"{name}{shown} is not a variable of this collection: {hint}"


def _add_value_problems(inventory: Inventory, host: str, variable: Variable, report: Report) -> None:
    name, raw = variable.name, inventory.raw(host, variable.name)
    try:
        inventory.value(host, name)
    except InventoryError as error:
        report.add_unreadable(host, error)
        return
    if variable.scope == PLAY and inventory.extra is not None and name not in inventory.extra:
        report.add(
            host,
            f"{name} is set in the inventory, where it would apply to every run: remove the line, and give it with "
            "-e when it is meant",
        )
    if variable.scope == GATEWAY and not inventory.is_gateway(host):
        text = f"is for hosts of {GATEWAYS}, and this one is not in it: add the host, or remove the variable"
        report.add(host, inventory.message(host, name, raw, text))


def _add_differences(inventory: Inventory, variable: Variable, report: Report) -> None:
    """Add hosts whose value is not that of most hosts."""
    hosts_by_value: dict[str, list[str]] = collections.defaultdict(list)
    for host in inventory.hosts:
        try:
            hosts_by_value[repr(inventory.value(host, variable.name))].append(host)
        except InventoryError:
            continue  # reported as a wrong value
    majority = max(hosts_by_value.values(), key=len, default=[])
    for hosts in hosts_by_value.values():
        if hosts is not majority:
            text = _difference(inventory, variable, hosts[0], majority[0])
            report.add(hosts, f"{text}: it is one value for the cluster, set it once for all hosts")


def _difference(inventory: Inventory, variable: Variable, host: str, other: str) -> str:
    """Return how the value of a host differs from another host's; secrets are not shown."""
    name, other_value = variable.name, show(inventory.raw(other, variable.name))
    secret = inventory.is_secret(other, name)
    if not inventory.is_set(host, name):
        return f"{name} is not set, and {other} has {'one' if secret else other_value}"
    if not inventory.is_set(other, name):
        other_value = "none"
    elif secret:
        other_value = "another"
    return inventory.message(
        host, name, inventory.raw(host, name), f"differs from other hosts', {other} has {other_value}"
    )
