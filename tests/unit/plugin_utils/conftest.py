# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A small inventory that is right, for tests to break."""

from __future__ import annotations

import copy

import pytest
from given_authorities import CENTRAL, CHASSIS

from ansible_collections.ovn.kubernetes.plugins.filter.problems import problems

MASTER, NODE1, NODE2 = "ovn-master", "ovn-node1", "ovn-node2"

EVERYWHERE = {"ovn_cluster_subnet": "192.168.0.0/16"}
GATEWAY = {"ovn_gateway_interface": "eth1", "ovn_gateway_ip": "10.55.0.12/24", "ovn_gateway_next_hop": "10.55.0.254"}


def host_facts(address, mtu=1500, prefix=24):
    """Return Ansible's facts of a host with eth0 in the underlay, eth1 in another network, and br-x (fact br_x)."""
    last = address.rpartition(".")[2]
    eth1 = {"address": "10.66.0." + last, "netmask": "255.255.255.0", "network": "10.66.0.0"}
    return {
        "interfaces": ["lo", "eth0", "eth1", "br-x"],
        "default_ipv4": {
            "address": address,
            "interface": "eth0",
            "mtu": mtu,
            "prefix": str(prefix),
            "gateway": "10.44.0.1",
        },
        "default_ipv6": {},
        "all_ipv4_addresses": [address, "10.66.0." + last, "10.77.0." + last],
        "all_ipv6_addresses": ["fd44::" + last],
        "eth0": {
            "device": "eth0",
            "mtu": mtu,
            "ipv4": {"address": address, "prefix": str(prefix)},
            "ipv6": [{"address": "fd44::" + last, "prefix": "64", "scope": "global"}],
        },
        "eth1": {"device": "eth1", "mtu": 9000, "ipv4": eth1},
        "br_x": {
            "device": "br-x",
            "mtu": 1300,
            "ipv4": {},
            "ipv4_secondaries": [{"address": "10.77.0." + last, "netmask": "255.255.0.0"}],
        },
    }


class Cluster:
    """Hostvars and groups; ``everywhere`` and ``on`` change them."""

    def __init__(self):
        self.groups = {
            "all": [MASTER, NODE1, NODE2, "other"],
            "ovn_masters": [MASTER],
            "ovn_nodes": [NODE1, NODE2],
            "ovn_gateways": [NODE1],
        }
        self.hostvars = {host: copy.deepcopy(EVERYWHERE) for host in (MASTER, NODE1, NODE2)}
        self.hostvars[NODE1].update(GATEWAY)
        # Not one of ours: nothing it says counts.
        self.hostvars["other"] = {"ovn_nonsense": True}

    def everywhere(self, **variables):
        for host in (MASTER, NODE1, NODE2):
            self.hostvars[host].update(variables)
        return self

    def on(self, host, **variables):
        self.hostvars.setdefault(host, {}).update(variables)
        return self

    def without(self, host, *names):
        for name in names:
            del self.hostvars[host][name]
        return self

    def with_facts(self, **options):
        for number, host in enumerate((MASTER, NODE1, NODE2), 11):
            self.hostvars[host]["ansible_facts"] = host_facts(f"10.44.0.{number}", **options)
        return self

    def own(self, host, **facts):
        """Give the host facts about itself, as ovn_facts gathers them."""
        known = self.hostvars[host].setdefault("ansible_facts", {})
        known["ovn_kubernetes"] = {"system_id": "", "node": "", "subnets": [], "problem": "", **facts}
        return self

    @staticmethod
    def overlay(existing=None, tunnels=None, chassis=None, leftovers=None):
        """What ovn_info finds where nodes have these subnets, tunnel addresses and system-ids."""
        found = {}
        for key, values in (("subnets", existing), ("encap_ips", tunnels), ("chassis", chassis)):
            for name, value in (values or {}).items():
                found.setdefault(name, {"subnets": [], "encap_ips": [], "chassis": None})[key] = value
        return {"nodes": found, "leftover_subnets": leftovers or {}, "gateways": {}}

    def problems(self, **arguments):
        """What the filter of that name says."""
        return problems(self.hostvars, self.groups, **arguments)

    def dual(self):
        return self.everywhere(ovn_cluster_subnet=["192.168.0.0/16", "fd10::/48"])


@pytest.fixture
def cluster():
    return Cluster()


@pytest.fixture
def many():
    """Return a function that makes a cluster with so many hosts, each with the variables that a function of its number
    returns."""

    def make(number, variables=lambda index: {}, **everywhere):
        hosts = [f"host{index}" for index in range(number)]
        made = Cluster()
        made.groups = {"ovn_masters": hosts[:1], "ovn_nodes": hosts, "ovn_gateways": []}
        made.hostvars = {
            host: {"ovn_cluster_subnet": "10.0.0.0/8", **everywhere, **variables(index)}
            for index, host in enumerate(hosts)
        }
        return made

    return make


@pytest.fixture
def said(cluster, tmp_path):
    """What is wrong with an inventory with TLS, variables, and files of the folder: path -> text."""

    def find(files=(), **variables):
        folder = tmp_path / "ca"
        folder.mkdir(mode=0o700, exist_ok=True)
        for name, text in dict(files).items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o600)
        cluster.everywhere(**{"ovn_tls": True, "ovn_tls_folder": str(folder), **variables})
        found = [text for text in cluster.problems() if "ovn_tls true isn't supported" not in text]
        assert not any(
            line in text for text in found for pair in (CENTRAL, CHASSIS) for line in pair.key.split("\n")[1:2]
        )
        return found

    return find
