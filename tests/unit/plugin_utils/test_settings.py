# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what the roles work with: variables, facts and defaults."""

from __future__ import annotations

import base64
import json

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.ovn.kubernetes.plugins.filter.central_access import central_access
from ansible_collections.ovn.kubernetes.plugins.filter.central_options import central_options
from ansible_collections.ovn.kubernetes.plugins.filter.overlay_networks import networks
from ansible_collections.ovn.kubernetes.plugins.filter.settings import settings
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._central import Central
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._inventory import Inventory

from .settings_of import MASTER, NODE1, NODE2, of, refused

PEM = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"
IDLE = {"table": "Open_vSwitch", "record": ".", "column": "other_config", "key": "max-idle", "value": 30000}


def test_defaults(cluster):
    """Protects every default, and the shape that the roles read."""
    assert of(cluster.with_facts(), NODE1) == {
        "node_name": "ovn-node1",
        "encap_ip": "10.44.0.12",
        "encap_type": "geneve",
        "mtu": 1442,
        "cluster_subnets": ["192.168.0.0/16"],
        "service_subnets": [],
        "join_subnets": ["100.64.0.0/16"],
        "node_subnets": [],
        "southbound_remote": "ssl:10.44.0.11:6642",
        "southbound_central_remote": "ssl:10.44.0.11:16642",
        "northbound_remote": "ssl:10.44.0.11:6641",
        "monitor_all": None,
        "remote_probe": None,
        "datapath_type": "",
        "log_level": "info",
        "gateway": {
            "physical_interface": "eth1",
            "shared_interface": "",
            "bridge_interface": "",
            "physical_ips": ["10.55.0.12/24"],
            "default_gws": ["10.55.0.254"],
        },
        "openvswitch_settings": [],
        "rebalance_egress": False,
        "tls": True,
        "kubernetes": None,
    }
    assert of(cluster, NODE2)["gateway"] is None


def test_variables_that_are_set(cluster):
    """Protects each variable: it is in the settings."""
    cluster.dual().everywhere(
        ovn_service_subnet="10.96.0.0/16,fd96::/112",
        ovn_join_subnet="100.70.0.0/16",
        ovn_mtu="1400",
        ovn_openvswitch_settings=[IDLE],
        ovn_kubernetes_api="https://10.0.0.1:6443/",
        ovn_kubernetes_token="hidden",
    )
    cluster.on(MASTER, ovn_encap_ip="fd44::1").on(
        NODE1,
        ovn_encap_ip="fd44::2",
        ovn_node_name="Node.One",
        ovn_datapath_type="netdev",
        ovn_log_level="debug",
        ovn_egress_rebalance="y",
        ovn_node_subnet=["192.168.2.0/24", "fd10:0:0:2::/64"],
        ovn_gateway_ip="10.55.0.12/24,fd55::12/64",
    )
    assert of(cluster, NODE1) == {
        "node_name": "node.one",
        "encap_ip": "fd44::2",
        "encap_type": "geneve",
        "mtu": 1400,
        "cluster_subnets": ["192.168.0.0/16", "fd10::/48"],
        "service_subnets": ["10.96.0.0/16", "fd96::/112"],
        "join_subnets": ["100.70.0.0/16", "fd98::/64"],
        "node_subnets": ["192.168.2.0/24", "fd10:0:0:2::/64"],
        "southbound_remote": "ssl:[fd44::1]:6642",
        "southbound_central_remote": "ssl:[fd44::1]:16642",
        "northbound_remote": "ssl:[fd44::1]:6641",
        "monitor_all": None,
        "remote_probe": None,
        "datapath_type": "netdev",
        "log_level": "debug",
        "gateway": {
            "physical_interface": "eth1",
            "shared_interface": "",
            "bridge_interface": "",
            "physical_ips": ["10.55.0.12/24", "fd55::12/64"],
            "default_gws": ["10.55.0.254"],
        },
        "openvswitch_settings": [{**IDLE, "value": "30000"}],
        "rebalance_egress": True,
        "tls": True,
        "kubernetes": {
            "server": "https://10.0.0.1:6443",
            "accounts": False,
            "pods": True,
            "programs": [
                {
                    "account": "ovn-k8s-node-node.one",
                    "file": "/etc/ovn-kubernetes/kubernetes-node.json",
                    "token_file": "/etc/ovn-kubernetes/kubernetes-node.token",
                    "settings": {
                        "server": "https://10.0.0.1:6443",
                        "ca_file": None,
                        "token_file": "/etc/ovn-kubernetes/kubernetes-node.token",
                        "host_addresses": {"10.55.0.12": "node.one", "10.55.0.254": "*", "fd55::12": "node.one"},
                    },
                }
            ],
        },
    }


