# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventory as the rest of the controller side sees it: its groups, and each host's variables and facts. Private to
the collection."""

from __future__ import annotations

import functools
import os
import re
import typing as t
from collections.abc import Iterable, Mapping

from ..module_utils._common.names import node_name
from ._credentials import credentials
from ._errors import FactsMissing, InvalidValue, InventoryError, show
from ._extra import extra_names, without_empty_extras
from ._facts import Facts
from ._templates import Undefined, Variables, computed, is_encrypted, uses_facts, with_hostvars
from ._values import parse_address, read
from ._variables import ALL, PREFIX, VARIABLES

try:
    import netaddr
except ImportError:
    netaddr = None

NETADDR_MISSING = "the Python library netaddr is missing on the controller: install netaddr next to ansible-core"
MASTERS, NODES, GATEWAYS = "ovn_masters", "ovn_nodes", "ovn_gateways"
GROUPS = (MASTERS, NODES, GATEWAYS)
IMPLICIT_GROUPS = ("all", "ungrouped")
NAME = "ovn_node_name"
KUBESPRAY_NAME, KUBESPRAY_HOSTS = "kube_override_hostname", "k8s_cluster"  # of kubespray's inventories


def natural(name: str) -> list[int | str]:
    """Return a sorting key that puts node2 before node10."""
    return [int(part) if index % 2 else part for index, part in enumerate(re.split(r"([0-9]+)", name))]


class Inventory:
    """The OVN hosts of an inventory.

    Values are read when they are needed, and once: Ansible computes templates each time.

    :ivar groups: the inventory's groups and their hosts, without the groups that every inventory has.
    :ivar hosts: all hosts of the three groups, in natural order; each is a chassis with a node switch.
    :ivar others: all other hosts, in natural order.
    :ivar masters: in the order of the inventory; the play writes the rows on the first one.
    :ivar gateways: in natural order.
    :ivar extra: names of extra variables (``-e``); None when they are not known, since ``hostvars`` is not
        Ansible's own.
    """

    def __init__(
        self, hostvars: Mapping[str, Variables], groups: Mapping[str, t.Any], gathered: Iterable[str] | None = None
    ) -> None:
        # gathered: hosts whose facts this run has gathered; those of others may be from an old cache, and don't count.
        # None: nobody knows, and all facts count but what hosts say of their own nodes.
        if netaddr is None:
            raise InventoryError(NETADDR_MISSING)
        for name, value in (("hostvars", hostvars), ("groups", groups)):
            if not isinstance(value, Mapping):
                raise InventoryError(
                    f"{name} must be a dictionary, as in hostvars | ovn.kubernetes.problems(groups), and is "
                    f"{type(value).__name__}"
                )
        self.groups = {str(name): list(map(str, groups[name])) for name in groups if str(name) not in IMPLICIT_GROUPS}
        self.masters = self.groups.get(MASTERS, [])
        self.gateways = sorted(self.groups.get(GATEWAYS, []), key=natural)
        self.hosts = sorted({*self.masters, *self.groups.get(NODES, []), *self.gateways}, key=natural)
        everyone = {str(host) for name in groups for host in groups[name]}
        self.others = sorted((host for host in everyone.difference(self.hosts) if host in hostvars), key=natural)
        self._is_host, self._is_gateway = frozenset(self.hosts), frozenset(self.gateways)
        self._kubespray = frozenset(map(str, groups.get(KUBESPRAY_HOSTS, ())))
        self.extra = extra_names(hostvars)
        self._hostvars = without_empty_extras(hostvars)
        self._credentials = credentials()
        self._gathered = None if gathered is None else frozenset(map(str, gathered))
        self._variables: dict[str, Variables] = {}
        self._raw: dict[tuple[str, str], t.Any] = {}
        self._read: dict[tuple[str, str], t.Any] = {}
        self._parsed: dict[tuple[str, str], t.Any] = {}
        self._facts: dict[str, Facts] = {}

    def is_host(self, host: str) -> bool:
        """Return whether the host is in one of the groups."""
        return host in self._is_host

    def is_gateway(self, host: str) -> bool:
        """Return whether the host is in ovn_gateways."""
        return host in self._is_gateway

    def names(self, host: str) -> list[str]:
        """Return the names of the host's ``ovn_*`` variables."""
        names = {str(name) for name in self._variables_of(host) if str(name).startswith(PREFIX)}
        return sorted(names.union(self._credentials))

    def other_names(self, host: str) -> list[str]:
        """Return the names of the host's variables that are not ``ovn_*``, nor Ansible's own."""
        return sorted(str(name) for name in self._variables_of(host) if not str(name).startswith((PREFIX, "ansible_")))

    def facts(self, host: str) -> Facts:
        """Return the facts that were gathered about the host."""
        if host not in self._facts:
            if self._gathered is None:
                self._facts[host] = Facts(self._variables_of(host).get("ansible_facts"), own=False)
            elif host in self._gathered:
                self._facts[host] = Facts(self._variables_of(host).get("ansible_facts"))
            else:
                self._facts[host] = Facts(None)
        return self._facts[host]

    def is_set(self, host: str, name: str) -> bool:
        """Return whether the host has this variable, with whatever value."""
        return self.is_in_inventory(host, name) or name in self._credentials

    def is_in_inventory(self, host: str, name: str) -> bool:
        """Return whether the inventory or an extra variable sets it, and not the environment alone."""
        return name in self._variables_of(host)

    def hosts_with(self, name: str) -> list[str]:
        """Return the hosts that have this variable; all hosts when none has it."""
        return [host for host in self.hosts if self.is_set(host, name)] or self.hosts

    def is_secret(self, host: str, name: str) -> bool:
        """Return whether no message may show the variable's value."""
        variable = VARIABLES.get(name)
        return (variable is not None and variable.secret) or is_encrypted(self._variables_of(host), name)

    def message(self, host: str, name: str, value: t.Any, text: str) -> str:
        """Return variable, value and text as one sentence; a secret value is left out."""
        return f"{name} {text}" if self.is_secret(host, name) else f"{name} {show(value)} {text}"

    def raw(self, host: str, name: str) -> t.Any:
        """Return the variable's value as the inventory has it, not checked; None when it is not set."""
        if (host, name) not in self._raw:
            variables = self._variables_of(host)
            self._raw[host, name] = computed(variables, name) if name in variables else self._credentials.get(name)
        return self._raw[host, name]

    def value(self, host: str, name: str) -> t.Any:
        """Return the variable's value, read and checked; None when it is not set.

        :raises InventoryError: the variable can't have this value.
        """
        if (host, name) not in self._read:
            self._read[host, name] = self._checked(host, name)
        value = self._read[host, name]
        if isinstance(value, InventoryError):
            raise value
        return value

    def valid_value(self, host: str, name: str) -> t.Any:
        """Return the variable's value as :meth:`value` does, and None when it can't be read: another check reports
        that."""
        try:
            return self.value(host, name)
        except InventoryError:
            return None

    def cluster_value(self, name: str) -> t.Any:
        """Return the one value of a variable for the whole cluster; None when it is not set. It is read from one host,
        since all have the same.

        :raises InventoryError: the variable can't have this value.
        """
        if VARIABLES[name].scope != ALL:
            raise ValueError(f"{name} is not one value for the cluster")
        return self.value((self.masters or self.hosts)[0], name) if self.hosts else None

    def valid_cluster_value(self, name: str) -> t.Any:
        """Return the value as :meth:`cluster_value` does, and None when it can't be read."""
        try:
            return self.cluster_value(name)
        except InventoryError:
            return None

    def path(self, given: str) -> str:
        """Return the absolute path of a file on the controller; a relative one begins beside the inventory."""
        beside = self.raw((self.masters or self.hosts)[0], "inventory_dir")
        return os.path.abspath(os.path.join(beside if isinstance(beside, str) else "", os.path.expanduser(given)))

    @property
    def tls(self) -> bool:
        """Whether the databases use SSL; also where the value can't be read, which the validation reports."""
        return self._is_on("ovn_tls")

    @property
    def relays(self) -> bool:
        """Whether each master has a relay of the Southbound database; as :attr:`tls`."""
        return self._is_on("ovn_southbound_relays")

    def _is_on(self, name: str) -> bool:
        value = self.valid_cluster_value(name)
        return bool(VARIABLES[name].default if value is None else value)

    def node_name(self, host: str) -> str:
        """Return Kubernetes' name of the host.

        :raises InventoryError: it is not set, and the host's name in the inventory can't be one.
        """
        name = self.value(host, NAME)
        if name is not None:
            return node_name(name)
        name = self._kubespray_name(host)
        if parse_address(name or host) is not None:
            raise InventoryError(
                f"{NAME} is not set, and the inventory knows the host by an address only: set it to "
                "Kubernetes' name of the host",
                host,
            )
        source = f"{KUBESPRAY_NAME}" if name else "the inventory's name"
        try:
            return node_name(read(VARIABLES[NAME], name or host.split(".")[0]))
        except InvalidValue as error:
            raise InventoryError(f"{NAME} is not set, and {source} {show(error.value)} {error.text}", host) from None

    @functools.cached_property
    def named(self) -> list[str]:
        """The hosts, in their order, without those whose name is made from facts that nobody could gather: one host
        that is off must not stop the others."""
        return [host for host in self.hosts if self._has_name(host)]

    def _has_name(self, host: str) -> bool:
        try:
            self.node_name(host)
        except FactsMissing:
            return False
        except InventoryError:
            return True  # whoever uses the name says what is wrong with it
        return True

    def _kubespray_name(self, host: str) -> str:
        """Return the name with which kubespray registers the host in Kubernetes; empty when it does not.

        It is ``kube_override_hostname``, and that is by default the inventory's name
        (kubespray, roles/kubespray_defaults/defaults/main/main.yml).
        """
        value = self.raw(host, KUBESPRAY_NAME)
        if isinstance(value, Undefined):
            if self._waits_for_facts(host, KUBESPRAY_NAME, value):
                raise _facts_missing(host, KUBESPRAY_NAME)
            raise InventoryError(f"{KUBESPRAY_NAME} can't be worked out: {value.reason}", host)
        if value:
            return str(value)
        return host if host in self._kubespray else ""

    def _variables_of(self, host: str) -> Variables:
        """Return all variables of the host, as Ansible gives them."""
        if host not in self._variables:
            try:
                self._variables[host] = with_hostvars(self._hostvars[host], self._hostvars)
            except KeyError:
                raise InventoryError(
                    "it is in the groups, but its variables were not given: "
                    f"give hostvars with all hosts of {MASTERS}, {NODES} and {GATEWAYS}",
                    host,
                ) from None
        return self._variables[host]

    def _waits_for_facts(self, host: str, name: str, value: t.Any) -> bool:
        """Return whether the value is not to be judged yet: its template uses facts, and none were gathered.

        Without facts a template may also give another value, such as that of its ``default``.
        """
        facts = self.facts(host)
        if facts.known or (facts.some and not isinstance(value, Undefined)):
            return False
        return uses_facts(self._variables_of(host), name)

    def _checked(self, host: str, name: str) -> t.Any:
        """Return the value, or the error."""
        if not self.is_set(host, name):
            return None
        value = self.raw(host, name)
        if self._waits_for_facts(host, name, value):
            return _facts_missing(host, name)
        if isinstance(value, Undefined):
            return InventoryError(f"{name} can't be worked out: {value.reason}", host)
        key = (name, repr(value))  # most hosts have the cluster's values in common
        if key not in self._parsed:
            try:
                self._parsed[key] = read(VARIABLES[name], value)
            except InvalidValue as error:
                self._parsed[key] = error
        parsed = self._parsed[key]
        if isinstance(parsed, InvalidValue):
            return InventoryError(self.message(host, name, parsed.value, parsed.text), host)
        return parsed


def _facts_missing(host: str, name: str) -> FactsMissing:
    text = f"{name} is made from facts, and the host's facts are not known: gather them, or set it without facts"
    return FactsMissing(text, host)
