# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the table at verify's end: all hosts' findings, each once, and what only shows between hosts."""

from __future__ import annotations

import os

import pytest

from ansible_collections.ovn.kubernetes.plugins.filter.findings import findings
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.version import VERSION

HOSTS = ("master", "node1", "node2")
NAMES = {"master": "kube-master", "node1": "kube-node1", "node2": "kube-node2"}
OVERLAY = {
    "nodes": {name: {"chassis": f"id-{name}", "subnets": [], "encap_ips": []} for name in NAMES.values()},
    "gateways": {"kube-node1": {"mac": "0a:00:00:00:00:01"}},
    "chassis": {f"id-{name}": {"hostname": name} for name in NAMES.values()},
}


def finding(wrong, severity="error", node="", mend="site"):
    return {
        "subject": "x",
        "wrong": wrong,
        "causes": "pods are cut off",
        "mend": mend,
        "severity": severity,
        "node": node,
    }


def hostvars(**changes):
    """All hosts in order, but for the results of some."""
    made = {}
    for host in HOSTS:
        facts = {"chassis": f"id-{NAMES[host]}", "physical_mac": "0A:00:00:00:00:01" if host == "node1" else None}
        made[host] = {
            "common_facts": {"ansible_facts": {}},
            "common_verified": {"findings": [], "silent": [], "facts": facts},
        }
    for host, results in changes.items():
        for name, result in results.items():
            made[host][name] = {**made[host][name], **result}
    return made


def table(variables, hosts=HOSTS, problems=(), overlay=None, master="master", warnings=(), unnamed=()):
    verification = {"problems": list(problems), "warnings": list(warnings), "unnamed": list(unnamed)}
    return findings(
        variables, hosts, NAMES, verification, OVERLAY if overlay is None else overlay, master, ["hosts.yml"]
    )


@pytest.mark.parametrize(
    ("states", "wrong"),
    [
        ({"master": "standby"}, "no ovn-northd acts: it is standby on master"),
        ({"master": "standby", "node1": "paused"}, "no ovn-northd acts: it is standby on master, paused on node1"),
        ({"master": "standby", "node1": "active"}, None),
        ({"master": "standby", "node1": ""}, None),
    ],
    ids=str,
)
def test_no_northd_that_acts(states, wrong):
    """Protects against a client that has taken the lock of ovn-northd, which OVN lets each chassis do, and against one
    that somebody has paused. Where a master did not answer, the one that acts may be its."""
    results = {host: {"common_verified": {"facts": {"northd": state}}} for host, state in states.items()}
    verification = {"masters": list(states)}
    found = findings(hostvars(**results), HOSTS, NAMES, verification, OVERLAY, "master", ["hosts.yml"])
    assert [row["wrong"] for row in found["rows"] if "northd" in row["wrong"]] == ([wrong] if wrong else [])


def words(found):
    return [(row["host"], row["wrong"]) for row in found["rows"]]


def test_hosts_in_order_have_no_row():
    """Protects against a verify that cries wolf."""
    assert table(hostvars()) == {
        "rows": [],
        "table": [],
        "errors": 0,
        "warnings": 0,
        "versions": [],
        "advisories": [],
        "summary": "0 errors and 0 warnings",
    }


def test_all_hosts_findings_are_in_one_table():
    """Protects the order, host by host, errors first; the command; and a finding about another node than its finder."""
    found = table(
        hostvars(
            node2={"common_verified": {"findings": [finding("old", "warning"), finding("gone")]}},
            master={"common_verified": {"findings": [finding("no switch", node="kube-node1"), finding("dead")]}},
        )
    )
    assert words(found) == [("master", "dead"), ("node1", "no switch"), ("node2", "gone"), ("node2", "old")]
    assert (found["errors"], found["warnings"], found["summary"]) == (3, 1, "3 errors and 1 warning")
    heading, first = found["table"][:2]
    assert [cell.strip() for cell in heading.split("|")] == [
        "HOST",
        "",
        "WHAT IS WRONG",
        "WHAT IT CAUSES",
        "WHAT MENDS IT",
    ]
    assert [cell.strip() for cell in first.split("|")] == [
        "master",
        "error",
        "dead",
        "pods are cut off",
        "ansible-playbook -i hosts.yml ovn.kubernetes.site",
    ]


