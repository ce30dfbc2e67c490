# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what stops nothing from being silent: tunnels on a public network, and what hosts leave behind that leave
the inventory or one of its groups."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.filter.advice import advice
from ansible_collections.ovn.kubernetes.plugins.filter.findings import findings
from ansible_collections.ovn.kubernetes.plugins.filter.verification import verification

MASTER, NODE1, NODE2 = HOSTS = ("ovn-master", "ovn-node1", "ovn-node2")
NO_ROWS = {"nodes": {}, "gateways": {}, "chassis": {}}
ROWS = {"join_ips": ["100.64.0.2"], "mac": None, "physical_ips": ["10.55.0.12/24"]}


def said(cluster, overlay=None, gathered=HOSTS):
    return advice(cluster.hostvars, cluster.groups, overlay or NO_ROWS, gathered)


def rows(cluster, overlay=None):
    """Host, severity, what is wrong, and what mends it, as verify shows them."""
    names = {host: host for host in HOSTS}
    overlay = overlay or NO_ROWS
    plan = verification(cluster.hostvars, cluster.groups, names, overlay, HOSTS, HOSTS)
    hostvars = {host: {"common_facts": {}, "common_verified": {}} for host in HOSTS}
    found = findings(hostvars, HOSTS, names, plan, overlay, MASTER, ["hosts.yml"])["rows"]
    return [(row["host"], row["severity"], row["wrong"], row["mend"]) for row in found]


def public(cluster, address="203.0.113.11", version=4):
    """Give the default route of the master a public address, beside its own on the cluster's network."""
    facts = cluster.with_facts().hostvars[MASTER]["ansible_facts"]
    facts.update(default_ipv4={}, default_ipv6={})
    facts[f"default_ipv{version}"] = {"address": address, "interface": "eth9", "mtu": 1500}
    return cluster


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(("address", "version"), [("203.0.113.11", 4), ("2001:db8::11", 6)])
def test_tunnels_on_a_public_network_are_named(cluster, address, version, tls):
    """Protects clouds' hosts, whose default route has the public NIC: tunnels are clear text, and without TLS the
    database is open."""
    public(cluster, address, version).everywhere(ovn_tls=tls)
    if version == 6:
        cluster.groups.update(ovn_nodes=[], ovn_gateways=[])
    (sentence,) = said(cluster)
    start = f"{MASTER}: ovn_encap_ip is not set, and its default, the default route's address ({address} on {MASTER})"
    assert sentence.startswith(start)
    assert "tunnels are not encrypted" in sentence
    assert f"set ovn_encap_ip to the address on the cluster's own network, such as 10.44.0.11 on {MASTER}" in sentence
    assert sentence.count("port 6642") == (0 if tls else 2)


def test_who_sets_the_public_address_means_it(cluster):
    """Protects clusters over the internet from words that never end."""
    public(cluster).on(MASTER, ovn_encap_ip="203.0.113.11")
    assert said(cluster) == []
    assert said(cluster.with_facts()) == []


@pytest.mark.parametrize("address", ["100.64.3.4", "172.31.0.1", "192.168.7.7", "10.0.0.1"])
def test_private_networks_say_nothing(cluster, address):
    """Protects ordinary underlays, also those of providers (RFC 6598)."""
    assert said(public(cluster, address)) == []


def test_verify_has_the_public_network_as_a_warning(cluster):
    """Protects those who did not read the first run."""
    ((host, severity, wrong, mend),) = [row for row in rows(public(cluster)) if "public" in row[2]]
    assert (host, severity) == (MASTER, "warning") and "203.0.113.11" in wrong and "ovn_encap_ip" in mend


def dropped(cluster, own=True):
    """The gateway on node 1 is not in ovn_gateways any more."""
    cluster.with_facts().groups["ovn_gateways"] = []
    cluster.without(NODE1, "ovn_gateway_interface", "ovn_gateway_ip", "ovn_gateway_next_hop")
    return cluster.own(NODE1, gateway=own)


@pytest.mark.parametrize(("own", "gateways"), [(True, {}), (False, {NODE1: ROWS}), (True, {NODE1: ROWS})])
def test_verify_finds_a_gateway_that_is_none_any_more(cluster, own, gateways):
    """Protects the promise that what is wrong and ours is found, and that site mends it: rows, host, both."""
    found = rows(dropped(cluster, own), {**NO_ROWS, "gateways": gateways})
    site = "ansible-playbook -i hosts.yml ovn.kubernetes.site"
    assert (NODE1, "error", "is set up as a gateway, and is not in ovn_gateways", site) in found


def test_the_site_play_takes_it_away_without_words(cluster):
    """Protects the reader: what the play does is a change, not advice; a host that it does not reach is named."""
    overlay = {**NO_ROWS, "gateways": {NODE1: ROWS}}
    assert said(dropped(cluster), overlay) == []
    del cluster.hostvars[NODE1]["ansible_facts"]
    (sentence,) = said(cluster, overlay)
    assert sentence.startswith(f"{NODE1}: is set up as a gateway, and is not in ovn_gateways; pods' packets leave")
    assert "run the site play" in sentence


def test_hosts_that_left_the_inventory_are_named_with_the_command(cluster):
    """Protects whoever deletes a line of the inventory: the gateway goes on carrying traffic, and no run sees it."""
    node = {"subnets": ["192.168.9.0/24"], "encap_ips": [], "chassis": "id-gone"}
    overlay = {"nodes": {"gone": node}, "gateways": {"gone": ROWS}, "chassis": {}}
    node_said, gateway_said = said(cluster.with_facts(), overlay)
    command = "ansible-playbook ovn.kubernetes.remove -e ovn_remove_hosts=gone"
    assert node_said.startswith("gone: node gone is in the overlay") and node_said.endswith(command)
    assert gateway_said.startswith("gone: gateway gone is in the overlay") and gateway_said.endswith(command)
    assert ("gone", "warning", "gateway gone is in the overlay, and not in the inventory") in [
        row[:3] for row in rows(cluster, overlay)
    ]


def test_a_renamed_gateway_is_the_same(cluster):
    """Protects renames: the old name in the databases is this host."""
    cluster.with_facts().own(NODE1, system_id="id-1", node="old")
    nodes = {"old": {"subnets": ["192.168.9.0/24"], "encap_ips": ["10.44.0.12"], "chassis": "id-1"}}
    assert said(cluster, {"nodes": nodes, "gateways": {"old": ROWS}, "chassis": {}}) == []


def test_a_host_without_a_name_may_be_any_node(cluster):
    """Protects hosts that are off: nobody is told to remove them."""
    cluster.with_facts().on(NODE2, ovn_node_name="{{ ansible_facts.hostname }}")
    del cluster.hostvars[NODE2]["ansible_facts"]
    overlay = {"nodes": {}, "gateways": {"gone": ROWS}, "chassis": {}}
    assert said(cluster, overlay) == []


def test_a_master_that_has_left_the_inventory_is_named(cluster):
    """Protects pods from a second watcher on a host that no run reaches any more; new addresses of hosts count."""
    cluster.with_facts().own(NODE1, databases=["10.44.0.9"]).own(NODE2, databases=["10.44.0.9"])
    (sentence,) = said(cluster)
    assert sentence.startswith("10.44.0.9: the overlay's databases were there until now")
    assert "systemctl disable --now ovn-k8s-watcher ovn-k8s-egress ovn-central" in sentence
    assert said(cluster.own(NODE1, databases=["10.44.0.11"]).own(NODE2, databases=["fd44::11"])) == []
