# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who uses the roles in a play of their own, or runs a part of a play: it works, or the first task of the role
says in a sentence what would, and no host is changed."""

from __future__ import annotations

import pytest

from .conftest import BOTH, role

LEFT_OUT = "the facts and the plan that this task needs are missing: run the play from its beginning"


def hosts_of(calls, module):
    """Return the hosts on which a module ran, in their order."""
    return [host for host, called, _arguments in calls if called == module]


def test_without_masters(plays):
    """Protects who has forgotten the group: it was "'item' is undefined"."""
    del plays.groups["ovn_masters"]
    code, said, calls = plays.run(plays.play(role("node", "ovn_nodes")))
    assert code == 2 and "ovn_masters has no host: put the host" in said and "undefined" not in said, said
    assert calls == []


@BOTH
@pytest.mark.parametrize("playbook", ["role", "site"])
def test_variables_of_the_play(plays, playbook):
    """Protects who sets a variable where hosts do not see it: it was accepted, and then "not set", or another value was
    used without a word."""
    play = role("master", "ovn_masters") if playbook == "role" else {"import_playbook": "ovn.kubernetes.site"}
    plays.variables["ovn_mtu"] = 1400
    code, said, calls = plays.run(plays.play({**play, "vars": {"ovn_mtu": 1300}}), "-e", "ovn_service_subnet=")
    assert code == 2 and "ovn_mtu is set by the play (vars, vars_files or parameters of a role)" in said, said
    assert calls == [] and "ovn_cluster_subnet is set by" not in said


@BOTH
def test_a_master_in_a_later_batch(plays):
    """Protects rolling runs: the master's facts are gathered when the first batch needs them, and a batch writes the
    rows of its own hosts."""
    plays.variables["ovn_mtu"] = 1400
    del plays.hosts["ovn-master"]["ovn_encap_ip"]  # where the databases are is known from its facts
    code, said, calls = plays.run(plays.play(role("node", "ovn_nodes:ovn_masters", serial=1)))
    assert code == 0, said
    assert hosts_of(calls, "ovn_facts") == ["ovn-node1", "ovn-master", "ovn-node2", "ovn-master", "ovn-master"]
    assert hosts_of(calls, "ovn_host") == ["ovn-node1", "ovn-node2", "ovn-master"]
    rows = [
        [node["node_name"] for node in call["nodes"]] for _host, module, call in calls if module == "ovn_master_init"
    ]
    assert rows == [["ovn-master", "ovn-node1"], ["ovn-master", "ovn-node2"], ["ovn-master"]]


@BOTH
@pytest.mark.parametrize(
    ("playbook", "task"),
    [("site", "Converge files, services and the host's part of the node*"), ("verify", "Compare each host with*")],
)
def test_a_start_in_the_middle(plays, playbook, task):
    """Protects --start-at-task: what the task needs is said, in place of the name of a variable of ours."""
    code, said, calls = plays.run(f"ovn.kubernetes.{playbook}", "--start-at-task", task)
    assert code == 2 and LEFT_OUT in said and calls == [], said


def test_without_the_tag_always(plays):
    """Protects --skip-tags always: the site play refuses it, and a user's own play does not need the tag."""
    code, said, calls = plays.run("ovn.kubernetes.site", "--skip-tags", "always")
    assert code == 2 and "--skip-tags always leaves out the validation, the facts and the plan" in said, said
    assert calls == []
    code, said, calls = plays.run(plays.play(role("node", "ovn_nodes")), "--skip-tags", "always")
    assert code == 0 and sorted(hosts_of(calls, "ovn_host")) == ["ovn-node1", "ovn-node2"], said


@pytest.mark.parametrize(
    ("name", "group", "spared"),
    [("master", "ovn_masters", {"ovn-node1", "ovn-node2"}), ("gateway", "ovn_gateways", {"ovn-node2"})],
)
def test_a_role_on_hosts_of_another_group(plays, name, group, spared):
    """Protects hosts that would become what the inventory does not say."""
    code, said, calls = plays.run(plays.play(role(name, "ovn_nodes")))
    assert code == 2 and f"ovn-node2 is not in the group {group}: add it, or run the role on hosts" in said, said
    assert spared.isdisjoint(hosts_of(calls, "ovn_host"))


def test_a_role_on_a_host_of_no_group(plays):
    """Protects a play on all hosts of an inventory that has others too."""
    plays.hosts["other"] = {}
    code, said, calls = plays.run(plays.play(role("node", "all")))
    assert code == 2 and "other is in none of the groups ovn_masters, ovn_nodes and ovn_gateways" in said, said
    assert sorted(hosts_of(calls, "ovn_host")) == ["ovn-master", "ovn-node1", "ovn-node2"]
