# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Rows that change under the watcher: renamed nodes, owner keys that somebody changes, rows of other controllers."""

from __future__ import annotations

import pytest
from database_server import wait_for
from northbound import node_settings

TYPE, NAME, ID, CONTROLLER = (f"k8s.ovn.org/{key}" for key in ("owner-type", "name", "id", "owner-controller"))
OTHER = "other-controller"
PORT, WEB = "default_web", "Service_default/web_TCP_cluster"
BROKEN = {
    "all keys gone": None,
    "another object of ours": {NAME: "default/else", ID: "ovn.kubernetes:Pod:default/else:port"},
    "another kind": {TYPE: "Thing", ID: "ovn.kubernetes:Thing:default/web:port"},
    "another controller": {CONTROLLER: OTHER},
    "only the identity gone": {ID: ""},
}


def keys(row):
    """A row's owner keys, and all else in its external_ids."""
    return dict(row["external_ids"][1])


def change_keys(world, table, where, new):
    """Let somebody change keys of a row; None: remove everything."""
    mutations = (
        [["external_ids", "delete", ["set", sorted(new)]], ["external_ids", "insert", ["map", list(new.items())]]]
        if new
        else []
    )
    operation = (
        {"op": "mutate", "table": table, "where": [where], "mutations": mutations}
        if new
        else {"op": "update", "table": table, "where": [where], "row": {"external_ids": ["map", []]}}
    )
    world.nb.transact(operation)


@pytest.fixture
def served(world):
    """A world with a watcher, a pod, a service and a node with an address."""
    world.watcher_of_test = world.watch()
    world.api.add_pod("web", "node1")
    world.service("web", type="NodePort")
    world.api.add_node("node1", "10.0.0.1")
    world.annotated("web")
    wait_for(lambda: WEB in world.balancers(), "the load balancer")
    wait_for(lambda: ("10.0.0.1/32", "192.168.1.2") in world.nb.routes(), "the way to the host")
    wait_for(world.watcher_of_test.idle, "the watcher to be done")
    return world


@pytest.mark.parametrize("new", BROKEN.values(), ids=BROKEN)
def test_owner_keys_are_restored_and_block_no_successor(served, new):
    """Protects pods, services and hosts from rows that nobody owns: the same row has its keys again, and goes with its
    object, so that the next one of this name is served.
    """

    def rows():
        return {
            table: {
                row["_uuid"][1]: keys(row)
                for row in served.nb.rows(table)
                if "Pod" in str(row) or "Service" in str(row) or "Host" in str(row)
            }
            for table in (
                "Logical_Switch_Port",
                "Load_Balancer",
                "ACL",
                "Logical_Router_Static_Route",
                "Chassis_Template_Var",
            )
        }

    before = rows()
    for table, found in before.items():
        for uuid in found:
            change_keys(served, table, ["_uuid", "==", ["uuid", uuid]], new)
    wait_for(lambda: rows() == before, "all owner keys to be restored")
    served.invariants({"web": "node1"})
    served.api.delete("/api/v1/namespaces/default/pods/web")
    wait_for(lambda: not served.ports(), "the port to go")
    served.api.add_pod("web", "node1")
    assert served.annotated("web")
    assert served.watcher_of_test.figure("ovn_k8s_watcher_failing_objects") == 0


def test_owner_keys_that_went_while_no_watcher_ran(served):
    """Protects a running pod's address, and its service: a row that is as desired in all else is known again."""
    served.watcher_of_test.kill()
    before = served.annotated("web"), served.nb.rows("Logical_Switch_Port", ["name", "==", PORT])[0]["_uuid"]
    change_keys(served, "Logical_Switch_Port", ["name", "==", PORT], None)
    change_keys(served, "Load_Balancer", ["name", "==", WEB], None)
    served.watcher_of_test.start()
    wait_for(served.watcher_of_test.idle, "the watcher to be done")
    wait_for(
        lambda: keys(served.nb.rows("Load_Balancer", ["name", "==", WEB])[0]).get(NAME) == "default/web", "the service"
    )
    wait_for(lambda: PORT in served.ports(), "the port to be known")
    assert (served.annotated("web"), served.ports()[PORT][0]["_uuid"]) == before
    assert served.watcher_of_test.figure("ovn_k8s_watcher_failing_objects") == 0


def test_a_node_is_renamed_under_the_watcher(world):
    """Protects the node ports of a renamed node: one row a chassis, and it is the new name's within a moment; a second
    new name too.
    """
    watcher = world.watch()
    for number, name in enumerate(("node2", "worker", "other"), 2):
        world.api.add_node(name, f"10.0.0.{number}")

    def variables():
        return {
            keys(row)[NAME]: (row["chassis"], dict(row["variables"][1])["NODEIP_IPv4_0"])
            for row in world.nb.rows("Chassis_Template_Var")
        }

    wait_for(lambda: variables().get("node2") == ("id-2", "10.0.0.2"), "the node's row")
    for name, address in (("worker", "10.0.0.3"), ("other", "10.0.0.4"), ("node2", "10.0.0.2")):
        old = next(
            row["name"] for row in world.nb.rows("Logical_Switch") if keys(row).get("k8s.ovn.org/chassis") == "id-2"
        )
        assert world.nb.call("ovn_minion_init", **{**node_settings(2), "node_name": name})["changed"]
        wait_for(
            lambda name=name, address=address: variables().get(name) == ("id-2", address),
            f"the row of {name}\n{world.logs()}",
        )
        wait_for(lambda address=address: (f"{address}/32", "192.168.2.2") in world.nb.routes(), "the way to the host")
        assert old not in variables()
        acls = [keys(row)[NAME] for row in world.nb.rows("ACL")]
        assert sorted(acls) == sorted([name, name, "node1", "node1"])
        wait_for(watcher.idle, "the watcher to be done")
        assert watcher.figure("ovn_k8s_watcher_failing_objects") == 0