def test_several_masters_and_tls(cluster):
    """Protects the connection string for later: it works here, and only the validation refuses it."""
    cluster.with_facts().everywhere(ovn_tls=True).groups["ovn_masters"] = [NODE2, MASTER]
    found = of(cluster, NODE1)
    assert found["southbound_remote"] == "ssl:10.44.0.13:6642,ssl:10.44.0.11:6642"
    assert found["southbound_central_remote"] == "ssl:10.44.0.13:16642,ssl:10.44.0.11:16642"
    assert found["northbound_remote"] == "ssl:10.44.0.13:6641,ssl:10.44.0.11:6641"


def test_one_several_or_all_hosts(cluster):
    """Protects plays over many hosts, which use the filter once."""
    cluster.with_facts()
    assert list(of(cluster)) == [MASTER, NODE1, NODE2]
    assert of(cluster, [NODE2]) == {NODE2: of(cluster, NODE2)}


def test_the_databases_listen_where_they_are_looked_for(cluster):
    """Protects an IPv6 underlay: the default is IPv4. Elsewhere no port is opened that nobody needs."""
    cluster.with_facts().everywhere(ovn_tls=False).own(MASTER, central_databases={})
    assert Central(Inventory(cluster.hostvars, cluster.groups)).asked().listeners["southbound"][0].target == "ptcp:6642"
    cluster.on(MASTER, ovn_encap_ip="fd44::11").on(NODE1, ovn_encap_ip="fd44::12").on(NODE2, ovn_encap_ip="fd44::13")
    (listener,) = Central(Inventory(cluster.hostvars, cluster.groups)).asked().listeners["southbound"]
    assert listener.target == "ptcp:6642:[::]"
    assert "--db-sb-cluster-local-addr=[fd44::11]" in central_options(cluster.hostvars, cluster.groups, MASTER)
    assert of(cluster, NODE1)["southbound_remote"] == "tcp:[fd44::11]:6642"


def test_default_route_of_ipv6_only(cluster):
    """Protects hosts without IPv4."""
    cluster.with_facts()
    for number, host in enumerate((MASTER, NODE1, NODE2), 11):
        facts = cluster.hostvars[host]["ansible_facts"]
        facts["default_ipv4"] = {}
        facts["default_ipv6"] = {"address": f"fd44::{number}", "interface": "eth0", "mtu": 1500, "prefix": "64"}
    assert of(cluster, NODE1)["encap_ip"] == "fd44::12"
    assert of(cluster, NODE1)["southbound_remote"] == "ssl:[fd44::11]:6642"
    assert of(cluster, NODE1)["mtu"] == 1422


class Tagged(str):
    """Text in a class of Ansible."""


class TaggedNumber(int):
    """A number in a class of Ansible."""


def exact(value):
    """Return whether all of it is of types that JSON has."""
    kind = value.__class__
    if kind is dict:
        return all(key.__class__ is str and exact(item) for key, item in value.items())
    return all(map(exact, value)) if kind is list else kind in (str, int, bool, None.__class__)


def test_settings_are_plain(cluster):
    """Protects modules and files against Ansible's own classes of text and numbers."""
    cluster.with_facts().everywhere(ovn_mtu=TaggedNumber(1400), ovn_encap_type=Tagged("geneve"))
    cluster.on(
        NODE1,
        ovn_gateway_interface=Tagged("eth1"),
        ovn_datapath_type=Tagged("netdev"),
        ovn_encap_ip=Tagged("10.44.0.12"),
        ovn_node_name=Tagged("node1"),
    )
    assert exact(of(cluster, [Tagged(NODE1)]))
    assert not exact({"a": [Tagged("b")]})


