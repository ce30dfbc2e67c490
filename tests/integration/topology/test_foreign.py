# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what others have put into the database (W30): rows of theirs, and what they have added to rows of ours."""

from __future__ import annotations

import pytest

OURS = "ovn.kubernetes"


def insert(table, label, **row):
    """An insert operation that the same transaction can refer to."""
    return {"op": "insert", "table": table, "uuid-name": label, "row": row}


def add(table, name, *mutations):
    """A mutate operation on the row of that name."""
    return {
        "op": "mutate",
        "table": table,
        "where": [["name", "==", name]],
        "mutations": [list(mutation) for mutation in mutations],
    }


def held(label):
    """A reference to a row of the same transaction."""
    return ["set", [["named-uuid", label]]]


def put_foreign_rows(nb):
    """Rows of others: some stand alone, some hang on rows of ours. Returns the uuids of those that stand alone."""
    alone = nb.transact(
        insert("Logical_Switch_Port", "legacy_port", name="legacy-port", addresses="unknown"),
        insert(
            "Logical_Switch",
            "legacy",
            name="legacy",
            ports=held("legacy_port"),
            other_config=["map", [["subnet", "10.9.0.0/24"]]],
        ),
        insert("Logical_Router_Port", "edge_port", name="edge-port", mac="0a:00:00:00:00:01", networks="10.9.0.1/24"),
        insert("Logical_Router_Static_Route", "edge_route", ip_prefix="0.0.0.0/0", nexthop="10.9.0.254"),
        insert("Logical_Router", "edge", name="edge", ports=held("edge_port"), static_routes=held("edge_route")),
        insert("Load_Balancer", "lb", name="foreign-lb", vips=["map", [["10.96.0.1:443", "10.44.0.2:6443"]]]),
        insert("Load_Balancer_Group", "lbg", name="foreign-group", load_balancer=held("lb")),
        insert("Address_Set", "set", name="foreign-set", addresses=["set", ["10.0.0.1"]]),
        insert("Port_Group", "group", name="foreign_group"),
    )
    nb.transact(
        insert("Load_Balancer", "lb2", name="second-lb"),
        insert("Load_Balancer_Group", "lbg2", name="second-group"),
        insert("Logical_Switch_Port", "pod", name="default_pod", addresses="0a:58:c0:a8:01:09 192.168.1.9"),
        insert("Logical_Switch_Port", "jport", name="jtor-foreign", addresses="unknown"),
        insert("Logical_Router_Static_Route", "route", ip_prefix="172.31.0.0/16", nexthop="100.64.0.200"),
        insert("Logical_Router_Static_Route", "gwroute", ip_prefix="172.30.0.0/16", nexthop="10.55.0.200"),
        insert("Logical_Router_Policy", "policy", priority=10, match="ip4.src == 1.1.1.1", action="drop"),
        insert("NAT", "nat", type="dnat_and_snat", logical_ip="192.168.1.9", external_ip="10.55.0.99"),
        insert("ACL", "acl", priority=1000, direction="to-lport", match="ip4", action="allow"),
        add(
            "Logical_Switch",
            "node1",
            ["ports", "insert", held("pod")],
            ["load_balancer", "insert", held("lb2")],
            ["acls", "insert", held("acl")],
            ["load_balancer_group", "insert", held("lbg2")],
            ["other_config", "insert", ["map", [["mcast_snoop", "true"]]]],
            ["external_ids", "insert", ["map", [["operator", "was here"]]]],
        ),
        add("Logical_Switch", "join", ["ports", "insert", held("jport")]),
        add(
            "Logical_Router",
            "ovn_cluster_router",
            ["static_routes", "insert", held("route")],
            ["policies", "insert", held("policy")],
            ["load_balancer", "insert", held("lb2")],
            ["options", "insert", ["map", [["mcast_relay", "true"]]]],
        ),
        add(
            "Logical_Router",
            "GR_node1",
            ["nat", "insert", held("nat")],
            ["static_routes", "insert", held("gwroute")],
            ["load_balancer_group", "insert", held("lbg2")],
            ["options", "insert", ["map", [["dynamic_neigh_routers", "true"]]]],
        ),
        add("Logical_Router_Port", "rtoj-GR_node1", ["options", "insert", ["map", [["gateway_mtu", "1400"]]]]),
        add(
            "Logical_Switch_Port",
            "breth1_node1",
            ["options", "insert", ["map", [["nat-addresses", "router"]]]],
            ["tag", "insert", 7],
        ),
    )
    return {result["uuid"][1] for result in alone}


def said(rows):
    """Rows without their versions, which a new reference from elsewhere may move."""
    return {
        uuid: {column: value for column, value in row.items() if column != "_version"} for uuid, row in rows.items()
    }


def test_w30_additions_to_our_rows_stay(nb):
    """Protects others' load balancers, pods' ports, routes and options on our rows: a second run changes none."""
    nb.build()
    put_foreign_rows(nb)
    before = nb.everything()
    for again in (nb.build, nb.master, lambda: nb.node(1), lambda: nb.gateway(1)):
        assert again()["plan"] == []
    assert nb.everything() == before