def test_two_hosts_that_swap_their_chassis(world):
    """Protects hosts whose rows need each other's values: they are written together."""
    watcher = world.watch()

    def chassis():
        return {keys(row)[NAME]: row["chassis"] for row in world.nb.rows("Chassis_Template_Var")}

    wait_for(lambda: chassis() == {"node1": "id-1", "node2": "id-2"}, "both rows")
    for _time in range(2):
        ids = [(row["name"], keys(row)) for row in world.nb.rows("Logical_Switch") if row["name"] in ("node1", "node2")]
        swapped = [
            {
                "op": "update",
                "table": "Logical_Switch",
                "where": [["name", "==", name]],
                "row": {
                    "external_ids": [
                        "map",
                        list(
                            {
                                **had,
                                "k8s.ovn.org/chassis": "id-1" if had["k8s.ovn.org/chassis"] == "id-2" else "id-2",
                            }.items()
                        ),
                    ]
                },
            }
            for name, had in ids
        ]
        before = chassis()
        world.nb.transact(*swapped)
        wait_for(lambda before=before: chassis() == {"node1": before["node2"], "node2": before["node1"]}, "the swap")
    wait_for(watcher.idle, "the watcher to be done")
    assert "refused" not in watcher.text()


def test_rows_of_another_controller_stay(world):
    """Protects other controllers in the same database, which use the same words for owner types: their rows stay, at
    the start, with a pod, a service or a host of that name, and when it goes.
    """

    def ids(kind, name, role):
        return ["map", [[CONTROLLER, OTHER], [TYPE, kind], [NAME, name], [ID, f"{OTHER}:{kind}:{name}:{role}"]]]

    def insert(table, row, parent=(), column=""):
        made = {"op": "insert", "table": table, "uuid-name": "new", "row": row}
        hung = (
            {
                "op": "mutate",
                "table": parent[0],
                "where": [["name", "==", parent[1]]],
                "mutations": [[column, "insert", ["set", [["named-uuid", "new"]]]]],
            }
            if parent
            else None
        )
        world.nb.transact(made, *filter(None, [hung]))

    switch, router = ("Logical_Switch", "node1"), ("Logical_Router", "ovn_cluster_router")
    insert(
        "Load_Balancer",
        {
            "name": "theirs",
            "vips": ["map", [["10.99.0.1:80", "10.1.1.1:80"]]],
            "external_ids": ids("Service", "default/web", "cluster-tcp"),
        },
    )
    insert(
        "Logical_Switch_Port",
        {
            "name": "theirs",
            "addresses": "02:00:00:00:00:01 192.168.1.77",
            "external_ids": ids("Pod", "default/web", "port"),
        },
        switch,
        "ports",
    )
    insert(
        "ACL",
        {
            "direction": "from-lport",
            "priority": 5,
            "match": "ip4",
            "action": "drop",
            "external_ids": ids("Host", "node1", "unserved-4"),
        },
        switch,
        "acls",
    )
    insert(
        "Logical_Router_Static_Route",
        {"ip_prefix": "10.9.9.9/32", "nexthop": "192.168.1.2", "external_ids": ids("Host", "node1", "host-10.9.9.9")},
        router,
        "static_routes",
    )
    insert(
        "Logical_Router_Policy",
        {"priority": 7, "match": "ip4", "action": "drop", "external_ids": ids("Host", "node1", "replies-4")},
        router,
        "policies",
    )
    insert("Chassis_Template_Var", {"chassis": "id-9", "external_ids": ids("Host", "node1", "variables")})

    def theirs():
        return {
            uuid: {column: value for column, value in row.items() if column != "_version"}
            for rows in world.nb.everything().values()
            for uuid, row in rows.items()
            if OTHER in str(row.get("external_ids"))
        }

    before = theirs()
    assert len(before) == 6
    watcher = world.watch()
    world.api.add_pod("web", "node1")
    world.service("web")
    world.annotated("web")
    wait_for(lambda: WEB in world.balancers(), "the service")
    world.api.delete("/api/v1/namespaces/default/pods/web")
    world.api.delete("/api/v1/namespaces/default/services/web")
    wait_for(lambda: not world.ports() and list(world.balancers()) == ["theirs"], "ours to go")
    watcher.stop()
    watcher.start()
    wait_for(watcher.idle, "the watcher to be done")
    assert theirs() == before


def test_the_way_to_an_ipv6_address_is_written_once(world):
    """Protects the database from a route that is deleted and inserted for ever: its identity has an address with
    colons.
    """
    world.nb.build(nodes=(1, 2), gateways=(1,), dual=True)
    watcher = world.watch()
    world.api.add_node("node1", "fd77::1")
    way = ("fd77::1/128", "fd10:128:0:1::2")
    wait_for(lambda: way in world.nb.routes(), "the way to the host")
    world.api.add_pod("later", "node1")
    world.annotated("later")
    wait_for(watcher.idle, "the watcher to be done")
    assert watcher.text().count("Logical_Router_Static_Route") + watcher.text().count("route fd77::1") <= 1