def test_no_default_route(cluster):
    """Protects hosts without a default route: the error names what to set."""
    cluster.with_facts().hostvars[NODE1]["ansible_facts"]["default_ipv4"] = {}
    assert (
        "ovn-node1: ovn_encap_ip is not set, and the host has no default route to take it from: set it to"
        in refused(cluster, NODE1)
    )


def test_facts_missing(cluster):
    """Protects against guesses: the error names the host without facts, the host itself or a master."""
    assert (
        "ovn-node1: ovn_encap_ip is not set, and the host's facts are not known, while it is needed for the tunnels"
        in refused(cluster, NODE1)
    )
    cluster.with_facts().without(MASTER, "ansible_facts")
    assert (
        "ovn-master: ovn_encap_ip is not set, and the host's facts are not known, while its address is where all"
        in refused(cluster, NODE1)
    )
    cluster.without(NODE1, "ansible_facts").without(NODE2, "ansible_facts").on(MASTER, ovn_encap_ip="10.44.0.11").on(
        NODE1, ovn_encap_ip="10.44.0.12"
    )
    assert "ovn_mtu is not set, and no host's facts have the underlay's MTU: gather facts" in refused(cluster, NODE1)
    assert of(cluster.everywhere(ovn_mtu=1400), NODE1)["mtu"] == 1400


@pytest.mark.parametrize(
    ("host", "variables", "text"),
    [
        (NODE1, {"ovn_node_name": "a b"}, 'ovn-node1: ovn_node_name "a b" is not a name that Kubernetes accepts'),
        (NODE1, {"ovn_encap_ip": "10.0.0.1/8"}, 'ovn-node1: ovn_encap_ip "10.0.0.1/8" is not an address'),
        (NODE1, {"ovn_gateway_ip": "10.55.0.12"}, 'ovn-node1: ovn_gateway_ip "10.55.0.12" lacks its prefix length'),
        ("other", {}, "other: the host is in none of ovn_masters, ovn_nodes and ovn_gateways: add it to one of them"),
    ],
)
def test_wrong_values(cluster, host, variables, text):
    """Protects roles that are used alone, where the inventory was not validated before."""
    assert text in refused(cluster.with_facts().on(host, **variables), host)


@pytest.mark.parametrize("name", ["ovn_gateway_interface", "ovn_gateway_ip"])
def test_gateway_without_what_it_needs(cluster, name):
    """Protects against a gateway with a variable missing."""
    assert f"ovn-node1: {name} is not set, and the host is in ovn_gateways" in refused(
        cluster.with_facts().without(NODE1, name), NODE1
    )


def test_without_masters_or_network(cluster):
    """Protects against settings of a cluster without masters or networks."""
    cluster.with_facts().groups["ovn_masters"] = []
    assert "ovn_masters has no host" in refused(cluster, NODE1)
    for variables in cluster.hostvars.values():
        variables.pop("ovn_cluster_subnet", None)
    assert "ovn_cluster_subnet is not set" in refused(cluster, NODE1)


