# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects default traffic (W10): it leaves a gateway that is dead, it comes back, and it never has nowhere to go."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils.desired import gateway
from ansible_collections.ovn.kubernetes.plugins.module_utils.desired.egress import ALIVE_AFTER, DEAD_AFTER, Candidate, Egress, Health, candidates
from ansible_collections.ovn.kubernetes.plugins.module_utils.programs.egress import judge

JOINS = ("100.64.0.0/16", "fd98::/64")


def gateway_rows(number, dual=True, hops=True, alive=True):
    """The rows of a gateway."""
    made = gateway.Gateway(
        f"node{number}", ("192.168.0.0/16", "fd10::/48")[:1 + dual], (f"10.55.0.{number}/24", f"fd55::{number}/64")[:1 + dual],
        ("10.55.0.254", "fd55::fe")[:1 + dual] if hops else (), "breth1", f"id-{number}", "52:54:00:00:00:01")
    return gateway.rows(made, JOINS[:1 + dual], number + 1, alive)


def candidate(number, versions=(4,)):
    """A gateway for Egress."""
    return Candidate(f"node{number}", (f"100.64.0.{number + 1}/16", f"fd98::{number + 1}/64"), frozenset(versions))


def routes(egress):
    """(gateway, next hop) of the routes wanted."""
    return [(row.owner.name, row.columns["nexthop"]) for row in egress.rows([], {}, {}) if row.table == "Logical_Router_Static_Route"]


def marks(egress):
    """Gateway -> its mark."""
    return {row.owner.name: row.columns["external_ids"]["k8s.ovn.org/egress"] for row in egress.rows([], {}, {}) if row.table == "Logical_Router"}


def after(health, answers):
    """Health after several probes."""
    for answered in answers:
        health = health.after(answered)
    return health


def test_one_lost_answer_is_not_a_death():
    """Protects connections against a route that flaps: it takes DEAD_AFTER probes in a row, and as many answers to come back."""
    assert (DEAD_AFTER, ALIVE_AFTER) == (3, 3)
    assert after(Health(), [False] * (DEAD_AFTER - 1)).alive
    assert after(Health(), [False] * DEAD_AFTER) == Health(False)
    assert after(Health(), [False, False, True] * 10).alive
    assert not after(Health(False), [True] * (ALIVE_AFTER - 1)).alive
    assert after(Health(False), [True] * ALIVE_AFTER) == Health(True)
    assert not after(Health(False), [True, True, False] * 10).alive


def test_a_gateway_that_is_dead_loses_its_route():
    """Protects pods' traffic; the mark tells modules."""
    egress = Egress(((candidate(1), True), (candidate(2), False)))
    assert routes(egress) == [("node1", "100.64.0.2")]
    assert marks(egress) == {"node1": None, "node2": "down"}


def test_the_last_route_is_never_taken():
    """Protects against a liveness check that cuts everything off when it is itself what fails."""
    egress = Egress(((candidate(1), False), (candidate(2), False)))
    assert routes(egress) == [("node1", "100.64.0.2"), ("node2", "100.64.0.3")]
    assert marks(egress) == {"node1": None, "node2": None}
    assert routes(Egress(((candidate(1), False),))) == [("node1", "100.64.0.2")]
    # A gateway without a way out is not one that is left.
    assert routes(Egress(((candidate(1), False), (candidate(2, ()), True)))) == [("node1", "100.64.0.2")]


def test_each_family_that_has_a_way_out():
    """Protects against a default route into a gateway without one."""
    assert routes(Egress(((candidate(1, (4, 6)), True), (candidate(2, (6,)), True), (candidate(3, ()), True)))) == [
        ("node1", "100.64.0.2"), ("node1", "fd98::2"), ("node2", "fd98::3")]


def test_the_routes_are_those_that_modules_make():
    """Protects against two writers that undo each other: module and liveness check want the same rows."""
    (egress_row,) = [row for row in gateway_rows(1, dual=False) if row.role == "egress-4"]
    assert Egress(((Candidate("node1", ("100.64.0.2/16",), frozenset({4})), True),)).rows([], {}, {})[1] == egress_row


def test_candidates_are_read_from_the_database(as_found):
    """Protects the start of the check: gateways, addresses, families and marks are found in rows, whatever else is there."""
    found = candidates(as_found(gateway_rows(1) + gateway_rows(2, dual=False) + gateway_rows(3, hops=False)))
    assert found == {
        "node1": (Candidate("node1", ("100.64.0.2/16", "fd98::2/64"), frozenset({4, 6})), False),
        "node2": (Candidate("node2", ("100.64.0.3/16",), frozenset({4})), False),
        "node3": (Candidate("node3", ("100.64.0.4/16", "fd98::4/64"), frozenset()), False)}


def test_a_gateway_on_its_way_in_is_no_candidate(as_found):
    """Protects against half a gateway."""
    assert candidates(as_found([row for row in gateway_rows(1) if row.role != "router-to-join"])) == {}


def test_only_default_routes_of_known_gateways_are_touched(as_found):
    """Protects a gateway that a module makes at this moment, and every other route."""
    own = as_found([row for row in gateway_rows(1) + gateway_rows(2) if row.table == "Logical_Router_Static_Route"])
    mine = Egress(((candidate(1), True),)).mine(own, {})
    assert sorted((row.key("k8s.ovn.org/name"), row.role()) for row in mine) == [("node1", "egress-4"), ("node1", "egress-6")]


@pytest.mark.parametrize(("answers", "alive"), [
    ({"100.64.0.2": True, "fd98::2": False}, True), ({"100.64.0.2": False, "fd98::2": True}, True),
    ({"100.64.0.2": False, "fd98::2": False}, False), ({}, False)])
def test_one_family_that_answers_is_enough(answers, alive):
    """Protects dual stack gateways against the loss of one family's probe."""
    found, health = {"node1": (candidate(1), False)}, {}
    for _probe in range(DEAD_AFTER):
        health = judge(found, health, answers)
    assert health["node1"].alive == alive


def test_the_verdict_survives_a_restart():
    """Protects against a dead gateway that gets its route back whenever the check starts: the mark in the database is the state."""
    assert not judge({"node1": (candidate(1), True)}, {}, {"100.64.0.2": True})["node1"].alive
    assert judge({"node1": (candidate(1), False)}, {}, {})["node1"].alive
