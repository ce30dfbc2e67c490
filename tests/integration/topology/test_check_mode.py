# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects check and diff mode: they tell what a run would do, and do none of it."""

from __future__ import annotations

import pytest
from module_calls import call, call_at_once
from northbound import CLUSTER, DUAL, gateway_settings, node_settings

CALLS = {
    "cluster": lambda nb, **options: nb.build(join_subnet=["100.70.0.0/16"], **options),
    "node": lambda nb, **options: nb.node(3, **options),
    "gateway": lambda nb, **options: nb.gateway(3, **options),
    "no node": lambda nb, **options: nb.remove_node("node1", **options),
    "no gateway": lambda nb, **options: nb.remove_gateway("node1", **options),
    "nothing": lambda nb, **options: nb.call("ovn_master_init", state="absent", **options),
}


@pytest.mark.parametrize("make", CALLS.values(), ids=CALLS)
def test_check_mode_tells_and_does_nothing(nb, make):
    """Protects the database: ``changed`` and the plan are those of the next run; no row is written before it."""
    nb.build()
    before = nb.everything()
    planned = make(nb, check=True, diff=True)
    assert planned["changed"] and nb.everything() == before
    done = make(nb, diff=True)
    assert (done["plan"], done["diff"]) == (planned["plan"], planned["diff"])
    assert not make(nb, check=True, diff=True)["changed"]
    assert make(nb, diff=True)["diff"] == {"before": "", "after": ""}


def test_the_diff_shows_the_rows_as_they_are_and_as_they_will_be(nb):
    """Protects what a user reads with --diff: a line for each value, and nothing that stays."""
    nb.master()
    nb.node(1)
    diff = nb.node(1, minion_switch_subnet=["192.168.9.0/24"], check=True, diff=True)["diff"]
    assert diff["before"].splitlines() == [
        "Logical_Switch node1 external_ids:k8s.ovn.org/node-subnets=192.168.1.0/24",
        "Logical_Switch node1 other_config:subnet=192.168.1.0/24",
        "Logical_Switch_Port k8s-node1 addresses=['0a:58:c0:a8:01:02 192.168.1.2']",
        "Logical_Router_Port rtos-node1 mac=0a:58:c0:a8:01:01",
        "Logical_Router_Port rtos-node1 networks=['192.168.1.1/24']",
    ]
    assert diff["after"] == diff["before"].replace("192.168.1.", "192.168.9.").replace("c0:a8:01", "c0:a8:09")


def test_the_diff_of_a_new_and_of_a_gone_row(nb):
    """Protects the two ends: a row that comes has no before, a row that goes has no after."""
    nb.master()
    made = nb.node(1, diff=True)["diff"]
    assert made["before"] == "" and "Logical_Switch node1 name=node1\n" in made["after"]
    gone = nb.remove_node("node1", diff=True)["diff"]
    assert gone["after"] == "" and "Logical_Switch node1 name=node1\n" in gone["before"]


@pytest.mark.parametrize("cluster", [CLUSTER, DUAL])
def test_check_mode_before_there_is_a_database(cluster):
    """Protects check mode on bare hosts: the whole cluster is planned as from nothing, with a warning."""
    dual = cluster is DUAL
    # In a process of its own: where Ansible's controller is loaded too, warnings go another way.
    (result,) = call_at_once(
        [
            (
                "ovn_master_init",
                {
                    "_ansible_check_mode": True,
                    "part": "northbound",
                    "northbound": "unix:/nonexistent/nb.sock",
                    "cluster_ip_subnet": cluster,
                    "nodes": [node_settings(1, dual)],
                    "gateways": [gateway_settings(1, dual)],
                },
            )
        ]
    )
    assert not result.get("failed") and result["changed"]
    assert {item["operation"] for item in result["plan"]} == {"insert"}
    (warning,) = result["warnings"]
    assert (
        str(warning).count(
            "the plan assumes an empty Northbound database: "
            "can't use database OVN_Northbound at unix:/nonexistent/nb.sock"
        )
        == 1
    )


@pytest.mark.parametrize(
    ("module", "options"),
    [
        ("ovn_minion_init", node_settings(1)),
        ("ovn_minion_init", {"node_name": "node1", "state": "absent"}),
        ("ovn_gateway", {"node_name": "node1", "state": "absent"}),
        ("ovn_master_init", {"state": "absent"}),
    ],
)
def test_check_mode_of_each_module_before_there_is_a_database(module, options):
    """Protects single calls on bare hosts in the same way."""
    result = call(
        module,
        check=True,
        part="northbound",
        northbound="unix:/nonexistent/nb.sock",
        cluster_ip_subnet=CLUSTER,
        **options,
    )
    assert not result.get("failed")
    assert result["changed"] == ("state" not in options)


def test_without_check_mode_a_missing_database_is_an_error():
    """Protects against taking a database that is away for an empty one."""
    result = call(
        "ovn_master_init", part="northbound", northbound="unix:/nonexistent/nb.sock", cluster_ip_subnet=CLUSTER
    )
    assert result["failed"] and not result["changed"]