def test_a_host_that_cannot_be_reached_is_a_row():
    """Protects both moments in which it is noticed: before its facts were gathered, and after."""
    dead = {"common_facts": {"unreached": "no route"}, "common_verified": {"skipped": True, "findings": []}}
    found = table(hostvars(node1=dead, node2={"common_verified": {"unreached": "closed"}}))
    assert words(found) == [("node1", "can't be reached: no route"), ("node2", "can't be reached: closed")]
    assert found["errors"] == 2


def test_a_dead_master_is_said():
    """Protects whoever reads the table of a cluster whose master is dead: what was not compared is said."""
    found = table(hostvars(master={"common_facts": {"unreached": "no route"}}), overlay={"skipped": True})
    assert words(found) == [("master", "can't be reached: no route")]
    assert "databases were not read" in found["rows"][0]["causes"]
    (row,) = table(hostvars(), overlay={"unreached": "no route"}, master="")["rows"]  # the play is limited to others
    assert (row["host"], row["mend"]) == ("(all)", "look at the hosts of ovn_masters and the way to them")


def test_a_module_that_fails_and_a_database_that_is_down_are_rows():
    """Protects the table against failures of verify itself."""
    found = table(hostvars(node1={"common_verified": {"problem": "MemoryError"}}), overlay={"problem": "no answer"})
    assert words(found) == [("master", "the overlay can't be read: no answer"), ("node1", "MemoryError")]


def test_a_problem_of_the_inventory_is_a_row_of_its_host():
    """Protects hosts that changed under an inventory that was right, such as one whose NIC is gone."""
    found = table(hostvars(), problems=["node1: eth1 is no NIC", "ovn_masters has no host"])
    assert words(found) == [("(all)", "ovn_masters has no host"), ("node1", "eth1 is no NIC")]


def test_a_node_that_kubernetes_does_not_know_is_a_warning():
    """Protects the moment between a site run and the join of the node: named, and no failure."""
    found = table(hostvars(), warnings=["node1: Kubernetes has no node of this name yet"])
    assert words(found) == [("node1", "Kubernetes has no node of this name yet")] and found["errors"] == 0


def test_two_hosts_with_one_system_id_are_named():
    """Protects against clones: it is found from the hosts' facts, without a packet."""
    found = table(hostvars(node2={"common_verified": {"facts": {"chassis": "id-kube-node1"}}}))
    assert ("node2", "has the system-id id-kube-node1 of node1") in words(found)
    assert "system-id.conf" in found["rows"][0]["mend"]


def test_what_the_database_has_of_a_host_is_compared_with_the_host():
    """Protects a host with a new disk or a new NIC: system-id and MAC are in the database as they were."""
    facts = {"chassis": "id-new", "physical_mac": "0a:00:00:00:00:09"}
    found = table(hostvars(node1={"common_verified": {"facts": facts}}))
    assert words(found) == [
        ("node1", "its system-id is id-new, and the Northbound database has id-kube-node1"),
        ("node1", "its gateway's MAC is 0a:00:00:00:00:09, and the Northbound database has 0a:00:00:00:00:01"),
    ]


@pytest.mark.parametrize(("own", "written", "causes"), [(1500, 9000, "are lost"), (9000, 1500, "smaller than")])
def test_a_nic_with_another_mtu_is_named(own, written, causes):
    """Protects pods behind a NIC that was changed: the gateway's router answers by the MTU that the database has. What
    follows depends on which one is larger."""
    gateways = {name: {**gateway, "mtu": written} for name, gateway in OVERLAY["gateways"].items()}
    variables = hostvars(node1={"common_verified": {"facts": {"physical_mtu": own}}})
    (row,) = table(variables, overlay={**OVERLAY, "gateways": gateways})["rows"]
    assert row["wrong"] == f"its gateway's MTU is {own}, and the Northbound database has {written}"
    assert causes in row["causes"]


