# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventory as the rest of the controller side sees it: who is in which group, and what each host says. Private to the collection."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping

from ..module_utils._common.names import node_name
from ._facts import Facts
from ._values import NETADDR_MISSING, InventoryError, Unreadable, netaddr, parse_address, read, show
from ._variables import ALL, PREFIX, VARIABLES, Variable

MASTERS, NODES, GATEWAYS = "ovn_masters", "ovn_nodes", "ovn_gateways"


class Undefined(t.NamedTuple):
    """Stands for a value that Ansible could not work out."""

    reason: str


def natural(name: str) -> list:
    """A sorting key that puts node2 before node10."""
    return [int(part) if index % 2 else part for index, part in enumerate(re.split(r"([0-9]+)", name))]


def plain(value: t.Any) -> t.Any:
    """A value of Ansible's without its tags and its laziness: None, booleans, numbers, text, lists and dicts.

    :raises ValueError: for anything else, which is how older versions of ansible-core hand over what is undefined.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        if re.search(
            r"\{\{.*\}\}|\{%.*%\}", value, re.DOTALL
        ):  # what older versions do with a template that does not work out
            raise ValueError("a template that doesn't work out")
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    # Jinja's Undefined, whose public face is to raise errors, in Ansible's own dress.
    reason = getattr(value, "_undefined_message", None)
    raise ValueError(str(reason) if isinstance(reason, str) else "it is %s" % type(value).__name__)


def _looked_up(variables: Mapping, name: str) -> t.Any:
    try:
        return plain(variables[name])
    except Exception as error:  # whatever a template can raise; it is reported with the host and the variable
        return Undefined(" ".join(str(error).split()) or type(error).__name__)


class Inventory:
    """The OVN hosts of an inventory. Each host's variables are looked up once, since Ansible puts them together anew each time.

    ``hosts`` are all hosts of the three groups, in natural order: each of them is a chassis with a node switch.
    """

    def __init__(self, hostvars: Mapping, groups: Mapping) -> None:
        if netaddr is None:
            raise InventoryError(NETADDR_MISSING)
        for what, value in (("hostvars", hostvars), ("groups", groups)):
            if not isinstance(value, Mapping):
                raise InventoryError(
                    "%s must be a dictionary, as in hostvars | ovn.kubernetes.problems(groups), and is %s"
                    % (what, type(value).__name__)
                )
        self.groups = {
            str(name): [str(host) for host in groups[name]] for name in groups if str(name).startswith(PREFIX)
        }
        self.masters = self.groups.get(MASTERS, [])  # in the inventory's order: the first one is where the play writes
        self.gateways = sorted(self.groups.get(GATEWAYS, []), key=natural)
        self.hosts = sorted({*self.masters, *self.groups.get(NODES, []), *self.gateways}, key=natural)
        self._is_host, self._is_gateway = frozenset(self.hosts), frozenset(self.gateways)
        # What was said with -e; None where that can't be known, since these are no hostvars of Ansible's.
        manager = getattr(hostvars, "_variable_manager", None)
        self.extra = None if manager is None else frozenset(map(str, manager.extra_vars))
        self._hostvars = hostvars
        self._read: dict[tuple[str, str], t.Any] = {}
        self._variables: dict[str, Mapping] = {}
        self._plain: dict[tuple[str, str], t.Any] = {}
        self._facts: dict[str, Facts] = {}

    def _of(self, host: str) -> Mapping:
        """All variables of the host, as Ansible gives them."""
        if host not in self._variables:
            try:
                self._variables[host] = self._hostvars[host]
            except KeyError:
                raise InventoryError(
                    "it is in the groups, but its variables were not given: give hostvars with all hosts of %s, %s and %s"
                    % (MASTERS, NODES, GATEWAYS),
                    host,
                ) from None
        return self._variables[host]

    def is_host(self, host: str) -> bool:
        """Whether the host is in one of the groups."""
        return host in self._is_host

    def is_gateway(self, host: str) -> bool:
        """Whether the host is in ovn_gateways."""
        return host in self._is_gateway

    def names(self, host: str) -> list[str]:
        """The names of the host's ``ovn_*`` variables."""
        return sorted(str(name) for name in self._of(host) if str(name).startswith(PREFIX))

    def facts(self, host: str) -> Facts:
        """What was gathered about the host."""
        if host not in self._facts:
            self._facts[host] = Facts(self._of(host).get("ansible_facts"))
        return self._facts[host]

    def is_set(self, host: str, name: str) -> bool:
        """Whether somebody gave the host this variable, with whatever value."""
        return name in self._of(host)

    def given(self, host: str, name: str) -> t.Any:
        """What the host says, plain and unchecked; None when unset. Worked out once, and only when asked for, since templates take time."""
        if (host, name) not in self._plain:
            self._plain[host, name] = _looked_up(self._of(host), name) if self.is_set(host, name) else None
        return self._plain[host, name]

    def value(self, host: str, name: str) -> t.Any:
        """The variable's value, read and checked; None when unset.

        :raises InventoryError: when it can't be read.
        """
        if (host, name) not in self._read:
            self._read[host, name] = self._value(host, name)
        value = self._read[host, name]
        if isinstance(value, InventoryError):
            raise value
        return value

    def _value(self, host: str, name: str) -> t.Any:
        if not self.is_set(host, name):
            return None
        value = self.given(host, name)
        if isinstance(value, Undefined):
            return InventoryError("%s can't be worked out: %s" % (name, value.reason), host)
        try:
            return read(VARIABLES[name], value)
        except Unreadable as error:
            return InventoryError(wrong(VARIABLES[name], error.value, error.text), host)

    def value_or_none(self, host: str, name: str) -> t.Any:
        """As :meth:`value`, and None also when it can't be read: for checks that come after the one that says so."""
        try:
            return self.value(host, name)
        except InventoryError:
            return None

    def cluster_value(self, name: str) -> t.Any:
        """The one value of a variable for the whole cluster; None when unset. One host's is taken, since all have the same."""
        if VARIABLES[name].scope != ALL:
            raise ValueError("%s is not one value for the cluster" % name)
        return self.value((self.masters or self.hosts)[0], name) if self.hosts else None

    def cluster_value_or_none(self, name: str) -> t.Any:
        """As :meth:`cluster_value`, and None also when it can't be read."""
        try:
            return self.cluster_value(name)
        except InventoryError:
            return None

    def node_name(self, host: str) -> str:
        """Kubernetes' name of the host, by the one rule for node names.

        :raises InventoryError: when the inventory knows the host by an address only.
        """
        given = self.value(host, "ovn_node_name")
        if given is not None:
            return node_name(given)
        if parse_address(host) is not None:
            raise InventoryError(
                "ovn_node_name is not set, and the inventory knows the host by an address only: set it to Kubernetes' name of the host",
                host,
            )
        try:
            return node_name(read(VARIABLES["ovn_node_name"], host.split(".")[0]))
        except Unreadable as error:
            raise InventoryError(
                "ovn_node_name is not set, and the inventory's name %s %s" % (show(error.value), error.text), host
            ) from None


def wrong(variable: Variable, value: t.Any, text: str) -> str:
    """Variable, value and what is wrong with it; a secret's value stays out."""
    return "%s %s" % (variable.name, text) if variable.secret else "%s %s %s" % (variable.name, show(value), text)
