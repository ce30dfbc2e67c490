# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A node's subnet or name is changed under pods: a pod that runs can't be given another address."""

from __future__ import annotations

import pytest
from database_server import Server, wait_for
from northbound import node_settings

from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.report import read_overlay

OTHER = ["192.168.77.0/24"]
DAEMON_SET = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "uid": "1"}


def pod(name):
    """A pod's path."""
    return f"/api/v1/namespaces/default/pods/{name}"


@pytest.fixture
def served(world):
    """A world with a watcher, and pods of which one is on node2."""
    world.watch()
    for number in range(7):
        world.api.add_pod(f"web{number}", "node1")
    world.api.add_pod("other", "node2")
    world.annotated("other", *(f"web{number}" for number in range(7)))
    return world


@pytest.mark.parametrize("check", [False, True], ids=["run", "check"])
def test_a_node_keeps_its_subnet_while_pods_have_addresses_there(served, check):
    """Protects pods that run: ports and annotations were renumbered without a word, and the pods were dead."""
    change = node_settings(1, minion_switch_subnet=OTHER)
    words = served.nb.refused("ovn_minion_init", check=check, **change)
    assert "node node1 '192.168.1.0/24' can't be left while there are pods with addresses (default/web0, " in words
    assert "default/web4 and 2 more): drain the node first (kubectl drain node1 --ignore-daemonsets)" in words
    assert served.nb.refused("ovn_master_init", check=check, nodes=[change, node_settings(2)]) == words
    served.invariants({"other": "node2", **{f"web{number}": "node1" for number in range(7)}})


def test_a_drained_node_takes_another_subnet(served):
    """Protects the way out: without its pods the node may have any subnet, and so may nodes beside it."""
    for number in range(7):
        served.api.delete(pod(f"web{number}"))
    wait_for(lambda: list(served.ports()) == ["default_other"], "the ports to go")
    assert served.nb.node(1, minion_switch_subnet=OTHER)["changed"]
    served.api.add_pod("new", "node1")
    assert served.annotated("new") == ["192.168.77.3/24"]


def test_a_node_keeps_its_name_while_it_has_pods(served):
    """Protects the same pods from another ovn_node_name: the switch would be another node's."""
    words = served.nb.refused("ovn_minion_init", **node_settings(1, node_name="worker"))
    assert "node_name of node worker 'worker' is node node1 today, which has pods with addresses (default/web0" in words
    served.api.delete(pod("other"))
    wait_for(lambda: "default_other" not in served.ports(), "the port to go")
    assert served.nb.node(2, node_name="worker")["changed"]


def test_a_second_family_may_come(served):
    """Protects dual stack: a node with pods gets an IPv6 subnet beside the one that it has."""
    assert served.nb.node(1, dual=True)["changed"]


def test_what_a_drain_leaves_does_not_count_and_keeps_its_address(world):
    """Protects a node with pods of a DaemonSet, which a drain leaves there: the subnet changes, the watcher does not
    renumber what runs, and the pod's events say what to do.
    """
    watcher = world.watch()
    world.api.add_pod("agent", "node1", ownerReferences=[DAEMON_SET])
    assert world.annotated("agent") == ["192.168.1.3/24"]
    assert world.nb.node(1, minion_switch_subnet=OTHER)["changed"]
    world.api.add_pod("new", "node1")
    assert world.annotated("new") == ["192.168.77.3/24"]
    (event,) = wait_for(
        lambda: [
            one for one in world.api.items("/api/v1/namespaces/default/events") if one["reason"] == "NetworkOutdated"
        ],
        "the event",
    )
    assert event["involvedObject"]["name"] == "agent" and "keeps 192.168.1.3/24" in event["message"]
    assert "kubectl delete pod -n default agent" in event["message"]
    watcher.stop()
    world.watch()
    world.api.add_pod("newer", "node1")
    assert world.annotated("newer", "agent") == ["192.168.77.4/24", "192.168.1.3/24"]
    world.invariants({"agent": "node1", "new": "node1", "newer": "node1"})
    world.api.delete(pod("agent"))
    wait_for(lambda: "default_agent" not in world.ports(), "the port to go")
    world.api.add_pod("agent", "node1", ownerReferences=[DAEMON_SET])
    assert world.annotated("agent") == ["192.168.77.5/24"]


def test_nobody_keeps_an_address_that_the_port_does_not_have(served):
    """Protects others' addresses: whoever may write a pod's annotations chooses none by that."""
    forged = '{"ip_address": "192.168.77.9/24", "mac_address": "0a:58:c0:a8:4d:09", "gateway_ip": "192.168.77.1"}'
    before = served.ports()["default_web0"][0]["addresses"]
    served.api.patch(
        pod("web0"),
        {"metadata": {"annotations": {"ovn": forged, "k8s.ovn.org/pod-networks": None}}},
    )
    wait_for(lambda: served.annotation("web0").get("gateway_ip") == "192.168.1.1", "the annotation to be restored")
    assert served.ports()["default_web0"][0]["addresses"] == before


def test_ovn_info_names_the_pods_of_each_node(served, tmp_path):
    """Protects the plan of a site run, which refuses before the first host is changed."""
    file = tmp_path / "there"
    file.touch()
    southbound = Server("ovn-sb", "OVN_Southbound")
    try:
        overlay = read_overlay(served.nb.remote, southbound.remote, str(file))
    finally:
        southbound.remove()
    assert {name: list(node["pods"].values()) for name, node in overlay["nodes"].items()} == {
        "node1": [{"count": 7, "some": [f"default/web{number}" for number in range(5)]}],
        "node2": [{"count": 1, "some": ["default/other"]}],
    }
    assert overlay["pods_marked"] is False  # none of them is of a DaemonSet
