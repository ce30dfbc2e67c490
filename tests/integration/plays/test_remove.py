# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the play that removes, in the states in which it is needed: its own order and decisions.

A host that is off is one whose port for ssh is closed. What the filters make of names, answers and results is in
tests/unit/plugin_utils/test_removal.py.
"""

from __future__ import annotations

import json

import pytest
import yaml
from stand_in_plays import READ_ONLY

from .conftest import BOTH, KUBECONFIG

OFF = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
DROP_IN = "/etc/systemd/system/ovn-northd.service.d"
# The machine's own units are out of reach, and the master's drop-in is there.
UNITS = f"mount -t tmpfs none /etc/systemd/system; mkdir {DROP_IN}; touch {DROP_IN}/ovn-kubernetes.conf"
OVERLAY = {
    "nodes": {"ovn-node1": {}, "ovn-node2": {}, "ovn-gone": {}},
    "gateways": {},
    "chassis": {
        "id-2": {"hostname": "ovn-node2"},
        "old-2": {"hostname": "ovn-node2"},
        "id-1": {"hostname": "ovn-node1"},
    },
}


@pytest.fixture
def lab(plays):
    """The three hosts, with an overlay."""
    plays.answers["ovn_info"] = dict(OVERLAY)
    plays.answers["setup"] = {"ansible_facts": {"ansible_os_family": "Debian", "ansible_effective_user_id": 0}}
    plays.answers["stat"] = {"stat": {"exists": True}}  # whether OVN central is ours
    return plays


def remove(lab, *arguments):
    """Run the play; the exit code, what was said, and the calls in their order: module and arguments."""
    code, said, calls = lab.run("ovn.kubernetes.remove", *arguments, ANSIBLE_TIMEOUT="5")
    return code, said, [(module, arguments) for _host, module, arguments in calls]


def own_parts(calls):
    """The hosts' own parts that were removed, sorted."""
    return sorted(arguments["data"] for module, arguments in calls if module == "ping")


def rows(calls):
    """What was asked of the databases: module and names."""
    return [
        (module, [one["node_name"] for one in arguments.get("nodes") or arguments.get("gateways")])
        for module, arguments in calls
        if module in ("ovn_gateway", "ovn_minion_init")
    ]


def test_a_node_goes(lab):
    """Protects the order: rows first, then the host's own part, then its chassis, those of earlier system-ids too. At
    the end it is said that the inventory still has the host. A limit to the host alone changes nothing of that.

    A node that only the databases know is removed from there. Facts and the master's drop-in are those of this machine.
    """
    lab.script = f"{READ_ONLY}; {UNITS}"
    del lab.answers["setup"], lab.answers["stat"]
    code, said, calls = remove(lab, "-e", "ovn_remove_hosts=ovn-node2,ovn-gone", "--limit", "ovn-node2")
    assert code == 0, said
    assert rows(calls) == [(one, ["ovn-node2", "ovn-gone"]) for one in ("ovn_gateway", "ovn_minion_init")]
    assert own_parts(calls) == ["gateway of ovn-node2 alias ovn-node2", "node of ovn-node2 alias ovn-node2"]
    assert calls[-1] == ("ovn_chassis", {"system_ids": ["id-2", "old-2"]})
    assert "Now take ovn-node2 out of the inventory" in said


@BOTH
def test_all_goes(lab):
    """Protects AWX's job templates, which always give both variables: a question without an answer is none that names
    hosts. Each host's own part goes, and the master's last. The CAs stay on the
    controller, and that is said."""
    authorities = lab.project / ".ovn-tls"
    authorities.mkdir()
    (authorities / "central-ca.crt").write_text("")
    code, said, calls = remove(lab, "-e", json.dumps({"ovn_remove_hosts": "", "ovn_remove_confirmed": "true"}))
    assert code == 0, said
    parts = [f"{role} of {host}" for role in ("gateway", "node") for host in ("ovn-master", "ovn-node1", "ovn-node2")]
    assert [part.partition(" alias")[0] for part in own_parts(calls)] == sorted([*parts, "master of ovn-master"])
    assert rows(calls) == [] and calls[-1] == ("ping", {"data": "master of ovn-master alias ovn-master"})
    assert f"The CAs stay on the controller, in {authorities}: delete the folder when" in said


