# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects where pinned pods leave: which gateways lead to a next hop, and what is left when gateways are away."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import CurrentRow, Owner
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies import pins
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.external_routes import (
    ExternalRoute,
    NextHop,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.model import Namespace
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.pin_planner import PinPlanner
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.pins import Gateway, Scope, Sources, Way
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.selectors import Selector

ONE = Gateway("one", ("100.64.0.2/16", "fd98::2/64"), ("10.55.0.1/24", "fd55::1/64"), ("10.55.0.254",), frozenset())
TWO = Gateway("two", ("100.64.0.3/16", "fd98::3/64"), ("10.55.0.2/24",), ("10.55.0.253",), frozenset())
FAR = Gateway("far", ("100.64.0.4/16", "fd98::4/64"), ("10.66.0.1/24",), (), frozenset())
ALL = {one.name: one for one in (ONE, TWO, FAR)}


def ways(*hops, gateways=None, **more):
    """The ways of an object with these next hops."""
    return pins.ways(ExternalRoute("out", "u", "", hops=hops, **more), ALL if gateways is None else gateways)


@pytest.mark.parametrize(
    ("hop", "expected"),
    [
        ("10.55.0.1", {Way(4, "one")}),
        ("10.66.0.1", {Way(4, "far")}),
        ("10.55.0.254", {Way(4, "one"), Way(4, "two", "10.55.0.254")}),
        ("10.55.0.9", {Way(4, "one", "10.55.0.9"), Way(4, "two", "10.55.0.9")}),
        ("fd55::9", {Way(6, "one", "fd55::9")}),
        ("10.77.0.1", set()),
        ("fd77::1", set()),
        ("192.168.1.3", set()),
        ("100.64.0.2", set()),
    ],
)
def test_who_leads_to_a_next_hop(hop, expected):
    """Protects administrators who name a gateway, its next hop, or another router of a physical network."""
    found = ways(NextHop(hop))
    assert set(found.ways) == expected and found.is_served == bool(expected)


def test_gateways_that_are_down():
    """Protects pods: of several gateways those that live; a single one stays the way, unless it is watched."""
    down = {**ALL, "one": ONE._replace(down=frozenset({4}))}
    assert {way.gateway for way in ways(NextHop("10.55.0.9"), gateways=down).ways} == {"two"}
    assert {way.gateway for way in ways(NextHop("10.55.0.1"), gateways=down).ways} == {"one"}
    found = ways(NextHop("10.55.0.1", True), gateways=down)
    assert found.ways == () and found.pinned == {4} and not found.is_served
    assert {way.gateway for way in ways(NextHop("fd55::1", True), gateways=down).ways} == {"one"}
    assert ways(NextHop("10.55.0.1"), gateways={}).pinned == {4}


def test_what_is_said():
    """Protects who reads the status: what is not watched, not pinned or not served is named, and all is bounded."""
    assert any("watches the gateway" in one for one in ways(NextHop("10.55.0.9", True)).messages)
    assert any("IPv6 is not pinned" in one for one in ways(NextHop("10.55.0.1")).messages)
    many = tuple(NextHop(f"10.77.0.{n}") for n in range(1, 17))
    assert len(ways(*many).messages) == pins.MESSAGES


def test_rows():
    """Protects the cluster's own traffic and the gateways': a policy takes only what default routes take."""
    sources = Sources({4: "$s4", 6: "$s6"})
    scope = Scope("namespace", "a")
    found = ways(NextHop("10.55.0.9"), NextHop("10.55.0.1"), NextHop("fd77::1"))
    rows = {(row.parent, row.role): row.columns for row in pins.rows(scope, sources, found, ALL)}
    cluster = rows["ovn_cluster_router", "pinned-4"]
    assert cluster["match"] == 'outport == "rtoj-ovn_cluster_router" && ip4.src == $s4 && ip4.dst != 100.64.0.0/16'
    assert (cluster["action"], cluster["nexthops"]) == ("reroute", ("100.64.0.2", "100.64.0.3"))
    nowhere = rows["ovn_cluster_router", "pinned-6"]
    assert (nowhere["action"], nowhere["nexthops"]) == ("drop", ())
    assert rows["GR_one", "way-4-one"]["nexthops"] == ("10.55.0.254", "10.55.0.9")
    assert rows["GR_two", "way-4-two"]["nexthops"] == ("10.55.0.9",)
    assert set(rows) == {
        ("ovn_cluster_router", "pinned-4"),
        ("ovn_cluster_router", "pinned-6"),
        ("GR_one", "way-4-one"),
        ("GR_two", "way-4-two"),
    }
    assert pins.PRIORITIES["namespace"] > pins.PRIORITIES["node"]


def test_the_pods_of_a_node_without_its_host():
    """Protects the host's own packets and the probes of gateways: they have the first addresses of the subnet."""
    texts = pins.sources_of_node(("192.168.1.0/24", "fd10::/64")).texts
    assert set(texts[4].strip("{}").split(", ")) == {
        "192.168.1.3/32",
        "192.168.1.4/30",
        "192.168.1.8/29",
        "192.168.1.16/28",
        "192.168.1.32/27",
        "192.168.1.64/26",
        "192.168.1.128/25",
    }
    assert "fd10::3/128" in texts[6] and "fd10::2/" not in texts[6]


def row(table, role, name="", **columns):
    """A row of gateway ``one``."""
    owner = Owner("Gateway", "one")
    external = {**owner.keys(role), **columns.pop("external_ids", {})}
    return CurrentRow(table, role, {"name": name, **columns, "external_ids": external}, {})


def test_a_gateway_in_the_database():
    """Protects from what somebody else may have written there: only addresses are used."""
    port = row("Logical_Router_Port", "router-to-join", networks=("100.64.0.2/16", "x"))
    texts = {"physical_ips": "10.55.0.1/24,x/y,10.9.9.9", "k8s.ovn.org/next-hops": "10.55.0.254,|| 1"}
    router = row("Logical_Router", "router", "GR_one", external_ids={**texts, "k8s.ovn.org/egress": "down IPv6"})
    found = pins.gateway([router, port])
    assert found == Gateway("one", ("100.64.0.2/16",), ("10.55.0.1/24",), ("10.55.0.254",), frozenset({6}))
    assert pins.gateway([router]) is None and pins.gateway([port]) is None


@pytest.mark.parametrize("hop", ["10.55.0.0", "10.55.0.255", "fd55::"])
def test_a_network_is_no_router(hop):
    """Protects packets from a next hop that no router has: the network's own address, and that of all in it."""
    assert not ways(NextHop(hop)).ways
    assert ONE.leads_to("fd55::ffff:ffff:ffff:ffff")
    pair = ONE._replace(physical_ips=("10.55.0.1/31",), next_hops=())
    assert pair.leads_to("10.55.0.0")


class PlannerOf:
    """A planner of these objects, with what it asks others for.

    :ivar marked: the scopes that were marked.
    """

    def __init__(self, monkeypatch, *routes):
        self.forms, self.marked, self.found = dict(ALL), [], []
        replica = SimpleNamespace(
            owned=lambda owner, _tables: owner.name, owners=lambda kind: sorted(self.forms) if kind == "Gateway" else []
        )
        monkeypatch.setattr(pins, "gateway", self.forms.get)
        reached = pins._reached
        monkeypatch.setattr(pins, "_reached", lambda *of: self.found.append(of[0].ip) or reached(*of))
        sets = SimpleNamespace(use=lambda *of: None, release=lambda *of: None)
        spaces = {one.name: Namespace(one.name, {"of": one.name}) for one in routes}
        status = SimpleNamespace(merge=lambda *of: None, forget=lambda *of: None)
        self.planner = PinPlanner(replica, {one.name: one for one in routes}, spaces, sets, lambda *of: None, status)
        self.planner.engine = SimpleNamespace(active=True, mark=lambda kind, name: self.marked.append(name))
        for one in routes:
            self.planner.route_changed(one.name, None, one)
        self.planner.begin()
        for one in routes:
            self.planner.done(f"namespace/{one.name}", [])
        self.marked.clear()
        self.found.clear()

    def change(self, name, **more):
        """Let a gateway change."""
        self.forms[name] = self.forms[name]._replace(**more)
        self.planner.row_changed(
            SimpleNamespace(owner=Owner("Gateway", name), table="Logical_Router", name=f"GR_{name}")
        )


def of_namespace(name, *hops):
    """An object for the namespace of its name."""
    selector = Selector.parse({"matchLabels": {"of": name}})
    return ExternalRoute(name, "u", "", namespaces=selector, hops=tuple(map(NextHop, hops)))


def test_a_gateway_costs_what_it_leads_to(monkeypatch):
    """Protects the watcher's loop from each mark of a gateway: objects to whose next hops it does not lead are not
    looked at, and a next hop that many objects name is looked for once."""
    near = [of_namespace(f"near{number}", "10.55.0.9", "10.55.0.10") for number in range(20)]
    made = PlannerOf(monkeypatch, *near, of_namespace("far", "10.66.0.7"))
    made.change("far", down=frozenset({4}))
    assert made.marked == ["namespace/far"] and made.found == []
    made.planner.done("namespace/far", [])
    assert made.found == ["10.66.0.7"]
    made.change("one", down=frozenset({4}))
    assert len(made.marked) == 21 and "namespace/far" not in made.marked[1:]
    for one in near:
        made.planner.done(f"namespace/{one.name}", [])
    assert sorted(made.found) == ["10.55.0.10", "10.55.0.9", "10.66.0.7"]
    made.change("one", join_ips=("100.99.0.2/16",))
    assert len(made.marked) == 21 + 21  # all policies name the join networks


def test_a_message_is_cut_before_it_is_compared(monkeypatch):
    """Protects the API server: a status whose messages are long is written once, since what is read back is cut too."""
    route = of_namespace("a", "10.66.0.7")._replace(faults=("x" * 5000,))
    made, told = PlannerOf(monkeypatch, route), []
    made.planner._status_writer.merge = lambda _path, _uid, body, says, _told: told.append((body, says))
    made.planner._tell("a")
    (body, says) = told[0]
    item = {"metadata": {"name": "a", "uid": "u"}, "spec": {}, "status": body}
    assert ExternalRoute.from_object(item).told == says
