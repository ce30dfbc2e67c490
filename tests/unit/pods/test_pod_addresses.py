# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects a watcher that learns who has which address: its loop stands still meanwhile."""

from __future__ import annotations

import time

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import CurrentRow
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods import annotation, northbound
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.addresses import Networks
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.annotation import PodAnnotations
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.model import Pod
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.northbound import TABLE
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.pod_addresses import PodAddresses

NODES, PODS = 300, 1000


class Replica:
    """A database with the switches of many nodes, which have no ports."""

    def __init__(self):
        self.switches = {}
        for number in range(NODES):
            subnets = f"10.{number // 250}.{number % 250}.0/24,fd00:0:0:{number:x}::/64"
            columns = {"name": f"node{number}", "external_ids": {names.SUBNETS_KEY: subnets}}
            self.switches[f"node{number}"] = CurrentRow("Logical_Switch", f"node{number}", columns, {})
        self.rows = {TABLE: {}, "Logical_Switch": self.switches}

    def named(self, _table, name):
        """A switch."""
        return self.switches.get(name)


def test_pods_with_addresses_of_earlier_subnets():
    """Protects the masters of a large cluster whose network was changed while pods of DaemonSets were left: each start
    took longer than systemd waits.
    """
    pods = {}
    for number in range(PODS):
        ip = f"172.16.{number // 250}.{number % 250 + 3}"
        texts = annotation.render(northbound.network((f"{ip}/24",)), f"u{number}")
        pods[f"ns/p{number}"] = Pod("ns", f"p{number}", f"u{number}", f"node{number % NODES}", texts, status_ips=(ip,))
    addresses = PodAddresses(Replica(), pods)
    started = time.monotonic()
    addresses.begin({})
    assert time.monotonic() - started < 5
    assert len(addresses) == PODS and addresses.table.of("ns/p7") == ("172.16.0.10",)


def test_a_switch_whose_subnet_was_spoiled():
    """Protects all other nodes: a watcher ended at each start. Pods of that node wait for the site play."""
    replica = Replica()
    spoiled = {"name": "node1", "external_ids": {names.SUBNETS_KEY: "10.0.1.0/24,fd00::1::/64"}}
    replica.switches["node1"] = CurrentRow("Logical_Switch", "node1", spoiled, {})
    pods = {f"ns/p{one}": Pod("ns", f"p{one}", "u", f"node{one}", PodAnnotations()) for one in (1, 2)}
    pods = {key: pod._replace(status_ips=(f"10.0.{pod.node[-1]}.9",)) for key, pod in pods.items()}
    addresses = PodAddresses(replica, pods)
    addresses.begin({})
    assert (addresses.table.of("ns/p1"), addresses.table.of("ns/p2")) == ((), ("10.0.2.9",))


def test_two_reports_of_one_address():
    """Protects a pod whose address somebody has written into the annotation of a new pod before its node read it: the
    kubelet reports it for both.
    """
    times = {"attacker": "2026-03-02T00:00:09Z", "victim": "2026-03-01T00:00:00Z"}
    pods = {
        f"ns/{name}": Pod("ns", name, name, "node1", PodAnnotations(), status_ips=("10.0.1.9",), created=created)
        for name, created in times.items()
    }
    addresses = PodAddresses(Replica(), pods)
    addresses.begin({})
    assert addresses.table.of("ns/victim") == ("10.0.1.9",) and not addresses.table.has("ns/attacker")


def test_networks():
    """Protects other nodes' addresses, the router's and the host's too."""
    networks = Networks(["10.0.1.0/24", "10.1.0.0/23", "fd00:0:0:1::/64"])
    assert all(map(networks.have, ("10.0.1.0", "10.0.1.1", "10.0.1.255", "10.1.1.9", "fd00:0:0:1::1")))
    assert not any(map(networks.have, ("10.0.2.0", "10.0.0.255", "10.1.2.0", "fd00:0:0:2::1", "::a00:101", "8.8.8.8")))
    assert Networks(["0.0.0.0/0"]).have("8.8.8.8") and not Networks([]).have("8.8.8.8")