def test_a_dead_master(lab):
    """Protects hosts that must get their NICs back: each one's own part is removed without the databases, and what is
    left is said (W9). What the inventory says of a gateway's NIC does not matter, and no more does a limit to the host:
    with a dead master it ended in the middle and said nothing. Several hosts are written as everywhere else."""
    lab.hosts["ovn-master"] = OFF
    lab.variables["ovn_mtu"] = "no number"
    answers = {"ovn_remove_hosts": ["ovn-node1", "ovn-node2"], "ovn_remove_confirmed": ""}
    code, said, calls = remove(lab, "-e", json.dumps(answers), "--limit", "ovn_nodes")
    assert code != 0 and "'dict'" not in said and "undefined" not in said, said
    assert rows(calls) == []
    both = [(role, host) for role in ("gateway", "node") for host in ("ovn-node1", "ovn-node2")]
    assert own_parts(calls) == [f"{role} of {host} alias {host}" for role, host in both]
    assert "in the databases on ovn-master: ovn-master can't be reached" in said
    assert "Now take ovn-node1, ovn-node2 out" in said and "- ovn-node1:" not in said and "- ovn-node2:" not in said


def test_all_without_the_master_in_check_mode(lab):
    """Protects check mode beside a dead master: it says what would be left, and nothing goes."""
    lab.hosts["ovn-master"] = OFF
    code, said, calls = remove(lab, "-e", "ovn_remove_confirmed=true", "--check")
    assert code != 0 and "'dict'" not in said and "undefined" not in said, said
    assert rows(calls) == [] and "- ovn-node1:" not in said
    assert "in the databases on ovn-master: ovn-master can't be reached" in said


def test_a_dead_node(lab):
    """Protects the removal of a host that is gone: its rows and its chassis go although no host of the play answers,
    and it is named as what is left; with it the accounts, since no API server answers."""
    lab.hosts["ovn-node2"] = OFF
    with_accounts(lab, "kubernetes_unreachable")
    code, said, calls = remove(lab, "-e", "ovn_remove_hosts=ovn-node2", "--limit", "ovn-node2")
    assert code != 0
    assert rows(calls) == [("ovn_gateway", ["ovn-node2"]), ("ovn_minion_init", ["ovn-node2"])]
    assert own_parts(calls) == [] and calls[-1][0] == "ovn_chassis"
    assert "- ovn-node2: it can't be reached" in said and "in the databases" not in said
    assert "- the accounts in Kubernetes, with their tokens: you may not" in said


def test_a_dead_node_beside_a_dead_master(lab):
    """Protects who limits the play to the host that goes, when none of both answers: it is said all the same."""
    lab.hosts["ovn-master"] = lab.hosts["ovn-node2"] = OFF
    code, said, calls = remove(lab, "-e", "ovn_remove_hosts=ovn-node2", "--limit", "ovn-node2")
    assert code != 0 and calls == [], said
    assert "in the databases on ovn-master: ovn-master can't be reached" in said
    assert "- ovn-node2: it can't be reached" in said and "Now take" not in said


def test_a_dead_node_whose_name_is_made_from_facts(lab):
    """Protects the removal of other hosts: nobody knows that name, and nobody needs it. Who is to be removed itself is
    named as the databases do."""
    lab.hosts["ovn-node2"] = {**OFF, "ovn_node_name": "{{ ansible_facts['hostname'] }}"}
    code, said, calls = remove(lab, "-e", "ovn_remove_hosts=ovn-node1")
    assert code == 0, said
    assert rows(calls) == [("ovn_gateway", ["ovn-node1"]), ("ovn_minion_init", ["ovn-node1"])]
    code, said, calls = remove(lab, "-e", "ovn_remove_hosts=ovn-node2")
    assert code != 0 and rows(calls) == [] == own_parts(calls)
    assert "ovn_remove_hosts names ovn-node2, whose node name is made from facts" in said


