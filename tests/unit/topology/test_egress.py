# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects default traffic (W10): it leaves a gateway that is dead, it comes back, and it never has nowhere to go."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._programs.egress import (
    BEGIN_AFTER,
    BEGIN_WITHOUT_HOPS,
    Round,
    log_changes,
    main,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs.egress_metrics import (
    ELSEWHERE,
    FAMILIES,
    OF_CLUSTER,
    EgressMetrics,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import gateway
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.egress import (
    Egress,
    EgressGateway,
    Selected,
    egress_gateways,
    parse_down_mark,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.egress_health import (
    ALIVE_AFTER,
    DEAD_AFTER,
    Health,
    judge,
    select,
)

JOINS = ("100.64.0.0/16", "fd98::/64")


def gateway_rows(number, dual=True, hops=True):
    """The rows of a gateway."""
    made = gateway.Gateway(
        f"node{number}",
        ("192.168.0.0/16", "fd10::/48")[: 1 + dual],
        (f"10.55.0.{number}/24", f"fd55::{number}/64")[: 1 + dual],
        ("10.55.0.254", "fd55::fe")[: 1 + dual] if hops else (),
        "breth1",
        f"id-{number}",
        "52:54:00:00:00:01",
    )
    return gateway.rows(made, gateway.Place(JOINS[: 1 + dual], number + 1))


def candidate(number, versions=(4,)):
    """A gateway for Egress."""
    return EgressGateway(
        f"node{number}",
        (f"100.64.0.{number + 1}/16", f"fd98::{number + 1}/64"),
        frozenset(versions),
        tuple({4: f"100.64.255.{254 - number}", 6: f"fd98::{0xFFFE - number:x}"}[version] for version in versions),
    )


def through(gateways, silent=(), unanswered=()):
    """Name -> families, when these addresses do not answer, and those have never answered yet."""
    addresses = {address for one in gateways for address in (*one.router_ips, *one.probe_ips)}
    health = {
        address: Health(address not in silent, answered=address not in silent and address not in unanswered)
        for address in addresses
    }
    return {name: set(versions) for name, versions in select(gateways, health).items()}


def routes(egress):
    """(gateway, next hop) of the routes wanted."""
    return [
        (row.owner.name, row.columns["nexthop"])
        for row in egress.rows([], {}, {})
        if row.table == "Logical_Router_Static_Route"
    ]


def marks(egress):
    """Gateway -> its mark."""
    return {
        row.owner.name: row.columns["external_ids"]["k8s.ovn.org/egress"]
        for row in egress.rows([], {}, {})
        if row.table == "Logical_Router"
    }


def after(health, answers):
    """Health after several probes."""
    for answered in answers:
        health = health.after(answered)
    return health


def test_one_lost_answer_is_not_a_death():
    """Protects connections against a route that flaps: it takes DEAD_AFTER failed probes in a row to go.

    It takes as many answers to come back.
    """
    assert (DEAD_AFTER, ALIVE_AFTER) == (3, 3)
    assert after(Health(), [False] * (DEAD_AFTER - 1)).alive
    assert after(Health(), [False] * DEAD_AFTER) == Health(False)
    assert after(Health(), [False, False, True] * 10) == Health(answered=True)
    assert not after(Health(False), [True] * (ALIVE_AFTER - 1)).alive
    assert after(Health(False), [True] * ALIVE_AFTER) == Health(answered=True)
    assert not after(Health(False), [True, True, False] * 10).alive


ONE, TWO, THREE = (candidate(number, (4, 6)) for number in (1, 2, 3))
HOP1, HOP2 = ONE.probe_ip(4), TWO.probe_ip(4)
BOTH = {4, 6}


@pytest.mark.parametrize(
    ("silent", "unanswered", "expected"),
    [
        ((), (), (BOTH, BOTH)),
        ((*ONE.router_ips, *ONE.probe_ips), (), (set(), BOTH)),  # it is dead
        ((HOP1,), (), ({6}, BOTH)),  # its IPv4 next hop is away
        (ONE.probe_ips, (), (set(), BOTH)),  # its uplink is away
        ((ONE.router_ips[1], ONE.probe_ip(6)), (), ({4}, BOTH)),  # one answer of the router is enough
        ((HOP1, HOP2), (), (BOTH, BOTH)),  # next hops that answer no echo say nothing
        ((HOP1, HOP2, *ONE.router_ips), (), (set(), BOTH)),  # then it is the routers that count
        ((HOP1,), (HOP2,), (BOTH, BOTH)),  # nor does one that was not heard yet
        (
            (*ONE.router_ips, *ONE.probe_ips, *TWO.router_ips, *TWO.probe_ips),
            (),
            (BOTH, BOTH),
        ),  # whoever asks is cut off
    ],
)
def test_which_gateways_lead_outside(silent, unanswered, expected):
    """Protects pods' traffic against dead gateways, lost uplinks, and a faulty liveness check that cuts all off."""
    assert through((ONE, TWO), silent, unanswered) == dict(zip(("node1", "node2"), expected))


def test_the_only_one_with_a_way_out_stays():
    """Protects egress: a gateway without a way out is not one that is left, in either family."""
    gateways = (candidate(1, (4,)), candidate(2, (6,)), candidate(3, ()))
    dead = [*gateways[0].router_ips, *gateways[0].probe_ips]
    assert through(gateways, dead) == {"node1": {4}, "node2": {6}, "node3": set()}


def test_a_next_hop_that_can_not_be_asked_is_believed():
    """Protects gateways whose next hop has a link local address, or that are as an earlier release made them."""
    plain = EgressGateway("node9", ("100.64.0.10/16",), frozenset({4}))
    assert through((plain, ONE)) == {"node9": {4}, "node1": BOTH}


def test_what_is_taken_away_is_marked():
    """Protects pods' traffic; the mark tells modules, and says which family."""
    egress = Egress(
        (Selected(ONE, frozenset({4})), Selected(candidate(2), frozenset()), Selected(THREE, frozenset({4, 6})))
    )
    assert routes(egress) == [("node1", "100.64.0.2"), ("node3", "100.64.0.4"), ("node3", "fd98::4")]
    assert marks(egress) == {"node1": "down IPv6", "node2": "down", "node3": None}
    assert [sorted(parse_down_mark(text)) for text in (None, "down", "down IPv4", "down IPv6")] == [
        [],
        [4, 6],
        [4],
        [6],
    ]


def test_the_routes_are_those_that_modules_make():
    """Protects against two writers that undo each other: module and liveness check want the same rows."""
    (egress_row,) = [row for row in gateway_rows(1, dual=False) if row.role == "egress-4"]
    assert (
        Egress((Selected(EgressGateway("node1", ("100.64.0.2/16",), frozenset({4})), frozenset({4})),)).rows(
            [], {}, {}
        )[1]
        == egress_row
    )


def test_candidates_are_read_from_the_database(as_current):
    """Protects the start of the check: gateways, addresses, families and marks are found among any other rows."""
    found = egress_gateways(as_current(gateway_rows(1) + gateway_rows(2, dual=False) + gateway_rows(3, hops=False)))
    assert found == [
        EgressGateway(
            "node1",
            ("100.64.0.2/16", "fd98::2/64"),
            frozenset({4, 6}),
            ("100.64.255.253", "fd98::ffff:ffff:ffff:fffd"),
        ),
        EgressGateway("node2", ("100.64.0.3/16",), frozenset({4}), ("100.64.255.252",)),
        EgressGateway("node3", ("100.64.0.4/16", "fd98::4/64"), frozenset()),
    ]


def test_a_gateway_on_its_way_in_is_no_candidate(as_current):
    """Protects against half a gateway."""
    assert egress_gateways(as_current([row for row in gateway_rows(1) if row.role != "router-to-join"])) == []


def test_only_default_routes_of_known_gateways_are_touched(as_current):
    """Protects a gateway that a module makes at this moment, and every other route."""
    own = as_current([row for row in gateway_rows(1) + gateway_rows(2) if row.table == "Logical_Router_Static_Route"])
    mine = Egress((Selected(candidate(1), frozenset({4})),)).owned_rows(own, {})
    assert sorted((row.external_id("k8s.ovn.org/name"), row.role) for row in mine) == [
        ("node1", "egress-4"),
        ("node1", "egress-6"),
    ]


def test_the_verdict_survives_a_restart():
    """Protects against a dead gateway that gets its route back whenever the check starts.

    The mark in the database is the state.
    """
    answers = dict.fromkeys((*ONE.router_ips, *ONE.probe_ips), True)
    for down, expected in (({4, 6}, set()), ({6}, {4}), (set(), BOTH)):
        found = (replace(ONE, down=frozenset(down)), TWO)
        health = judge(found, {}, {**answers, **dict.fromkeys((*TWO.router_ips, *TWO.probe_ips), True)})
        assert select((ONE, TWO), health)["node1"] == expected
    assert all(one.alive for one in judge([ONE], {}, {}).values())


def test_whoever_reads_the_journal_learns_what_is_away(caplog):
    """Protects operators: a gateway that is dead, and one whose next hop is."""
    health = {
        address: Health(address not in (HOP1, *TWO.router_ips))
        for one in (ONE, TWO)
        for address in (*one.router_ips, *one.probe_ips)
    }
    whole = {"node1": frozenset({4, 6}), "node2": frozenset({4, 6})}
    log_changes((ONE, TWO), health, whole, {"node1": frozenset({6}), "node2": frozenset({4})})
    log_changes((ONE, TWO), health, {"node1": frozenset()}, {"node1": frozenset({4})})
    assert caplog.messages == [
        "gateway node1: its next hop does not answer: its IPv4 default route goes",
        "gateway node2: it does not answer: its IPv6 default route goes",
        "gateway node1 answers again: its IPv4 default route returns",
    ]


PLAIN = (candidate(1), candidate(2))


def replies(*silent, tries=1):
    """Answers of all addresses of PLAIN but those of these gateways."""
    return {address: tries for one in PLAIN if one not in silent for address in one.all_ips()}


def carriers(egress):
    """Who carries traffic then."""
    return {gateway.name for gateway, versions, _flaps in egress.gateways if versions}


def test_the_first_slots_wait_for_gateways_that_have_not_answered_yet():
    """Protects new clusters: a gateway that answers a moment after the others would have no pods until a rebalance."""
    rounds = Round(EgressMetrics())
    assert not rounds.desired(PLAIN, replies(PLAIN[0]), 0.0).begins
    assert rounds.desired(PLAIN, replies(), 0.3).begins
    rounds.forget()
    hops = dict.fromkeys([ip for one in PLAIN for ip in one.probe_ips], 0)
    assert not rounds.desired(PLAIN, {**replies(), **hops}, 50.0).begins
    assert rounds.desired(PLAIN, {**replies(), **hops}, 50.0 + BEGIN_WITHOUT_HOPS).begins  # they drop echoes
    rounds.forget()
    assert not rounds.desired(PLAIN, replies(PLAIN[0]), 100.0).begins
    assert not rounds.desired(PLAIN, replies(PLAIN[0]), 100.0 + BEGIN_WITHOUT_HOPS).begins
    assert rounds.desired(PLAIN, replies(PLAIN[0]), 100.0 + BEGIN_AFTER).begins


def test_the_first_gateways_of_a_program_that_has_run_for_long():
    """Protects new clusters: the program runs before the gateways' rows come, and routers of new hosts answer one
    after another."""
    rounds = Round(EgressMetrics())
    assert rounds.desired([], {}, 0.0).gateways == ()
    begins = [rounds.desired(PLAIN, {}, now).begins for now in (900.0, 900.0 + BEGIN_WITHOUT_HOPS)]  # nobody yet
    now = 900.0 + BEGIN_WITHOUT_HOPS
    for _round in range(DEAD_AFTER):
        now += 0.3
        begins.append(rounds.desired(PLAIN, replies(PLAIN[0]), now).begins)
    for _round in range(ALIVE_AFTER - 1):  # it was taken for dead meanwhile
        now += 0.3
        begins.append(rounds.desired(PLAIN, replies(), now).begins)
    assert not any(begins)
    egress = rounds.desired(PLAIN, replies(), now + 0.3)
    assert egress.begins and carriers(egress) == {one.name for one in PLAIN}


def test_whoever_reads_the_journal_learns_why_a_gateway_waits(caplog):
    """Protects operators: a gateway that answers and carries nothing has a reason."""
    rounds, now = Round(EgressMetrics()), 0.0
    for _flap in range(3):
        for silent, some in ((PLAIN[:1], 3), ((), 3), ((), 40)):
            for _round in range(some):
                now += 0.3
                egress = rounds.desired(PLAIN, replies(*silent), now)
    assert carriers(egress) == {"node1", "node2"}
    assert [line for line in caplog.messages if "times" in line] == [
        f"gateway node1 answers again: its IPv4 default route returns after {seconds} s of answers, since it went "
        f"{number} times"
        for number, seconds in ((2, 5), (3, 10))
    ]


def test_loss_and_flaps_are_measured():
    """Protects operators: a network that loses echoes, and a gateway that flaps, show before they hurt."""
    metrics = EgressMetrics()
    rounds, now = Round(metrics), 0.0
    gateways = (replace(PLAIN[0], slots={4: 256}), PLAIN[1])
    for silent, tries, some in (((), 1, 10), ((), 3, 1), (gateways[1:], 1, 4), ((), 1, 5)):
        for _round in range(some):
            now += 0.3
            answers = {address: tries for one in gateways if one not in silent for address in one.all_ips()}
            rounds.desired(gateways, answers, now)
    values = {(name.removeprefix("ovn_k8s_egress_"), *labels): value for name, labels, value in metrics.samples()}
    assert values["gateway_slots", "node1", "IPv4"] == 256
    assert values["gateway_carries_traffic", "node2", "IPv4"] == 1
    assert values["gateway_flaps", "node2", "IPv4"] == values["gateway_departures", "node2", "IPv4"] == 1
    assert values["gateway_flaps", "node1", "IPv4"] == 0
    assert values["echoes_sent", "node1", "IPv4", "next hop"] == 10 + 3 + 4 + 5
    assert values["echoes_lost", "node1", "IPv4", "next hop"] == 2
    assert values["echoes_lost", "node2", "IPv4", "next hop"] == 2 + 4 * 3
    assert {family.name for family in metrics.collect()} == {*FAMILIES, *OF_CLUSTER}
    metrics.take_in_bindings(2)
    assert (ELSEWHERE, (), 2.0) in metrics.samples()
    rounds.forget()
    assert list(metrics.samples()) == []


@pytest.mark.parametrize("missing", ["icmplib", "systemd"])
def test_a_library_that_is_missing_on_a_master(monkeypatch, caplog, missing):
    """Protects whoever reads the journal: the sentence names the package, where a traceback was."""
    monkeypatch.setitem(sys.modules, "icmplib", sys)  # this one is there
    for module in {"icmplib": ("icmplib",), "systemd": ("systemd", "systemd.daemon")}[missing]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setenv("NOTIFY_SOCKET", "/nonexistent")
    assert main(["--northbound", "unix:/nonexistent"]) == 1
    assert caplog.messages == [f"the Python library '{missing}' is missing on this host: install python3-{missing}"]
