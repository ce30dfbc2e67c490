# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who runs the playbooks as jobs of AWX: with a cache of facts, on slices and with limits."""

from __future__ import annotations

import yaml
from stand_in_plays import FACTS

from .conftest import BOTH, KUBECONFIG, role


def cached(plays):
    """Return the environment in which facts of all runs are kept."""
    return {"ANSIBLE_CACHE_PLUGIN": "jsonfile", "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(plays.folder / "facts")}


def nodes_in_rows(calls):
    """Return the nodes whose rows were converged."""
    return [[node["node_name"] for node in call["nodes"]] for _host, name, call in calls if name == "ovn_master_init"]


@BOTH
def test_facts_of_yesterday(plays):
    """Protects against a cache of facts: a NIC that was missing then, and is there now, is judged as it is now; of
    hosts outside of the limit nothing is taken from the cache."""
    plays.facts("ovn-node1", interfaces=["lo", "eth0"])
    code, said, _calls = plays.run("ovn.kubernetes.site", **cached(plays))
    assert code == 2 and "is no NIC of this host" in said, said
    plays.facts("ovn-node1")
    code, said, calls = plays.run("ovn.kubernetes.site", "--limit", "ovn-node2", **cached(plays))
    assert code == 0 and nodes_in_rows(calls) == [["ovn-master", "ovn-node2"]], said
    code, said, calls = plays.run("ovn.kubernetes.site", **cached(plays))
    assert code == 0 and nodes_in_rows(calls) == [["ovn-master", "ovn-node1", "ovn-node2"]], said


def test_a_cache_and_batches(plays):
    """Protects rolling runs with a cache of facts: what it has of the hosts of later batches does not count. Here they
    were clones, and are none any more."""
    plays.variables["ovn_mtu"] = 1400
    for host, identity in (("ovn-node1", "id-1"), ("ovn-node2", "id-1")):
        plays.facts(host, ovn_kubernetes={**FACTS["ovn_kubernetes"], "system_id": identity})
    code, said, _calls = plays.run("ovn.kubernetes.site", **cached(plays))
    assert code == 2 and "is also that of ovn-node1, as on a clone" in said, said
    plays.facts("ovn-node2", ovn_kubernetes={**FACTS["ovn_kubernetes"], "system_id": "id-2"})
    code, said, _calls = plays.run(plays.play(role("node", "ovn_nodes", serial=1)), **cached(plays))
    assert code == 0, said


def accounts(calls):
    """Return the nodes whose accounts were converged, and those whose accounts go."""
    (call,) = [arguments for _host, module, arguments in calls if module == "ovn_kubernetes_access"]
    return sorted(call["nodes"]), call["absent_nodes"]


@BOTH
def test_accounts_and_parts_of_the_inventory(plays):
    """Protects the accounts of nodes that a limit or a slice of a job leaves out: with a limit they are converged, and
    a slice, which does not know them, names none that go."""
    kubeconfig = plays.folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(KUBECONFIG), encoding="utf-8")
    plays.variables.update(
        ovn_kubernetes_admin_kubeconfig=str(kubeconfig), ovn_service_subnet="10.96.0.0/16", ovn_mtu=1400
    )
    plays.variables["ovn_kubernetes_api"] = "https://127.0.0.1:1"
    code, said, calls = plays.run("ovn.kubernetes.site", "--limit", "ovn-node2")
    assert code == 0 and accounts(calls) == (["ovn-node1", "ovn-node2"], []), said
    del plays.hosts["ovn-node1"], plays.groups["ovn_gateways"]
    plays.groups["ovn_nodes"] = ["ovn-node2"]
    code, said, calls = plays.run("ovn.kubernetes.site", "-e", "awx_job_id=7")
    assert code == 0 and accounts(calls) == (["ovn-node2"], []), said


def test_a_slice_without_the_master(plays):
    """Protects who has turned job slicing on: the other slices say what is wrong with it."""
    del plays.hosts["ovn-master"], plays.groups["ovn_masters"]
    code, said, calls = plays.run("ovn.kubernetes.site", "-e", "awx_job_id=7")
    assert code == 2 and "a part of the inventory each, so turn job slicing off" in said and calls == [], said