def with_accounts(lab, code):
    """Let the programs have accounts in a Kubernetes that answers with an error."""
    lab.answers["ovn_kubernetes_access"] = {"failed": True, "msg": "you may not", "error_code": code}
    (lab.folder / "admin").write_text(yaml.safe_dump(KUBECONFIG), encoding="utf-8")
    lab.variables.update(
        ovn_kubernetes_api="https://127.0.0.1:1", ovn_kubernetes_admin_kubeconfig=str(lab.folder / "admin")
    )


@BOTH
def test_databases_and_accounts_that_fail(lab):
    """Protects the hosts' own parts against databases and an API server that answer with an error. It is listed once
    more, since tokens stay valid."""
    lab.answers["ovn_minion_init"] = {"failed": True, "msg": "the database is read-only", "error_code": "database"}
    with_accounts(lab, "kubernetes_refused")
    code, said, calls = remove(lab, "-e", "ovn_remove_hosts=ovn-node2")
    assert code != 0 and len(own_parts(calls)) == 2
    (accounts,) = [arguments for module, arguments in calls if module == "ovn_kubernetes_access"]
    assert (accounts["state"], accounts["absent_nodes"]) == ("present", ["ovn-node2"])
    assert "- the rows of ovn-node2 in the databases on ovn-master: the database is read-only" in said
    assert "- the accounts in Kubernetes, with their tokens: you may not" in said


def test_answers_without_a_code(lab):
    """Protects rows against being forgotten when a module breaks: the hosts' own parts go, and what is left is
    listed."""
    lab.answers["ovn_info"] = {"failed": True, "msg": "MODULE FAILURE"}
    code, said, calls = remove(lab, "-e", "ovn_remove_hosts=ovn-node2")
    assert code != 0 and len(own_parts(calls)) == 2 and rows(calls) == []
    assert "- the rows of ovn-node2 in the databases on ovn-master: MODULE FAILURE" in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["ovn_remove_confirmed=true", "--limit", "ovn-node2"], "give -e ovn_remove_hosts=ovn-node2, without --limit"),
        (["ovn_remove_hosts=ovn-node2,ovn-node1", "--limit", "ovn-node1"], "names ovn-node2, which --limit leaves out"),
        (["ovn_remove_hosts=ovn-master"], "which is a master"),
        (["{ovn_remove_hosts: '', ovn_remove_confirmed: ''}"], "Say what to remove: either"),
        (["ovn_remove_hosts=ovn-node2", "-e", "ovn_remove_confirmed=true"], "Say what to remove: either"),
        (["ovn_remove_hosts=ovn-node2", "--tags", "node"], "--tags node selects nothing to remove"),
        (["ovn_remove_host=ovn-node2"], "did you mean ovn_remove_hosts?"),
    ],
)
def test_refused_before_anything(lab, arguments, sentence):
    """Protects rows that would stay when a limit strips a host, and hosts that nobody meant."""
    code, said, calls = remove(lab, "-e", *arguments)
    assert code != 0 and sentence in said and calls == []


def test_a_name_that_can_not_be_meant(lab):
    """Protects the rows of a living host, whose node name is no name of a host: it is named, and nothing is removed."""
    lab.hosts["ovn-node2"]["ovn_node_name"] = "two"
    lab.answers["ovn_info"] = {**OVERLAY, "nodes": {"two": {}}}
    code, said, calls = remove(lab, "-e", "ovn_remove_hosts=two")
    assert code != 0 and "names two, which is the node name of ovn-node2" in said
    assert {module for module, _arguments in calls} <= {"ovn_services", "ovn_info"}
