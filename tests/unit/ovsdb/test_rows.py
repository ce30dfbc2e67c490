# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects desired and current rows: their owner keys, their names, and the queries that find them."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.labels import PURPOSES
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import (
    CurrentRow,
    ListMember,
    Owner,
    Query,
    Row,
    by_name,
    includes,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._services import host_rows
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import cluster, gateway, node

NODE = Owner("Node", "node1")


@pytest.mark.parametrize(
    ("text", "value", "merged"),
    [
        (None, "br1", "physnet:br1"),
        ("", "br1", "physnet:br1"),
        ("physnet:br0", "br1", "physnet:br1"),
        ("a:b,physnet:br0,c:d", "br1", "a:b,physnet:br1,c:d"),
        ("a:b", "br1", "a:b,physnet:br1"),
        (" a:b , physnet:br0 ", "br1", "a:b,physnet:br1"),
        ("physnet:br0,physnet:br2", "br1", "physnet:br1"),
        ("physnet2:br0", "br1", "physnet2:br0,physnet:br1"),
        ("a:b,physnet:br0", None, "a:b"),
        ("physnet:br0", None, None),
        (None, None, None),
        ("a:b", None, "a:b"),
    ],
)
def test_a_member_of_a_comma_separated_text(text, value, merged):
    """Protects other members, like an operator's own bridge mappings, and their order."""
    assert ListMember("physnet", value).merged(text) == merged


def test_a_row_carries_its_owner_and_its_name():
    """Protects what makes rows ours: the four keys, beside other external_ids of the row."""
    row = Row("Logical_Switch", NODE, "switch", "node1", columns={"external_ids": {"more": "yes"}})
    assert row.all_columns() == {
        "name": "node1",
        "external_ids": {
            "more": "yes",
            "k8s.ovn.org/owner-controller": "ovn.kubernetes",
            "k8s.ovn.org/owner-type": "Node",
            "k8s.ovn.org/name": "node1",
            "k8s.ovn.org/id": "ovn.kubernetes:Node:node1:switch",
        },
    }
    assert row.columns == {"external_ids": {"more": "yes"}}


@pytest.mark.parametrize("kind", ["named", "shared"])
def test_a_row_of_others_gets_no_owner(kind):
    """Protects rows that we only look up, or hold some keys in, from being taken for ours."""
    assert Row("Load_Balancer_Group", NODE, "group", "all", kind=kind).all_columns() == {"name": "all"}


def test_the_one_row_of_open_vswitch_has_no_name():
    """Protects against a column that this table does not have."""
    row = Row("Open_vSwitch", NODE, "settings", ".", kind="shared", columns={"external_ids": {"a": "b"}})
    assert row.all_columns() == {"external_ids": {"a": "b"}}
    assert row.label() == "Open_vSwitch"


def test_labels():
    """Protects how plans and errors call a row that has a name."""
    assert Row("Logical_Switch", NODE, "switch", "node1").label() == "Logical_Switch node1"


NAMELESS = {
    "NAT snat 192.168.0.0/16 to 10.5.0.1 on GR_node1 (pods to the outside through gateway node1)": (
        "NAT",
        "snat-4",
        {"type": "snat", "logical_ip": "192.168.0.0/16", "external_ip": "10.5.0.1"},
    ),
    "NAT dnat 100.64.255.253 to 10.5.0.254 on GR_node1 (probe of the next hop of gateway node1)": (
        "NAT",
        "hop-4",
        {"type": "dnat", "logical_ip": "10.5.0.254", "external_ip": "100.64.255.253"},
    ),
    "route default via 10.5.0.254 on GR_node1 (next hop of gateway node1)": (
        "Logical_Router_Static_Route",
        "outside-4",
        {"ip_prefix": "0.0.0.0/0", "nexthop": "10.5.0.254"},
    ),
    "route fd00::1/128 via fd98::2 on ovn_cluster_router (addresses of host node1)": (
        "Logical_Router_Static_Route",
        "host-6",
        {"ip_prefix": "fd00::1/128", "nexthop": "fd98::2"},
    ),
    "policy 110 reroute via 192.168.1.2 on ovn_cluster_router (replies to clients of node ports of host node1)": (
        "Logical_Router_Policy",
        "replies-4",
        {"priority": 110, "action": "reroute", "nexthops": ("192.168.1.2",)},
    ),
    "NAT on GR_node1 (pods to the outside through gateway node1)": ("NAT", "snat-4", {}),
    "route on GR_node1 (next hop of gateway node1)": ("Logical_Router_Static_Route", "outside-6", {}),
    "policy on ovn_cluster_router (pods that use gateway node1 only)": ("Logical_Router_Policy", "pinned-4", {}),
    "ACL (services without endpoints, for host node1)": ("ACL", "unserved-4", {"direction": "from-lport"}),
    "QoS (what of node1)": ("QoS", "what", {}),
}


@pytest.mark.parametrize("text", NAMELESS)
def test_a_row_without_a_name_is_called_what_it_is(text):
    """Protects whoever reads a plan: words of network engineers, the router, what it is for; not names of ours."""
    table, role, columns = NAMELESS[text]
    owner = Owner("Gateway", "node1")
    assert Row(table, owner, role, columns=columns).label() == text
    current = {**columns, "external_ids": owner.keys(role)}
    assert CurrentRow(table, "1-2", current, {}).label() == text


def test_every_role_without_a_name_has_its_words():
    """Protects a new row: its role is no word for users."""
    roles = {
        role.split("-")[0]
        for table, role in [*gateway.ROLES, *node.ROLES, *cluster.ROLES, *host_rows.ROLES]
        if table in ("NAT", "Logical_Router_Static_Route", "Logical_Router_Policy", "ACL", "Chassis_Template_Var")
    }
    assert roles <= set(PURPOSES)
    assert Row("Logical_Switch", NODE, "switch", "node1").label() == "Logical_Switch node1"


def test_queries_ask_for_what_is_needed_only():
    """Protects calls in large clusters: conditions and columns go to the server."""
    query = Query("NAT", (includes("external_ids", {"b": "2", "a": "1"}),), ("type",))
    assert query.operation() == {
        "op": "select",
        "table": "NAT",
        "where": [["external_ids", "includes", ["map", [["a", "1"], ["b", "2"]]]]],
        "columns": ["_uuid", "type"],
    }
    assert by_name("Logical_Switch", "join", ("name",)).where == (("name", "==", "join"),)
    assert by_name("Open_vSwitch", ".", ("external_ids",)).where == ()


def test_a_current_row_knows_its_role_and_keeps_what_came():
    """Protects guards, which compare with what came over the wire, to the letter."""
    query = Query("NAT", (), ("type", "external_ids"))
    raw = {
        "_uuid": ["uuid", "1-2"],
        "type": "snat",
        "external_ids": ["map", [["k8s.ovn.org/id", "ovn.kubernetes:Gateway:fd::1:snat-4"]]],
    }
    row = query.current_row(raw)
    assert (row.uuid, row.name, row.role, row.external_id("nothing")) == ("1-2", None, "snat-4", None)
    assert row.raw == {"type": "snat", "external_ids": raw["external_ids"]}
    assert query.current_row(dict(raw, external_ids=["map", []])).role is None


def test_a_current_row_knows_its_owner():
    """Protects rows of others: without owner keys there is no owner."""
    query = Query("NAT", (), ("external_ids",))
    keys = [[key, value] for key, value in NODE.keys("snat-4").items()]
    assert query.current_row({"_uuid": ["uuid", "1"], "external_ids": ["map", keys]}).owner == NODE
    assert query.current_row({"_uuid": ["uuid", "1"], "external_ids": ["map", [["a", "b"]]]}).owner is None


OURS = {"k8s.ovn.org/owner-controller": "ovn.kubernetes"}
PARTS = {"k8s.ovn.org/owner-type": "Pod", "k8s.ovn.org/name": "ns/a"}
WHOLE = {"k8s.ovn.org/id": "ovn.kubernetes:Pod:ns/a:port"}


@pytest.mark.parametrize(
    ("keys", "identity"),
    [
        ({**OURS, **PARTS, **WHOLE}, (("Pod", "ns/a"), "port")),
        ({**OURS, **PARTS}, (("Pod", "ns/a"), None)),
        (WHOLE, (("Pod", "ns/a"), "port")),
        ({**OURS, **WHOLE, "k8s.ovn.org/name": "ns/b"}, (("Pod", "ns/a"), "port")),
        ({**PARTS, **WHOLE, "k8s.ovn.org/owner-controller": "other"}, None),
        ({**PARTS, "k8s.ovn.org/id": "other:Pod:ns/a:port"}, None),
        (PARTS, None),
        ({}, None),
        ({**OURS, "k8s.ovn.org/id": "ovn.kubernetes:Host:n1:host-fd00::1"}, (("Host", "n1"), "host-fd00::1")),
    ],
)
def test_ours_means_our_controller(keys, identity):
    """Protects rows of other controllers, which use the same types and names, and rows of ours that lost some keys."""
    row = CurrentRow("Logical_Switch_Port", "u", {"external_ids": keys}, {})
    assert row.identity == identity
    assert (row.owner, row.role) == (identity or (None, None))


@pytest.mark.parametrize("role", ["port", "host-10.0.0.1", "host-fd00::1", "cluster_IPv6-tcp"])
def test_an_identity_is_read_as_it_was_written(role):
    """Protects against rows that are deleted and inserted again for ever: an IPv6 address in a role has colons."""
    row = CurrentRow("Logical_Router_Static_Route", "u", {"external_ids": Owner("Host", "node1").keys(role)}, {})
    assert row.identity == (Owner("Host", "node1"), role)
