# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the moment between reading and writing: what others write then is neither lost nor overwritten.

A lost answer is not a lost change.
"""

from __future__ import annotations

import pytest
from module_calls import call
from northbound import gateway_settings, node_settings
from proxy import commits, proxies

from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible import overlay as overlay_modules
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb import converge
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.connection import Connection

SUBNET = {"minion_switch_subnet": ["192.168.9.0/24"]}


@pytest.fixture
def meanwhile(monkeypatch):
    """Sets what another client does at the moment before a commit; returns the list of commits that were tried."""

    def set_writer(write, times=1):
        commits = []

        class Interrupted(Connection):
            def transact(self, operations):
                if operations[-1]["op"] == "comment":
                    commits.append(operations)
                    if len(commits) <= times:
                        write()
                return super().transact(operations)

        monkeypatch.setattr(overlay_modules, "Connection", Interrupted)
        return commits

    return set_writer


def update(nb, table, name, column, value):
    """Another client's write."""
    nb.transact({"op": "update", "table": table, "where": [["name", "==", name]], "row": {column: value}})


def test_a_key_that_another_client_adds_is_kept(nb, meanwhile):
    """Protects another client's key in the very column that changes: the plan is made anew from what is there now."""
    nb.build(gateways=())
    commits = meanwhile(
        lambda: update(
            nb,
            "Logical_Switch",
            "node1",
            "other_config",
            ["map", [["subnet", "192.168.1.0/24"], ["mcast_snoop", "true"]]],
        )
    )
    assert nb.node(1, **SUBNET)["changed"]
    assert len(commits) == 2
    (row,) = nb.rows("Logical_Switch", ["name", "==", "node1"])
    assert row["other_config"] == ["map", [["mcast_snoop", "true"], ["subnet", "192.168.9.0/24"]]]


def test_a_reference_that_another_client_adds_is_kept(nb, meanwhile):
    """Protects load balancer groups that others add at that moment."""
    nb.build(nodes=(1,), gateways=())
    update(nb, "Logical_Switch", "node1", "load_balancer_group", ["set", []])

    def write():
        nb.transact(
            {"op": "insert", "table": "Load_Balancer_Group", "uuid-name": "group", "row": {"name": "theirs"}},
            {
                "op": "mutate",
                "table": "Logical_Switch",
                "where": [["name", "==", "node1"]],
                "mutations": [["load_balancer_group", "insert", ["set", [["named-uuid", "group"]]]]],
            },
        )

    commits = meanwhile(write)
    assert nb.node(1)["changed"]
    assert len(commits) == 2
    (switch,) = (row for row in nb.content()["Logical_Switch"] if row["name"] == "node1")
    assert [name.split()[1] for name in switch["load_balancer_group"]] == [
        "clusterLBGroup",
        "clusterSwitchLBGroup",
        "theirs",
    ]


def test_a_row_that_another_client_has_changed_as_we_would_is_left(nb, meanwhile):
    """Protects against writing a second time what another call has just written."""
    nb.build(nodes=(1,), gateways=())
    other = []
    commits = meanwhile(lambda: other.append(call("ovn_minion_init", **nb.arguments(**node_settings(1, **SUBNET)))))
    assert not nb.node(1, **SUBNET)["changed"]
    assert other[0]["changed"] and len(commits) == 2  # the other's, and ours which was refused


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_a_row_that_the_same_call_elsewhere_makes_between_our_reads(nb, monkeypatch, at):
    """Protects two masters at once: what one has made between two reads of the other is not somebody else's."""
    seen = []

    class Interrupted(Connection):
        def transact(self, operations):
            seen.append(operations)
            if len(seen) == at:
                with monkeypatch.context() as other:
                    other.setattr(overlay_modules, "Connection", Connection)
                    assert call("ovn_master_init", **nb.arguments())["changed"]
            return super().transact(operations)

    monkeypatch.setattr(overlay_modules, "Connection", Interrupted)
    result = call("ovn_master_init", **nb.arguments())
    assert not result.get("failed"), result["msg"]
    assert len(nb.transactions()) == 1 or at > len(seen)


def test_a_foreign_row_that_takes_the_name_is_not_overwritten(nb, meanwhile):
    """Protects a switch that somebody makes under the node's name at that moment."""
    nb.master()
    meanwhile(lambda: nb.transact({"op": "insert", "table": "Logical_Switch", "row": {"name": "node1"}}))
    result = call("ovn_minion_init", **nb.arguments(**node_settings(1)))
    assert result["failed"] and result["msg"].startswith(
        "Logical_Switch node1 exists already and belongs to somebody else"
    )
    assert (
        len(nb.rows("Logical_Switch", ["name", "==", "node1"])) == 1
        and nb.rows("Logical_Switch_Port", ["name", "==", "k8s-node1"]) == []
    )


def test_a_subnet_that_goes_to_another_node_is_not_given_twice(nb, meanwhile):
    """Protects pods' addresses: no row of the two nodes is the same, only the guard over all nodes' subnets sees it."""
    nb.master()
    one, other = (nb.arguments(**node_settings(number, minion_switch_subnet=["192.168.7.0/24"])) for number in (1, 2))
    meanwhile(lambda: call("ovn_minion_init", **other))
    result = call("ovn_minion_init", **one)
    assert result["msg"] == (
        "minion_switch_subnet of node node1 '192.168.7.0/24' overlaps 192.168.7.0/24 of node node2: "
        "give each node a subnet of its own"
    )
    assert not result["changed"] and nb.rows("Logical_Switch", ["name", "==", "node1"]) == []


