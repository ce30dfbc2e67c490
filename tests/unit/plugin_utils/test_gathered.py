# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects runs with a cache of facts, and plays with variables of their own: only what this run has gathered counts,
and only what hosts see."""

from __future__ import annotations

from ansible_collections.ovn.kubernetes.plugins.filter.node_names import node_names
from ansible_collections.ovn.kubernetes.plugins.filter.problems import problems
from ansible_collections.ovn.kubernetes.plugins.filter.settings import settings
from ansible_collections.ovn.kubernetes.plugins.plugin_utils import _problems_play

from .conftest import MASTER, NODE1, NODE2, host_facts


def with_facts(cluster):
    """Give all hosts facts, and one of them no eth1."""
    for number, host in enumerate((MASTER, NODE1, NODE2), 11):
        cluster.on(host, ansible_facts=host_facts(f"10.44.0.{number}"))
    cluster.hostvars[NODE1]["ansible_facts"]["interfaces"].remove("eth1")
    return cluster.hostvars, cluster.groups


def test_facts_that_this_run_has_not_gathered(cluster):
    """Protects a host that has got the NIC since, and users' own calls, which say nothing of the run."""
    inventory = with_facts(cluster)
    assert any("is no NIC of this host" in text for text in problems(*inventory))
    assert any("is no NIC of this host" in text for text in problems(*inventory, gathered=[NODE1]))
    assert problems(*inventory, gathered=[]) == problems(*inventory, gathered=[MASTER, NODE2]) == []


def test_settings_and_names_of_hosts_that_were_not_gathered(cluster):
    """Protects the rows of hosts outside of the play."""
    cluster.on(NODE2, ovn_node_name="{{ ansible_facts['hostname'] }}")
    inventory = with_facts(cluster)
    assert list(settings(*inventory, only_with_facts=True, gathered=[MASTER, NODE1])) == [MASTER, NODE1]
    assert list(node_names(*inventory, gathered=[MASTER, NODE1])) == [MASTER, NODE1]


def test_variables_that_only_the_play_sees():
    """Protects against a value that is accepted and then left out; those of one run alone may be the play's."""
    hostvars = {"host": {"ovn_mtu": 1400, "ovn_tls": False}}
    variables = {"hostvars": hostvars, "inventory_hostname": "host", **hostvars["host"]}
    assert _problems_play.problems({**variables, "ovn_egress_rebalance": True, "ovn_other_role": 1}) == []
    found = _problems_play.problems({**variables, "ovn_mtu": 1300, "ovn_encap_type": "geneve"})
    assert sorted(text.split()[0] for text in found) == ["ovn_encap_type", "ovn_mtu"]