def test_a_master_that_runs_pods_has_both_programs(cluster, tmp_path):
    """Protects the two credentials of such a host: the watcher's, and that of a server which acts as this node
    alone."""
    config = tmp_path / "config"
    config.write_text(
        json.dumps(
            {
                "current-context": "a",
                "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
                "users": [{"name": "a", "user": {"token": "hidden"}}],
                "clusters": [
                    {
                        "name": "a",
                        "cluster": {
                            "server": "https://10.0.0.1:6443",
                            "certificate-authority-data": base64.b64encode(PEM.encode()).decode(),
                        },
                    }
                ],
            }
        )
    )
    cluster.groups["ovn_nodes"] = [MASTER, NODE2]
    cluster.with_facts().everywhere(
        ovn_service_subnet="10.96.0.0/16",
        ovn_kubernetes_api="https://10.0.0.1:6443",
        ovn_kubernetes_admin_kubeconfig=str(config),
    )
    server = {"server": "https://10.0.0.1:6443", "ca_file": "/etc/ovn-kubernetes/kubernetes-ca.crt"}
    watcher, node = of(cluster, MASTER)["kubernetes"]["programs"]
    assert (watcher["account"], node["account"]) == ("ovn-k8s-watcher", "ovn-k8s-node-ovn-master")
    assert watcher["settings"] == {
        **server,
        "token_file": "/etc/ovn-kubernetes/kubernetes-watcher.token",
        "service_subnets": ["10.96.0.0/16"],
    }
    assert node["settings"] == {
        **server,
        "token_file": "/etc/ovn-kubernetes/kubernetes-node.token",
        "user": "system:node:ovn-master",
        "group": "system:nodes",
        "host_addresses": {"10.55.0.12": "ovn-node1", "10.55.0.254": "*"},
    }
    assert [of(cluster, host)["kubernetes"]["pods"] for host in (NODE1, NODE2)] == [False, True]
    assert "hidden" not in json.dumps(of(cluster, MASTER))


def test_addresses_that_services_may_have(cluster):
    """Protects hosts: both programs know where hosts' addresses are allowed, and the watcher knows the masters that are
    no nodes, whose addresses Kubernetes does not know.
    """
    cluster.groups["ovn_nodes"] = [NODE1, NODE2]
    cluster.with_facts().everywhere(
        ovn_service_subnet="10.96.0.0/16",
        ovn_kubernetes_api="https://10.0.0.1:6443",
        ovn_kubernetes_token="hidden",
        ovn_external_ip_networks="10.44.0.0/24, 203.0.113.7/32, fd44::/64",
    )
    allowed = ["10.44.0.0/24", "203.0.113.7/32", "fd44::/64"]
    (watcher,) = of(cluster, MASTER)["kubernetes"]["programs"]
    assert watcher["settings"]["external_ip_networks"] == allowed
    assert watcher["settings"]["host_addresses"] == {"10.44.0.11": "ovn-master"}
    (node,) = of(cluster, NODE1)["kubernetes"]["programs"]
    assert node["settings"]["external_ip_networks"] == allowed
    assert "10.44.0.11" not in node["settings"]["host_addresses"], "its own settings have the masters"


@pytest.mark.parametrize("limited", [False, True])
def test_gateways_that_no_service_may_have(cluster, limited):
    """Protects gateways and the routers behind them on all hosts, which can't read the Northbound database; with the
    facts of some hosts alone the file is the same.
    """
    cluster.groups.update(ovn_nodes=[NODE1], ovn_gateways=[NODE2])
    cluster.with_facts().everywhere(ovn_kubernetes_api="https://10.0.0.1:6443", ovn_kubernetes_token="hidden")
    cluster.hostvars[NODE2].update(
        ovn_gateway_interface="eth1",
        ovn_gateway_ip=["10.55.0.12/24", "fd55::12/64"],
        ovn_gateway_next_hop=["10.55.0.254", "FD55::FE"],
    )
    if limited:
        cluster.hostvars[NODE2].pop("ansible_facts")
    (node,) = of(cluster, NODE1)["kubernetes"]["programs"]
    assert node["settings"]["host_addresses"] == {
        "10.55.0.12": "ovn-node2",
        "10.55.0.254": "*",
        "fd55::12": "ovn-node2",
        "fd55::fe": "*",
    }


def test_where_masters_find_the_databases(cluster):
    """Protects central.json: of several masters it names all, and of one there is none, or it goes."""
    path = "/etc/ovn-kubernetes/central.json"
    assert central_access(cluster.with_facts().hostvars, cluster.groups) == {"path": path, "absent": True}
    cluster.everywhere(ovn_tls=False).groups["ovn_masters"] = [NODE2, MASTER]
    plain = central_access(cluster.hostvars, cluster.groups)
    assert (plain["path"], plain["mode"]) == (path, "0600")
    assert json.loads(plain["content"]) == {
        "northbound": "tcp:10.44.0.13:6641,tcp:10.44.0.11:6641",
        "southbound": "tcp:10.44.0.13:16642,tcp:10.44.0.11:16642",
    }
    cluster.everywhere(ovn_tls=True)
    assert json.loads(central_access(cluster.hostvars, cluster.groups)["content"]) == {
        "northbound": "ssl:10.44.0.13:6641,ssl:10.44.0.11:6641",
        "southbound": "ssl:10.44.0.13:16642,ssl:10.44.0.11:16642",
        "private_key": "/etc/ovn-kubernetes/tls/central.pem",
        "certificate": "/etc/ovn-kubernetes/tls/central.pem",
        "ca_cert": "/etc/ovn-kubernetes/tls/central-ca.crt",
    }


