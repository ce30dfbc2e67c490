# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects removal against everything that matters only to those who build."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.plugin_utils import _removal
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._inventory import Inventory
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._problems import problems

GROUPS = {"ovn_masters": ["m1"], "ovn_nodes": ["n1", "n2"], "ovn_gateways": ["n1"]}


def inventory(**variables):
    """Three hosts; variables of all, or of one of them by its name."""
    everywhere = {name: value for name, value in variables.items() if name not in ("m1", "n1", "n2")}
    return Inventory({host: {**everywhere, **variables.get(host, {})} for host in ("m1", "n1", "n2")}, GROUPS)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"ovn_cluster_subnet": "nonsense", "ovn_tls": True},
        {"n1": {"ovn_gateway_interface": "eth9", "ansible_facts": {"default_ipv4": {}, "interfaces": ["lo"]}}},
        {"n1": {"ovn_mtu": 20}, "n2": {"ovn_mtu": 30}},
        {"ovn_kubernetes_api": "https://h:6443", "ovn_kubernetes_admin_kubeconfig": "/nonexistent"},
    ],
)
def test_what_only_matters_to_builders(variables):
    """Protects removal when a NIC, a subnet, an address or a kubeconfig is gone or wrong."""
    assert problems(inventory(**variables), removal=True) == []
    assert problems(inventory(**variables))
    settings = _removal.settings(inventory(**variables))
    assert {host: one["node_name"] for host, one in settings.items()} == {"m1": "m1", "n1": "n1", "n2": "n2"}
    unreadable = "ovn_kubernetes_admin_kubeconfig" in variables
    assert bool(settings["m1"]["kubernetes_problem"]) == unreadable and settings["m1"]["kubernetes"] is None


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"ovn_remove_host": "n1"}, "did you mean ovn_remove_hosts?"),
        ({"n2": {"ovn_node_name": "n1"}}, 'n2: ovn_node_name "n1" is also the name of n1: give each host its own'),
        ({"n2": {"ovn_node_name": "a_b"}}, "n2: ovn_node_name"),
    ],
)
def test_what_says_which_rows_are_meant(variables, sentence):
    """Protects the rows of others, and the whole overlay, against a typing error."""
    (problem,) = problems(inventory(**variables), removal=True)
    assert sentence in problem


def test_what_is_left_is_one_list():
    """Protects who must finish it: hosts that can't be reached, those that failed, and rows, with a
    reason."""
    off, fine = {"unreachable": True}, {"changed": False}
    reads = {"n1": off, "n2": fine, "n3": fine}
    left = _removal.left(["n1", "n2", "n3"], reads, ["n1", "n2"], {"the rows": "the disk\nis full", "accounts": ""})
    assert [line.split(":")[0] for line in left.splitlines() if line.startswith("- ")] == ["- n1", "- n3", "- the rows"]
    assert "the disk is full" in left
    assert _removal.left(["n2"], reads, ["n1", "n2", "n3"], {"the rows": ""}) == ""