def test_a_token_of_an_account_that_was_made_again():
    """Protects nodes whose account was deleted and made again: the token looks good, and is not."""
    variables = hostvars(
        master={"common_verified": {"facts": {"accounts": {"a": "new"}}}},
        node1={"common_verified": {"facts": {"token_uids": {"a": "old"}}}},
        node2={"common_verified": {"facts": {"token_uids": {"a": "new", "b": "any"}}}},
    )
    assert words(table(variables)) == [
        ("node1", "the token of a belongs to an account that was deleted and made again")
    ]


def test_hosts_that_do_not_answer_are_put_together():
    """Protects the table: a host that nobody reaches is one row, not one for each host that found it."""
    found = table(
        hostvars(
            master={"common_verified": {"silent": ["node2"]}},
            node1={"common_verified": {"silent": ["node2"]}},
            node2={"common_verified": {"silent": ["master", "node1"]}},
        )
    )
    assert words(found) == [("node2", "no answer through the overlay between this host and master, node1")]


def test_what_is_left_of_hosts_that_are_gone_is_a_warning():
    """Protects whoever took a host out of the inventory: its rows, and a chassis that nobody has."""
    nodes = {**OVERLAY["nodes"], "gone": {"chassis": "id-gone", "subnets": [], "encap_ips": []}}
    chassis = {**OVERLAY["chassis"], "id-gone": {"hostname": "gone"}, "stray": {"hostname": "who"}}
    found = table(hostvars(), overlay={**OVERLAY, "nodes": nodes, "chassis": chassis})
    assert words(found) == [
        ("master", "chassis stray of who is registered, and no host of the inventory has it"),
        ("gone", "node gone is in the overlay, and not in the inventory"),
    ]
    assert found["errors"] == 0 and found["rows"][0]["mend"] == "on the master: ovn-sbctl chassis-del stray"
    # A node may be the host whose name could not be made from facts: nobody is told to remove it.
    overlay = {**OVERLAY, "nodes": nodes, "chassis": chassis}
    assert table(hostvars(), overlay=overlay, unnamed=["off"])["rows"] == []


def test_the_chassis_of_before_a_host_was_installed_anew_is_a_warning():
    """Protects hosts with a new disk: the old chassis is named, and the site play deletes it."""
    chassis = {**OVERLAY["chassis"], "id-before": {"hostname": "kube-node1"}}
    found = table(hostvars(), overlay={**OVERLAY, "chassis": chassis})
    text = "chassis id-before of kube-node1 is registered, from before the host had the system-id id-kube-node1"
    assert words(found) == [("master", text)] and found["rows"][0]["mend"].endswith("ovn.kubernetes.site")


def test_a_chassis_that_says_that_it_is_another_node_is_a_warning():
    """Protects the reader where nothing is deleted, since it can't be decided: both names are in the row."""
    nodes = {**OVERLAY["nodes"], "kube-node1": {"chassis": "id-kube-node1", "subnets": [], "encap_ips": []}}
    other = next(name for name in nodes if name != "kube-node1")
    chassis = {**OVERLAY["chassis"], "id-kube-node1": {"hostname": other}}
    found = table(hostvars(), overlay={**OVERLAY, "nodes": nodes, "chassis": chassis})
    assert f"chassis id-kube-node1 is node kube-node1's, and says that it is {other}" in [
        row["wrong"] for row in found["rows"]
    ]


