# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with names, node subnets and tunnel addresses of hosts, and where two hosts have the same. Private to
the collection."""

from __future__ import annotations

import collections
import importlib.util

from ..module_utils._topology import node as policy
from ..module_utils._topology.foreign import other_overlay, same_database
from . import _identities
from ._claims import Claim, clashes
from ._derived import NO_DEFAULT_ROUTE, tunnel_ip
from ._errors import InventoryError, show
from ._inventory import Inventory
from ._report import Report
from ._settings import Cluster

SUBNET, ENCAP, NAME, OPENVSWITCH = "ovn_node_subnet", "ovn_encap_ip", "ovn_node_name", "ovn_openvswitch_settings"
COLLECTION, CRYPTO = "openvswitch.openvswitch", "community.crypto"
SHOWN_ADDRESSES = 4  # of a host, in a message


def add_host_problems(inventory: Inventory, report: Report) -> None:
    """Add what is wrong with the hosts' own values."""
    add_name_problems(inventory, report)
    _add_subnets(inventory, report)
    _add_tunnels(inventory, report)
    _add_system_ids(inventory, report)
    _add_foreign(inventory, report)
    _add_missing_collection(inventory, report)


def add_name_problems(inventory: Inventory, report: Report) -> None:
    """Add names that can't be read, and those that two hosts have."""
    owners: dict[str, str] = {}
    for host in inventory.hosts:
        try:
            name = inventory.node_name(host)
        except InventoryError as error:
            report.add_unreadable(host, error)  # the report has it once, also when the value's own check added it
            continue
        owner = owners.setdefault(name, host)
        if owner != host:
            report.add(
                host,
                f"{report.setting(host, NAME, name)} is also the name of {owner}: give each host its own",
            )


def _add_subnets(inventory: Inventory, report: Report) -> None:
    cluster = tuple(map(str, inventory.valid_cluster_value("ovn_cluster_subnet") or ()))
    claims = []
    for host in inventory.hosts:
        networks = inventory.valid_value(host, SUBNET) or []
        claims += [Claim(network, host) for network in networks]
        if cluster and networks:
            report.add_problems(host, policy.problems(policy.Node(host, tuple(map(str, networks)), cluster)))
    for other, claim in clashes(claims):
        same = other.network == claim.network
        text = f"is also that of {other.owner}" if same else f"overlaps {show(other.network)} of {other.owner}"
        report.add(claim.owner, f"{SUBNET} {show(claim.network)} {text}: give each host its own")


def _add_tunnels(inventory: Inventory, report: Report) -> None:
    owners: dict[str, str] = {}
    hosts_by_version: dict[int, list[str]] = collections.defaultdict(list)
    settings = {}
    for host in inventory.hosts:
        facts = inventory.facts(host)
        is_set = inventory.is_set(host, ENCAP)
        address = tunnel_ip(inventory, host)
        if address is None:
            if facts.known and not is_set:
                report.add(host, NO_DEFAULT_ROUTE)
            continue
        settings[host] = report.setting(host, ENCAP, address)
        hosts_by_version[address.version].append(host)
        if is_set and facts.addresses and address not in facts.addresses:
            addresses = ", ".join(map(str, facts.addresses[:SHOWN_ADDRESSES]))
            report.add(host, f"{settings[host]} is no address of this host: write one of {addresses}")
        owner = owners.setdefault(str(address), host)
        if owner != host:
            report.add(host, f"{settings[host]} is also that of {owner}: give each host its own")
    majority = max(hosts_by_version.values(), key=len, default=[])
    for version, hosts in hosts_by_version.items():
        for host in hosts if hosts is not majority else ():
            report.add(
                host,
                f"{settings[host]} is IPv{version}, and {majority[0]} has one of IPv{10 - version}: "
                "tunnels need one IP version on all hosts",
            )


def _add_system_ids(inventory: Inventory, report: Report) -> None:
    """Add hosts with the system-id of another one, as clones of a machine have it: OVN would take both for one."""
    for host, text in _identities.problems(
        inventory, _identities.claims(inventory), _identities.record(inventory) or {}
    ):
        report.add(host, text)


def _add_foreign(inventory: Inventory, report: Report) -> None:
    """Add hosts whose Open vSwitch another program uses, or another OVN."""
    try:
        southbound = Cluster(inventory).southbound_remote
    except InventoryError:
        southbound = ""  # not known, and why is said by another check
    for host in inventory.hosts:
        own = inventory.facts(host).own
        if own.foreign:
            report.add(host, own.foreign)
        elif southbound and own.southbound_before and not same_database(own.southbound_before, southbound):
            report.add(host, other_overlay(own.southbound_before))


def _add_missing_collection(inventory: Inventory, report: Report) -> None:
    """Add hosts with settings that only a collection which is not here can make: offline it may have been left out."""
    hosts = [host for host in inventory.hosts if inventory.valid_value(host, OPENVSWITCH)]
    if hosts and not _is_installed(COLLECTION):
        report.add(
            hosts,
            f"{OPENVSWITCH} needs the collection {COLLECTION}, which is not on the controller: install it, or remove "
            "the variable",
        )
    if inventory.tls and not _is_installed(CRYPTO):
        report.add(
            inventory.hosts,
            f"ovn_tls needs the collection {CRYPTO}, which is not on the controller: install it, or set ovn_tls to "
            "false",
        )


def _is_installed(collection: str) -> bool:
    try:
        return importlib.util.find_spec(f"ansible_collections.{collection}") is not None
    except ModuleNotFoundError:  # nothing of its namespace is here
        return False
