# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects operators who change a variable: the table of docs/inventory.md has all of them, and names exactly the
services that a site run restarts then.

What is restarted follows from the files that a program has read at its start, which the roles' variables list. So each
variable is changed, and the files of all hosts before and after are compared.
"""

from __future__ import annotations

import json
import pathlib
import re

import pytest
import yaml

from ansible_collections.ovn.kubernetes.plugins.filter.api_access import api_access
from ansible_collections.ovn.kubernetes.plugins.filter.central_options import central_options
from ansible_collections.ovn.kubernetes.plugins.filter.node_subnets import node_subnets
from ansible_collections.ovn.kubernetes.plugins.filter.settings import settings
from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible.verify import gateway_settings, node_settings
from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._programs import access_files
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._variables import PLAY, VARIABLES

ROOT = pathlib.Path(__file__).resolve().parents[3]
MASTER, NODE1, NODE2 = "ovn-master", "ovn-node1", "ovn-node2"
PAGE = (ROOT / "docs" / "inventory.md").read_text(encoding="utf-8").partition("## What a change does\n")[2]
TABLE = {
    row[0].strip("`"): row[1:]
    for row in (
        [cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.partition("\n## ")[0].splitlines()
    )
    if row[0].startswith("`ovn_")
}
AUTHORITY = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"
KUBECONFIG = """
clusters: [{name: c, cluster: {server: "https://10.0.0.1:6443"}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
users: [{name: u, user: {token: TOKEN}}]
"""
CENTRAL = "/etc/default/ovn-central"
# Variable -> the hosts that get its values, one after another; a number takes the place of {}.
EVERYWHERE, SHARED, DEDICATED = (MASTER, NODE1, NODE2), (NODE1,), (MASTER,)
CHANGES = {
    "ovn_cluster_subnet": (EVERYWHERE, ["192.168.0.0/15"]),
    "ovn_service_subnet": (EVERYWHERE, ["10.97.0.0/16"]),
    "ovn_external_ip_networks": (EVERYWHERE, [["10.33.74.0/24"]]),
    "ovn_join_subnet": (EVERYWHERE, ["100.70.0.0/16"]),
    "ovn_node_subnet_prefix": (EVERYWHERE, ["25"]),
    "ovn_mtu": (EVERYWHERE, ["1300"]),
    "ovn_kubernetes_api": (EVERYWHERE, ["https://10.0.0.2:6443"]),
    "ovn_kubernetes_ca": (EVERYWHERE, [AUTHORITY.format("Ym90aGVy")]),
    "ovn_kubernetes_token": (EVERYWHERE, ["another.token.here"]),
    "ovn_kubernetes_admin_kubeconfig": (EVERYWHERE, [KUBECONFIG]),
    "ovn_node_name": ((MASTER, NODE1), ["other{}"]),
    "ovn_node_subnet": (SHARED, ["192.168.77.0/24"]),
    "ovn_encap_ip": (EVERYWHERE, ["10.66.0.{}", "fd44::{}"]),
    "ovn_gateway_interface": (DEDICATED, ["br-x"]),
    "ovn_gateway_shared_interface": (SHARED, ["eth1"]),
    "ovn_gateway_ip": (DEDICATED, ["10.55.0.99/24"]),
    "ovn_gateway_next_hop": (DEDICATED, ["10.55.0.253"]),
    "ovn_datapath_type": (SHARED, ["netdev"]),
    "ovn_log_level": (EVERYWHERE, ["debug"]),
    "ovn_monitor_all": (EVERYWHERE, ["true"]),
}
WITHOUT_FILES = {
    "ovn_encap_type",
    "ovn_openvswitch_settings",
    "ovn_southbound_relays",
    "ovn_tls",
    "ovn_withdrawn_addresses",
}
WITHOUT_FILES |= {name for name in VARIABLES if name.startswith("ovn_tls_")}  # no program is started for them
WITHOUT_FILES |= {name for name, one in VARIABLES.items() if one.scope == PLAY}


def units():
    """Unit -> the files that it is restarted for, of the units that a variable can restart."""
    found = {}
    for path in ROOT.glob("roles/*/vars/main.yml"):
        variables = yaml.safe_load(path.read_text(encoding="utf-8"))
        for name in variables:
            if name in ("master_egress_units", "master_watcher_units", "node_server_units", "gateway_helper_units"):
                (unit,) = variables[name]
                files = unit["started_from"]
                files = variables[files.strip("{ }")] if isinstance(files, str) else files
                found[unit["name"].partition(".")[0]] = set(files)
    return {**found, "ovn-central": {CENTRAL}}


def inventory(cluster):
    """A master with a NIC of its own for its gateway, a node with a shared one, another node; with Kubernetes."""
    cluster.groups = {
        "ovn_masters": [MASTER],
        "ovn_nodes": [NODE1, NODE2],
        "ovn_gateways": [MASTER, NODE1],
    }
    dedicated = {
        "ovn_gateway_interface": "eth1",
        "ovn_gateway_ip": "10.55.0.12/24",
        "ovn_gateway_next_hop": "10.55.0.254",
    }
    cluster.without(NODE1, *dedicated).on(MASTER, **dedicated).on(NODE1, ovn_gateway_shared_interface="eth0")
    return cluster.with_facts().everywhere(
        ovn_service_subnet="10.96.0.0/16",
        ovn_kubernetes_api="https://10.0.0.1:6443",
        ovn_kubernetes_token="a.token.here",
        ovn_kubernetes_ca=AUTHORITY.format("b25l"),
    )


def files(cluster):
    """Host -> path -> content, of what the site play writes for programs; and the hosts that share a NIC."""
    known = cluster.overlay(existing={MASTER: ["192.168.0.0/24"], NODE1: ["192.168.1.0/24"], NODE2: ["192.168.2.0/24"]})
    subnets = node_subnets(cluster.hostvars, cluster.groups, known)
    access = api_access(cluster.hostvars, cluster.groups)
    found, shared = {}, set()
    for host, of_host in settings(cluster.hostvars, cluster.groups).items():
        programs = of_host["kubernetes"]["programs"]
        found[host] = {file["path"]: file["content"] for file in access_files(programs, access.get("ca", ""))}
        found[host][names.NODE_SETTINGS] = json.dumps(node_settings(of_host, subnets[host]))
        found[host][names.LOG_SETTINGS] = of_host["log_level"]
        if of_host["gateway"]:
            found[host][names.GATEWAY_SETTINGS] = json.dumps(gateway_settings(of_host))
        if (of_host["gateway"] or {}).get("shared_interface"):
            shared.add(host)
    found[MASTER][CENTRAL] = central_options(cluster.hostvars, cluster.groups, MASTER)
    return found, shared


def restarted(before, after):
    """The units that a run restarts."""
    (old, _shared), (new, shared) = before, after
    found = set()
    for host in new:
        differs = {path for path in {*old[host], *new[host]} if old[host].get(path) != new[host].get(path)}
        for unit, read in units().items():
            on_master = unit in ("ovn-k8s-watcher", "ovn-k8s-egress", "ovn-central")
            is_there = host in shared if unit == "ovn-k8s-gateway-helper" else (host == MASTER) == on_master
            if is_there and read & differs:
                found.add(unit)
    return found


def test_the_table_has_all_variables():
    """Protects against a variable of which nobody says what its change does."""
    assert list(TABLE) == list(VARIABLES)
    assert set(CHANGES) | WITHOUT_FILES == set(VARIABLES)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_restarts_what_the_table_says(cluster, name):
    """Protects a change at noon: no program is restarted that the table does not name, and none is forgotten there."""
    before = files(inventory(cluster))
    hosts, values = CHANGES[name]
    found = set()
    for value in values:
        for host in hosts:
            number = {MASTER: 11, NODE1: 12, NODE2: 13}[host]
            cluster.on(host, **{name: value.replace("{}", str(number)) if isinstance(value, str) else value})
        found |= restarted(before, files(cluster))
    assert found == set(re.findall(r"`(ovn-[a-z0-9-]+)`", TABLE[name][2]))


@pytest.mark.parametrize("name", sorted(WITHOUT_FILES))
def test_what_no_file_has_restarts_nothing(name):
    """Protects the table: these values are refused, or are a play's own."""
    assert TABLE[name][2] == ""