def test_a_gateway_without_pods_is_a_warning():
    """Protects the gateways that carry another one's share: whoever looks learns how to give it back."""
    slots = {"node1": {"IPv4": 256, "IPv6": 0}, "node2": {"IPv4": 0, "IPv6": 0}, "lonely": {}}
    overlay = {"nodes": {}, "gateways": {name: {"slots": own} for name, own in slots.items()}}
    found = table(hostvars(), overlay=overlay)
    (warning,) = [row for row in found["rows"] if "pods leave through" in row["wrong"]]
    assert (warning["host"], warning["severity"]) == ("node2", "warning") and "(IPv4)" in warning["wrong"]
    assert "ovn_egress_rebalance=true" in warning["mend"] and found["errors"] == 0


def test_a_play_without_the_master_does_not_judge_the_overlay():
    """Protects --limit: what other hosts have is not called left over."""
    nodes = {**OVERLAY["nodes"], "gone": {"chassis": "id-gone", "subnets": [], "encap_ips": []}}
    assert words(table(hostvars(), ["node1"], overlay={**OVERLAY, "nodes": nodes}, master="")) == []


def test_the_command_names_the_inventory_shortly():
    """Protects the command in the table: it can be run where verify was run."""
    variables = hostvars(node1={"common_verified": {"findings": [finding("dead")]}})
    sources = [os.path.abspath("inventory/lab")]
    found = findings(variables, HOSTS, NAMES, {}, OVERLAY, "master", sources)
    assert found["rows"][0]["mend"] == "ansible-playbook -i inventory/lab ovn.kubernetes.site"


def versions(**changes):
    """All hosts with the same versions, but for those of some."""
    return hostvars(
        **{
            host: {
                "common_verified": {
                    "facts": {"versions": {"collection": "1.0.0", "openvswitch": "3.5.0", "ovn": "25.03.0", **more}}
                }
            }
            for host, more in {**{host: {} for host in HOSTS}, **changes}.items()
        }
    )


def test_the_versions_of_all_hosts_are_shown():
    """Protects who asks what runs where: one line a host, and the controller's; equal ones are no finding."""
    found = table(versions(master={"central": "25.03.0"}))
    assert [" ".join(line.split()) for line in found["versions"]] == [
        "HOST | COLLECTION | OPEN VSWITCH | OVN | OVN CENTRAL",
        f"(controller) | {VERSION} | - | - | -",
        "master | 1.0.0 | 3.5.0 | 25.03.0 | 25.03.0",
        "node1 | 1.0.0 | 3.5.0 | 25.03.0 | -",
        "node2 | 1.0.0 | 3.5.0 | 25.03.0 | -",
    ]
    assert found["rows"] == []


def test_a_difference_between_hosts_is_said():
    """Protects a half upgraded cluster: one warning for each program, with all hosts; OVN central is OVN too."""
    found = table(versions(master={"central": "23.03.1"}, node2={"collection": "0.9.0"}))
    assert [(row["host"], row["severity"], row["wrong"]) for row in found["rows"]] == [
        ("(all)", "warning", "different versions of the collection: 0.9.0 on node2; 1.0.0 on master, node1"),
        ("(all)", "warning", "different versions of OVN: 23.03.1 on master; 25.03.0 on master, node1, node2"),
    ]
    assert found["rows"][0]["mend"].endswith("ovn.kubernetes.site") and "packages" in found["rows"][1]["mend"]


def test_what_runs_with_an_advisory_is_a_warning():
    """Protects the way from a host's facts to the table, and to what is said beside it."""
    package = {"package": "ovn", "version": "1", "upgrade": ["CVE-2024-2182"], "to": "2", "unfixed": ["CVE-2025-0650"]}
    facts = {"chassis": "id-kube-node1", "advisories": {"release": "debian bookworm", "packages": [package]}}
    found = table(hostvars(node1={"common_verified": {"facts": facts}}))
    assert words(found) == [("node1", "ovn 1 has public advisories: CVE-2024-2182")]
    assert (found["errors"], found["warnings"], len(found["advisories"])) == (0, 1, 1)
