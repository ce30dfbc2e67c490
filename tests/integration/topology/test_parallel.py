# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects many calls at one moment (W8, W12): real processes, started together, each a whole module call."""

from __future__ import annotations

from module_calls import call_at_once
from northbound import gateway_settings, node_settings

MANY = 20


def at_once(nb, calls):
    """The results of (module, options) pairs, none of which may fail."""
    results = call_at_once([(module, nb.arguments(**options)) for module, options in calls])
    assert [result["msg"] for result in results if result.get("failed")] == []
    return results


def test_w12_two_masters_at_once_make_one_cluster(nb, fresh):
    """Protects against a second router and a second 100.64.1.1: a second master-init corrupted the cluster for good."""
    masters = [
        (
            "ovn_master_init",
            {
                "node_name": f"master{number}",
                "master_switch_subnet": [f"192.168.{number}.0/24"],
                "chassis": f"id-{number}",
            },
        )
        for number in (1, 2)
    ]
    assert all(result["changed"] for result in at_once(nb, masters))
    assert nb.join_addresses() == ["100.64.0.1/16"]
    assert [row["name"] for row in nb.content()["Logical_Router"]] == ["ovn_cluster_router"]
    other = fresh()
    for module, options in masters:
        other.call(module, **options)
    assert nb.content() == other.content()


def test_w12_two_masters_with_the_same_settings_write_once(nb):
    """Protects against writing twice what one of them has written already: the later one changes nothing."""
    results = at_once(nb, [("ovn_master_init", {})] * 2)
    assert sorted(result["changed"] for result in results) == [False, True]
    assert len(nb.transactions()) == 1


def test_w8_nodes_at_once(nb, fresh):
    """Protects against lost rows: each of 20 nodes is as if it had come alone."""
    nb.master()
    at_once(nb, [("ovn_minion_init", node_settings(number)) for number in range(1, MANY + 1)])
    other = fresh()
    other.master(nodes=[node_settings(number) for number in range(1, MANY + 1)])
    assert nb.content() == other.content()


def test_w8_gateways_at_once(nb):
    """Protects join addresses: 6 parallel gateway-inits gave 2 pairs of the same address."""
    nb.master()
    at_once(nb, [("ovn_gateway", gateway_settings(number)) for number in range(1, MANY + 1)])
    assert nb.join_addresses() == sorted(f"100.64.0.{last}/16" for last in range(1, MANY + 2))
    assert nb.egress() == sorted(("0.0.0.0/0", f"100.64.0.{last}") for last in range(2, MANY + 2))
    assert len(nb.rows("NAT", ["type", "==", "snat"])) == len(nb.rows("NAT", ["type", "==", "dnat"])) == MANY
    before = nb.everything()
    nb.master(gateways=[gateway_settings(number) for number in range(1, MANY + 1)])
    assert nb.everything() == before


def test_w8_nodes_and_gateways_come_and_go_at_once(nb):
    """Protects rows that several calls share, like the join switch and the cluster router's ports and routes."""
    nb.build(nodes=range(1, 11), gateways=range(1, 6))
    calls = [("ovn_minion_init", node_settings(number)) for number in range(11, 16)]
    calls += [("ovn_gateway", gateway_settings(number)) for number in range(6, 9)]
    calls += [("ovn_minion_init", {"node_name": f"node{number}", "state": "absent"}) for number in range(6, 11)]
    calls += [("ovn_gateway", {"node_name": f"node{number}", "state": "absent"}) for number in (1, 3, 5)]
    at_once(nb, calls)
    nodes, gateways = [1, 2, 3, 4, 5, 11, 12, 13, 14, 15], [2, 4, 6, 7, 8]
    assert sorted(row["name"] for row in nb.content()["Logical_Switch"]) == sorted(
        ["join"] + [f"node{number}" for number in nodes] + [f"ext_node{number}" for number in gateways]
    )
    assert len(set(nb.join_addresses())) == len(nb.join_addresses()) == 1 + len(gateways)
    assert not nb.master(nodes=list(map(node_settings, nodes)), gateways=list(map(gateway_settings, gateways)))[
        "changed"
    ]


def test_w8_the_same_subnet_at_once_goes_to_one_of_them(nb):
    """Protects pods' addresses: of two nodes that ask for one subnet at the same moment, one is refused.

    The error is a sentence.
    """
    nb.master()
    results = call_at_once(
        [
            ("ovn_minion_init", nb.arguments(node_name=name, minion_switch_subnet=["192.168.7.0/24"]))
            for name in ("one", "other")
        ]
    )
    (refused,) = (result["msg"] for result in results if result.get("failed"))
    assert "overlaps 192.168.7.0/24 of node" in refused
    assert len(nb.rows("Logical_Switch", ["name", "!=", "join"])) == 1


def test_w8_the_same_physical_address_at_once_goes_to_one_of_them(nb):
    """Protects the physical network against two gateways with one address."""
    nb.master()
    results = call_at_once(
        [("ovn_gateway", nb.arguments(**gateway_settings(number, physical_ip=["10.55.0.9/24"]))) for number in (1, 2)]
    )
    (refused,) = (result["msg"] for result in results if result.get("failed"))
    assert refused.startswith("physical_ip of gateway node") and "'10.55.0.9/24' is gateway node" in refused
    assert len(nb.rows("NAT", ["external_ip", "==", "10.55.0.9"])) == 1


def test_the_same_node_at_once_is_made_once(nb):
    """Protects against two rows of one name, when a play runs twice at the same time."""
    nb.master()
    results = at_once(nb, [("ovn_minion_init", node_settings(1))] * 4)
    assert sorted(result["changed"] for result in results) == [False, False, False, True]
    assert len(nb.transactions()) == 2
