# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what verify compares hosts with: site's settings and subnets; an error of one host leaves the others."""

from __future__ import annotations

import pathlib

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.ovn.kubernetes.plugins.filter.verification import verification
from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible import argument_spec
from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible.verify import gateway_settings, node_settings
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import options

MASTER, NODE1, NODE2 = HOSTS = ("ovn-master", "ovn-node1", "ovn-node2")
ROLES = pathlib.Path(__file__).resolve().parents[3] / "roles"


def overlay(*hosts):
    """What ovn_info says of these hosts."""
    nodes = {
        host: {"subnets": [f"192.168.{7 + number}.0/24"], "encap_ips": [], "chassis": host}
        for number, host in enumerate(hosts)
    }
    return {"nodes": nodes, "gateways": {NODE1: {"join_ips": ["100.64.0.2"], "mac": None}}, "chassis": {}}


def verify(cluster, current, hosts=HOSTS, reached=HOSTS, gathered=None):
    names = {host: host for host in HOSTS}
    return verification(cluster.hostvars, cluster.groups, names, current, hosts, reached, gathered)


def test_all_hosts_are_compared_with_what_site_gives_them(cluster):
    """Protects the plan: settings, subnets as the database has them, peers all around, the gateway's own router."""
    found = verify(cluster.with_facts(), overlay(*HOSTS))
    assert found["problems"] == [] and set(found["settings"]) == set(HOSTS)
    assert found["subnets"] == {MASTER: ["192.168.7.0/24"], NODE1: ["192.168.8.0/24"], NODE2: ["192.168.9.0/24"]}
    assert [peer["name"] for peer in found["peers"][NODE1]] == [NODE2, MASTER]
    assert found["peers"][NODE2][0] == {"name": MASTER, "address": "192.168.7.2"}
    assert found["routers"] == {NODE1: [{"name": NODE1, "address": "100.64.0.2"}]}
    assert [node["node_name"] for node in found["overlay"]["nodes"]] == list(HOSTS)
    assert [gateway["node_name"] for gateway in found["overlay"]["gateways"]] == [NODE1]


def test_where_no_authority_is_made(cluster, monkeypatch):
    """Protects verify every night in a job of CI, while the network is plain tcp still: it makes no CA."""
    monkeypatch.setenv("CI", "true")
    assert any("is gone afterwards" in text for text in cluster.with_facts().problems())
    assert verify(cluster, overlay(*HOSTS))["problems"] == []


def test_a_node_that_has_not_joined_kubernetes_is_a_warning(cluster):
    """Protects the table: what the site play says in passing is a row."""
    found = verify(cluster.with_facts(), {**overlay(*HOSTS), "kubernetes_nodes": [NODE1]})
    assert found["problems"] == [] and [text.split(":")[0] for text in found["warnings"]] == [NODE2]


def test_a_host_that_is_not_reached_is_left_out(cluster):
    """Protects the others: nobody waits for its answer, and it keeps its rows."""
    cluster.with_facts().without(NODE2, "ansible_facts")
    found = verify(cluster, overlay(*HOSTS), reached=[MASTER, NODE1])
    assert set(found["settings"]) == {MASTER, NODE1}
    assert [peer["name"] for peer in found["peers"][NODE1]] == [MASTER]
    assert [node["node_name"] for node in found["overlay"]["nodes"]] == [MASTER, NODE1]


def test_a_limited_play_asks_hosts_that_it_leaves_out(cluster):
    """Protects --limit: one host can be verified alone, and the tunnels to all others are among it."""
    found = verify(cluster.with_facts(), overlay(*HOSTS), [NODE1], [NODE1], [NODE1, MASTER])
    assert set(found["settings"]) == {NODE1} and found["problems"] == []
    assert [peer["name"] for peer in found["peers"][NODE1]] == [NODE2, MASTER]


def test_a_dead_master_leaves_the_nodes_with_what_they_have_saved(cluster):
    """Protects nodes while the master is dead: no subnets are invented, and its missing facts are no second fault."""
    cluster.with_facts().without(MASTER, "ansible_facts")
    found = verify(cluster, {"skipped": True}, reached=[NODE1, NODE2])
    assert found["subnets"] == {} and found["problems"] == []
    assert found["settings"][NODE1]["gateway"] is not None and found["settings"][NODE2]["gateway"] is None


def test_a_host_that_has_lost_its_default_route_hides_nothing(cluster):
    """Protects the others against one host whose settings can't be worked out any more."""
    cluster.with_facts()
    cluster.hostvars[NODE2]["ansible_facts"]["default_ipv4"] = {}
    found = verify(cluster, overlay(*HOSTS))
    assert [text.split(":")[0] for text in found["problems"]] == [NODE2]
    assert set(found["subnets"]) == {MASTER, NODE1}
    assert found["settings"][NODE2]["kubernetes"] is None


def templated(role, file, **variables):
    """The options that a role gives to ovn_host for its part of the host; those without a value left out."""
    path = ROLES / role / "tasks" / file
    (arguments,) = (
        one["ovn.kubernetes.ovn_host"]
        for one in yaml.safe_load(path.read_text(encoding="utf-8"))
        if "ovn.kubernetes.ovn_host" in one
    )
    loader = DataLoader()
    templar = Templar(
        loader, variables={"omit": "OMIT", "common_all_former": {}, "inventory_hostname": NODE1, **variables}
    )
    made = {key: templar.template(trusted(value)) for key, value in arguments[role].items()}
    return {key: None if value == "OMIT" else value for key, value in made.items()}


def trusted(value):
    """A template as Ansible reads it from a role; since 2.19 others are not evaluated."""
    try:
        from ansible.template import trust_as_template
    except ImportError:
        return value
    return trust_as_template(value) if isinstance(value, str) else value


@pytest.mark.parametrize("datapath", [None, "netdev"])
def test_site_and_verify_give_a_host_the_same_options(cluster, datapath):
    """Protects the comparison: what the roles give to the modules is what verify compares with."""
    cluster.everywhere(ovn_service_subnet="10.96.0.0/16")
    if datapath:
        cluster.on(NODE1, ovn_datapath_type=datapath)
    settings = verify(cluster.with_facts(), overlay(*HOSTS))["settings"][NODE1]
    node = templated("node", "converge.yml", node_settings=settings, node_subnets=["192.168.8.0/24"])
    assert options.node_host(node, node["cluster_ip_subnet"]) == node_settings(settings, ["192.168.8.0/24"])
    gateway = templated("gateway", "converge.yml", gateway_settings=settings)
    given = argument_spec.OVN_HOST["argument_spec"]["gateway"]["options"]
    assert set(gateway) <= set(given)
    own = {**gateway, "datapath_type": None}  # it is for the move of a shared NIC
    assert options.gateway_host(own, gateway["cluster_ip_subnet"]) == gateway_settings(settings)
