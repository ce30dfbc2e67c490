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


NODES = {"nodes": {"n1": {}, "gone": {}}, "gateways": {"old": {}}}
OFF, FINE, SKIPPED = {"unreachable": True, "msg": "no route"}, {"changed": False}, {"skipped": True, "changed": False}
OURS = {"stat": {"exists": True}}
NOT_OURS = {"stat": {"exists": False}}
CRASHED = {"failed": False, "msg": "MODULE FAILURE", "rc": 1}
ANSWERED = {"facts": FINE, "master_facts": SKIPPED, "central": OURS, "started": FINE, "overlay": NODES}


def decide(hosts=("n2.example.com",), others=(), everything=False, **results):
    """The decision about hosts; results are of a master that answers, but for these."""
    nodes = {"m1": "m1", "n1": "n1", "n2.example.com": "n2", "n3": ""}
    settings = {host: {"node_name": name} for host, name in nodes.items()}
    looked = {"others": others, "everything": everything, "settings": settings, "master": "m1", **ANSWERED, **results}
    return _removal.decide(list(hosts), looked)


def test_a_master_that_answers():
    """Protects the rows of what is to be removed, also of nodes that only the databases know."""
    assert decide(others=["gone", "old"]) == (["n2", "gone", "old"], "", True, "")


@pytest.mark.parametrize(
    ("results", "problem"),
    [
        ({"facts": OFF}, "m1 can't be reached"),
        ({"facts": {}, "master_facts": OFF, "central": SKIPPED, "started": SKIPPED, "overlay": SKIPPED}, "m1 can't be"),
        ({"central": OFF}, "m1 can't be reached"),
        ({"overlay": OFF}, "m1 can't be reached"),
        ({"central": {"failed": True, "msg": "no Python"}}, "no Python"),
        ({"started": {"failed": True, "msg": "no systemd"}, "overlay": SKIPPED}, "no systemd"),
        ({"overlay": {"failed": False, "error_code": "database", "msg": "no answer"}}, "no answer"),
        ({"overlay": CRASHED}, "MODULE FAILURE"),
        ({"overlay": {}}, "the task failed"),
    ],
)
def test_a_master_that_does_not_answer(results, problem):
    """Protects rows of ours against being forgotten: any answer but rows is a problem, with or without a code."""
    decision = decide(**results)
    assert problem in decision.problem and not decision.rows


def test_a_master_without_rows():
    """Protects hosts whose master has none: nothing was ever installed, or check mode has not started the databases."""
    assert decide(central=NOT_OURS, started=SKIPPED, overlay=CRASHED)[1:] == ("", False, "")
    assert decide(started={"changed": True}, overlay=SKIPPED)[1:] == ("", True, "")


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ({"others": ["n2"]}, "names n2, which is the node name of n2.example.com: name hosts as the inventory does"),
        ({"others": ["N2"]}, "names N2, which is the node name of n2.example.com"),
        ({"others": ["nod1", "gone"]}, "names nod1, which is in none of ovn_nodes and ovn_gateways"),
        ({"others": ["n9"], "overlay": CRASHED}, "which could not be read: MODULE FAILURE"),
        ({"hosts": ["n3"]}, "names n3, whose node name is made from facts"),
    ],
)
def test_names_that_can_not_be_meant(names, sentence):
    """Protects the rows of hosts that stay, and rows that would stay."""
    assert sentence in decide(**names).refusal


def test_all_goes_whatever_the_names():
    """Protects the removal of everything when the name of a host can't be worked out."""
    assert decide(["n1", "n3"], everything=True) == (["n1"], "", True, "")


def left(*hosts, **results):
    """What is left of the removal of hosts."""
    done = {
        "reads": {},
        "alive": hosts,
        "others": [],
        "everything": False,
        "master": "m1",
        "problem": "",
        "rows": [{}, FINE],
        "access": {"kubernetes": {"accounts": True}, "kubernetes_problem": ""},
        "accounts": FINE,
    }
    return _removal.left(hosts, {**done, **results})


def subjects(text):
    """What the lines are about."""
    return [line.partition(":")[0] for line in text.splitlines() if line.startswith("- ")]


ROWS, ACCOUNTS = "- the rows of n1, gone in the databases on m1", "- the accounts in Kubernetes, with their tokens"


def test_what_is_left_is_one_list():
    """Protects who must finish it: hosts that can't be reached, those that failed, rows and accounts, with a reason."""
    full = {"failed": True, "msg": "the disk\nis full"}
    text = left("n1", "n2", "n3", reads={"n1": OFF, "n2": FINE, "n3": FINE}, alive=["n1", "n2"], rows=[{}, full])
    assert subjects(text) == ["- n1", "- n3", "- the rows of n1, n2, n3 in the databases on m1"]
    assert "the disk is full" in text
    assert left("n2", reads={"n2": FINE}) == ""


def test_what_a_dead_master_leaves():
    """Protects rows and accounts that nobody could look at; a removal of gateways alone has no account to delete."""
    assert subjects(left("n1", others=["gone"], problem="m1 can't be reached")) == [ROWS, ACCOUNTS]
    assert subjects(left("n1", others=["gone"], problem="m1 can't be reached", access={})) == [ROWS]
    assert subjects(left("n1", everything=True, problem="x"))[0] == "- the rows in the databases on m1"


@pytest.mark.parametrize("code", ["kubernetes_unreachable", "kubernetes_client_missing", "kubernetes_refused", ""])
def test_accounts_that_are_left(code):
    """Protects against tokens that stay valid, and nobody knows: an API server that does not answer is said, whether or
    not the task counts as failed."""
    result = {"failed": not code, "msg": "no answer", **({"error_code": code} if code else {})}
    text = left("n1", accounts=result)
    assert f"{ACCOUNTS}: no answer" in text
    unread = {"kubernetes": None, "kubernetes_problem": "no kubeconfig"}
    assert f"{ACCOUNTS}: no kubeconfig" in left("n1", access=unread, accounts={})