def test_w30_additions_stay_when_our_rows_change(nb, fresh):
    """Protects additions also where the same column of the same row changes: exactly ours moves."""
    nb.build()
    put_foreign_rows(nb)
    other = fresh()
    other.build()
    for one in (nb, other):
        # The name first: with other addresses too the host would be a clone.
        one.node(1, node_name="kube")
        one.gateway(1, node_name="kube")
        one.node(1, node_name="kube", minion_switch_subnet=["192.168.9.0/24"])
        one.gateway(1, node_name="kube", physical_ip=["10.55.0.77/24"], physical_mac="52:54:00:00:00:77")
    for table, name in (("Logical_Switch_Port", "breth1_node1"),):
        assert nb.rows(table, ["name", "==", name]) == []
    put = put_foreign_rows_under
    put(other)
    assert nb.content() == other.content()


def put_foreign_rows_under(nb):
    """The same additions where the rows already have their new names."""
    transact = nb.transact
    now = {"node1": "kube", "GR_node1": "GR_kube", "rtoj-GR_node1": "rtoj-GR_kube", "breth1_node1": "breth1_kube"}

    def renamed(*operations):
        for operation in operations:
            if operation["op"] == "mutate":
                operation["where"][0][2] = now.get(operation["where"][0][2], operation["where"][0][2])
        return transact(*operations)

    nb.transact = renamed
    put_foreign_rows(nb)


def test_foreign_rows_survive_every_removal(nb):
    """Protects rows of others, also those that hang on the cluster router and the join switch while these stay."""
    nb.build()
    alone = put_foreign_rows(nb)
    before = {
        table: said({uuid: row for uuid, row in rows.items() if uuid in alone})
        for table, rows in nb.everything().items()
    }
    on_cluster = [("172.31.0.0/16", "100.64.0.200")]
    for remove in (nb.remove_gateway, nb.remove_node):
        for name in ("node1", "node2"):
            remove(name)
            assert nb.routes()[-1:] == on_cluster
            assert nb.rows("Logical_Switch_Port", ["name", "==", "jtor-foreign"])
    nb.call("ovn_master_init", state="absent")
    after = nb.everything()
    assert {
        table: said({uuid: row for uuid, row in rows.items() if uuid in alone}) for table, rows in after.items()
    } == before
    assert OURS not in str(after)
    assert [row["name"] for row in nb.content()["Load_Balancer_Group"]] == ["foreign-group", "second-group"]


def test_a_foreign_route_beside_ours_stays(nb):
    """Protects an operator's own default route, which looks like one of ours and carries no owner keys."""
    nb.build(gateways=(1,))
    nb.transact(
        insert("Logical_Router_Static_Route", "route", ip_prefix="0.0.0.0/0", nexthop="100.64.0.2"),
        add("Logical_Router", "ovn_cluster_router", ["static_routes", "insert", held("route")]),
    )
    assert nb.gateway(1)["plan"] == []
    nb.remove_gateway("node1")
    assert nb.routes() == [("0.0.0.0/0", "100.64.0.2")]


# A row of somebody else under the name that a row of ours would take, and the call that would take it.
IN_THE_WAY = {
    "cluster router": ("Logical_Router", "ovn_cluster_router", "ovn_master_init", {}),
    "join switch": ("Logical_Switch", "join", "ovn_master_init", {}),
    "node switch": (
        "Logical_Switch",
        "node7",
        "ovn_minion_init",
        {"node_name": "node7", "minion_switch_subnet": ["192.168.7.0/24"]},
    ),
    "gateway router": (
        "Logical_Router",
        "GR_node7",
        "ovn_gateway",
        {
            "node_name": "node7",
            "physical_interface": "eth1",
            "physical_ip": ["10.55.0.7/24"],
            "default_gw": ["10.55.0.254"],
        },
    ),
}


@pytest.mark.parametrize(("table", "name", "module", "options"), IN_THE_WAY.values(), ids=IN_THE_WAY)
def test_a_foreign_row_of_our_name_is_never_taken_over(nb, table, name, module, options):
    """Protects other users of the database: nothing is written, and the sentence names the row and what to do."""
    if module != "ovn_master_init":
        nb.master()
    nb.transact(insert(table, "row", name=name))
    sentence = nb.refused(module, **options)
    assert (
        sentence == f"{table} {name} exists already and belongs to somebody else (it carries no owner keys of ours): "
        "give this one another name, or remove that row"
    )


def test_a_foreign_port_of_our_name_is_never_taken_over(nb):
    """Protects ports in switches that we never look at."""
    nb.master()
    nb.transact(
        insert("Logical_Switch_Port", "port", name="k8s-node7"),
        insert("Logical_Switch", "legacy", name="legacy", ports=held("port")),
    )
    assert "Logical_Switch_Port k8s-node7 exists already" in nb.refused(
        "ovn_minion_init", node_name="node7", minion_switch_subnet=["192.168.7.0/24"]
    )


def test_a_group_that_others_use_is_not_torn_from_them(nb):
    """Protects another owner's switch that holds one of our load balancer groups: the whole removal is refused.

    The error is a sentence.
    """
    nb.master()
    (group,) = nb.rows("Load_Balancer_Group", ["name", "==", "clusterLBGroup"])
    nb.transact(insert("Logical_Switch", "legacy", name="legacy", load_balancer_group=["set", [group["_uuid"]]]))
    sentence = nb.refused("ovn_master_init", state="absent")
    assert sentence.startswith("OVN_Northbound refused the commit: it deletes a row that others still refer to")