def test_ovn_controller_by_the_number_of_chassis(cluster):
    """Protects small clusters, which keep OVN's defaults, large ones' masters, and what users have set themselves."""
    cluster.with_facts()
    found = of(cluster, NODE1)
    assert (found["monitor_all"], found["remote_probe"]) == (None, None)
    cluster.everywhere(ovn_monitor_all=True)
    assert of(cluster, NODE1)["monitor_all"] is True
    cluster.everywhere(ovn_monitor_all=None)
    del cluster.hostvars[MASTER]["ovn_monitor_all"], cluster.hostvars[NODE1]["ovn_monitor_all"]
    del cluster.hostvars[NODE2]["ovn_monitor_all"]
    cluster.groups["ovn_nodes"] = [NODE1, NODE2, *(f"more{number}" for number in range(98))]
    cluster.hostvars.update({f"more{number}": {} for number in range(98)})
    cluster.everywhere(ovn_mtu=1400)
    found = of(cluster, NODE1)
    assert (found["monitor_all"], found["remote_probe"]) == (True, 15000)
    own = {**IDLE, "column": "external_ids"}
    keys = ("ovn-monitor-all", "ovn-remote-probe-interval")
    cluster.on(NODE1, ovn_openvswitch_settings=[{**own, "key": key} for key in keys])
    found = of(cluster, NODE1)
    assert (found["monitor_all"], found["remote_probe"]) == (None, None)


def test_a_master_that_is_away(cluster):
    """Protects runs while one of several masters is dead: the other hosts know its address. What they have saved counts
    only where it fits what is known of the others.
    """
    cluster.with_facts()
    masters = cluster.groups["ovn_masters"] = [NODE2, MASTER]
    gathered = [NODE1, NODE2]
    cluster.hostvars[MASTER].pop("ansible_facts")

    def remote(saved):
        cluster.hostvars[NODE1]["ansible_facts"]["ovn_kubernetes"] = {"databases": saved}
        return settings(cluster.hostvars, cluster.groups, NODE1, gathered=gathered)["southbound_remote"]

    assert remote(["10.44.0.13", "10.44.0.11"]) == "ssl:10.44.0.13:6642,ssl:10.44.0.11:6642"
    assert remote(["10.44.0.13", "10.44.0.11"] * 2) == "ssl:10.44.0.13:6642,ssl:10.44.0.11:6642"
    for saved in ([], ["10.44.0.11"], ["10.44.0.11", "10.44.0.13"], ["10.44.0.13", "10.44.0.11", "10.44.0.12"]):
        with pytest.raises(AnsibleFilterError, match=f"{MASTER}: ovn_encap_ip is not set"):
            remote(saved)
    assert masters == [NODE2, MASTER]


@pytest.mark.parametrize(
    "given",
    [
        ["https://10.0.0.1:6443", "https://b/"],
        "https://10.0.0.1:6443, https://b",
        "- https://10.0.0.1:6443\n- https://b",
    ],
)
def test_several_api_servers(cluster, given):
    """Protects lists of API servers, as files and surveys have them; programs get one text."""
    cluster.with_facts().everywhere(ovn_service_subnet="10.96.0.0/16", ovn_kubernetes_api=given)
    kubernetes = of(cluster, NODE1)["kubernetes"]
    assert kubernetes["server"] == "https://10.0.0.1:6443,https://b"
    assert kubernetes["programs"][0]["settings"]["server"] == kubernetes["server"]
    assert networks(cluster.hostvars, cluster.groups)["api_servers"] == ["10.0.0.1", "b"]