def test_a_join_address_that_goes_to_another_gateway_is_not_given_twice(nb, meanwhile):
    """Protects join addresses, which no two gateways' rows compare."""
    nb.master()
    commits = meanwhile(lambda: call("ovn_gateway", **nb.arguments(**gateway_settings(2))))
    assert nb.gateway(1)["changed"]
    assert len(commits) == 3
    assert nb.join_addresses() == ["100.64.0.1/16", "100.64.0.2/16", "100.64.0.3/16"]
    assert ("0.0.0.0/0", "100.64.0.3") in nb.routes()


def test_a_cluster_that_goes_is_not_written_into(nb, meanwhile):
    """Protects against ports that hang on nothing: the cluster was removed at that moment."""
    nb.master()
    meanwhile(lambda: call("ovn_master_init", **nb.arguments(state="absent")))
    result = call("ovn_minion_init", **nb.arguments(**node_settings(1)))
    assert result["msg"].endswith("does not exist: make it first (ovn_master_init)")
    assert nb.content() == {}


def test_a_database_that_never_rests_is_given_up_in_words(nb, meanwhile, monkeypatch):
    """Protects against a call that goes on for ever."""
    nb.build(nodes=(1,), gateways=())
    monkeypatch.setattr(converge, "PATIENCE", 0.2)
    values = iter(range(10**9))
    meanwhile(
        lambda: update(nb, "Logical_Switch", "node1", "other_config", ["map", [["vlan-passthru", str(next(values))]]]),
        times=10**9,
    )
    result = call("ovn_minion_init", **nb.arguments(**node_settings(1, **SUBNET)))
    assert result["msg"] == (
        "the database changes faster than a change can be planned: find out who else writes these rows again and again"
    )
    assert not result["changed"] and "192.168.9.0" not in str(nb.content())


@pytest.fixture
def proxy(nb):
    """Makes a proxy before the database."""
    yield from proxies(nb)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("module", ["ovn_minion_init", "ovn_gateway", "ovn_master_init"])
def test_a_connection_that_is_lost_in_the_commit(nb, fresh, proxy, module, moment):
    """Protects against an answer that never came: written or not, the result is right and ``changed`` is true.

    It is written once.
    """
    options = {
        "ovn_minion_init": node_settings(2),
        "ovn_gateway": gateway_settings(1),
        "ovn_master_init": {"join_subnet": ["100.70.0.0/16"]},
    }[module]
    nb.build(nodes=(1,), gateways=())
    one = proxy(lambda number, request: moment if number == 1 and commits(request) else None)
    result = nb.call(module, **dict(options, northbound=one.remote))
    assert result["changed"] and result["plan"]
    assert one.connections == 2 and len(nb.transactions()) == 2
    other = fresh()
    other.build(nodes=(1,), gateways=())
    assert other.call(module, **options)["plan"] == result["plan"]
    assert nb.content() == other.content()


def test_a_removal_whose_answer_is_lost(nb, proxy):
    """Protects removal in the same way."""
    nb.build()
    one = proxy(lambda number, request: "after" if number == 1 and commits(request) else None)
    assert nb.call("ovn_master_init", state="absent", northbound=one.remote)["changed"]
    assert nb.content() == {}


@pytest.mark.parametrize("request_number", [2, 3, 4])
def test_a_connection_that_is_lost_while_reading(nb, proxy, request_number):
    """Protects each of the reads: read again on a new connection, and no traceback for lack of a plan."""
    nb.master()
    seen = []

    def cut(number, request):
        seen.append(request)
        return "before" if number == 1 and len(seen) == request_number else None

    one = proxy(cut)
    assert nb.call("ovn_gateway", **gateway_settings(1, northbound=one.remote))["changed"]
    assert one.connections == 2 and nb.egress() == [("0.0.0.0/0", "100.64.0.2")]


def test_an_unchanged_call_after_a_lost_connection_is_unchanged(nb, proxy):
    """Protects against a ``changed`` that only says that there was trouble."""
    nb.build()
    seen = []
    one = proxy(lambda number, request: seen.append(request) or ("before" if len(seen) == 3 else None))
    assert not nb.call("ovn_minion_init", **node_settings(1, northbound=one.remote))["changed"]
    assert one.connections == 2


@pytest.mark.parametrize("moment", ["before", "reading"])
def test_a_connection_that_is_lost_again_and_again(nb, proxy, moment):
    """Protects against an endless call: the second loss is an error, in one sentence, and nothing is half-done."""
    nb.master()
    before = nb.everything()
    one = proxy(
        lambda number, request: (
            "before" if (commits(request) if moment == "before" else "_Server" not in request["params"]) else None
        )
    )
    result = call("ovn_minion_init", **nb.arguments(**node_settings(1, northbound=one.remote)))
    assert result["failed"] and result["msg"].startswith(
        f"the connection to OVN_Northbound at {one.remote} was lost before the reply came"
    )
    assert one.connections == 2 and nb.everything() == before
