# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects default routes against flapping, and the living against a master that is cut off."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import egress_rows
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.egress import EgressGateway
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.egress_health import (
    LONGEST_HOLD,
    QUIET,
    Liveness,
    Presence,
)

STEP = 0.3  # seconds of a round
HOUR = int(3600 / STEP)


def candidate(number):
    """A gateway of one family."""
    return EgressGateway(
        f"node{number}", (f"100.64.0.{number + 1}/16",), frozenset({4}), (f"100.64.255.{254 - number}",)
    )


ONE, TWO, THREE = GATEWAYS = [candidate(number) for number in (1, 2, 3)]
ALL = {address for gateway in GATEWAYS for address in gateway.all_ips()}


def silent(*gateways):
    """Replies when these gateways do not answer."""
    return dict.fromkeys(ALL - {address for gateway in gateways for address in gateway.all_ips()}, 1)


class Rounds:
    """Rounds of the real decision, with a clock of its own."""

    def __init__(self, gateways=GATEWAYS):
        self.liveness, self.gateways, self.now, self.changes = Liveness(), gateways, 0.0, 0

    def run(self, replies, seconds=STEP):
        """Rounds with the same replies; who carries traffic then."""
        for _round in range(max(int(seconds / STEP), 1)):
            old = self.liveness.selected
            self.liveness.take_in(self.gateways, replies, self.now)
            self.changes += sum(len(versions ^ self.liveness.selected[name]) for name, versions in old.items())
            self.now += STEP
        return {name for name, versions in self.liveness.selected.items() if versions}

    def until_back(self, replies, name, limit=2000.0):
        """The seconds of these replies until a gateway carries traffic."""
        began = self.now
        while name not in self.run(replies):
            assert self.now - began < limit
        return self.now - began


def test_a_dead_gateway_goes_within_a_second():
    """Protects pods' traffic: damping holds back returns, and no departure."""
    rounds = Rounds()
    for _time in range(5):
        rounds.until_back(silent(), "node1")
        assert rounds.run(silent(ONE), 3 * STEP) == {"node2", "node3"}


def test_it_returns_later_each_time():
    """Protects connections against a gateway that flaps; the first time it returns at once."""
    rounds = Rounds()
    waits = []
    for _time in range(11):
        rounds.run(silent(ONE), 2)
        waits.append(round(rounds.until_back(silent(), "node1")))
    assert waits == [1, 6, 11, 21, 41, 81, 161, 321, 601, 601, 601]


def test_a_hold_counts_seconds_of_answers_without_a_break():
    """Protects against a gateway that dies again before its time is over."""
    rounds = Rounds()
    for _time in range(4):
        rounds.run(silent(ONE), 2)
        rounds.until_back(silent(), "node1")
    rounds.run(silent(ONE), 2)
    before = rounds.changes
    for _time in range(20):
        assert "node1" not in rounds.run(silent(), 15)
        rounds.run(silent(ONE), 2)
    assert rounds.changes == before


def test_it_is_forgotten_after_a_quiet_time():
    """Protects a gateway that was mended: after half an hour it returns at once again."""
    rounds = Rounds()
    for _time in range(5):
        rounds.run(silent(ONE), 2)
        rounds.until_back(silent(), "node1")
    rounds.run(silent(), QUIET)
    rounds.run(silent(ONE), 2)
    assert rounds.until_back(silent(), "node1") < 2


def test_each_gateway_and_each_version_has_its_own_hold():
    """Protects a gateway that dies for the first time while another one flaps."""
    rounds = Rounds()
    for _time in range(6):
        rounds.run(silent(ONE), 2)
        rounds.until_back(silent(), "node1")
    rounds.run(silent(TWO), 2)
    assert rounds.until_back(silent(), "node2") < 2


def test_a_gateway_that_waits_is_better_than_none():
    """Protects egress: it is used at once when the others die."""
    rounds = Rounds()
    for _time in range(8):
        rounds.run(silent(ONE), 2)
        rounds.until_back(silent(), "node1")
    rounds.run(silent(ONE), 2)
    assert rounds.run(silent(), 3) == {"node2", "node3"}
    assert rounds.run(silent(TWO, THREE), 2) == {"node1"}


def test_a_gateway_that_did_not_have_to_wait_is_kept():
    """Protects connections through the only gateway that is left, though it has flapped: it lives when another one
    returns."""
    rounds = Rounds()
    for _time in range(8):
        rounds.run(silent(ONE), 2)
        rounds.until_back(silent(), "node1")
    rounds.run(silent(ONE), 2)
    rounds.run(silent(), 3)
    rounds.run(silent(TWO, THREE), 2)
    assert rounds.run(silent(), 3) == {"node1", "node2", "node3"}
    rounds.run(silent(ONE), 2)
    assert rounds.until_back(silent(), "node1") > 300  # it has flapped once more


def test_another_master_takes_over():
    """Protects connections from a gateway that goes and returns, when the master changes that has counted: the next one
    reads from the database how often it went, and forgets it at the same time. Their clocks began at other times."""
    first = Rounds()
    first.liveness = Liveness(epoch=1000.4)
    for _time in range(4):
        first.run(silent(ONE), 3)
        first.until_back(silent(), "node1")
    first.run(silent(ONE), 3)
    text = egress_rows.flaps_text(first.liveness.flaps("node1", first.now))
    assert text and text.startswith("IPv4 5 ") and first.liveness.flaps("node2", first.now) == {}
    second = Rounds([replace(ONE, down=frozenset({4}), flaps=egress_rows.parse_flaps(text)), TWO, THREE])
    second.liveness, second.now = Liveness(epoch=1000.4 + first.now), 0.0
    assert egress_rows.flaps_text(second.liveness.flaps("node1", 0.0)) is None
    second.run(silent(ONE))
    assert egress_rows.flaps_text(second.liveness.flaps("node1", second.now)) == text
    assert second.until_back(silent(), "node1") == pytest.approx(Presence(False, 5).hold, abs=1.5)
    assert second.liveness.flaps("node1", QUIET) == {}


@pytest.mark.parametrize("text", [None, "", "down", "IPv5 1 2", "IPv4 x 1", "IPv4 1", "IPv4 -1 2", "IPv4 1 2 3"])
def test_what_a_row_can_not_mean_is_no_flap(text):
    """Protects the program against rows that somebody has edited."""
    assert egress_rows.parse_flaps(text) == {}


def test_the_longest_hold_has_an_end():
    """Protects against numbers without end after years of flaps."""
    assert Presence(False, 10**6).hold == LONGEST_HOLD


def test_nobody_answers_and_all_stays():
    """Protects the living: a master that is cut off takes no gateway away, also not those that it lost first."""
    rounds = Rounds()
    rounds.run(silent(), 3)
    rounds.run(silent(ONE))  # one round earlier than the others
    assert rounds.run({}, 60) == {"node1", "node2", "node3"}
    # When it is back, they do not all answer in the same round.
    rounds.run(silent(TWO, THREE), 2 * STEP)
    assert rounds.run(silent(), 3) == {"node1", "node2", "node3"}
    assert rounds.changes == 0


def test_the_external_router_restarts_and_all_stays():
    """Protects the living: next hops that fall silent one after another are one router."""
    rounds = Rounds()
    rounds.run(silent(), 3)
    routers = dict.fromkeys([ip for gateway in GATEWAYS for ip in gateway.router_ips], 1)
    rounds.run({**routers, **dict.fromkeys((*TWO.probe_ips, *THREE.probe_ips), 1)})
    rounds.run(routers, 60)
    rounds.run({**routers, **dict.fromkeys(THREE.probe_ips, 1)}, 2 * STEP)
    assert rounds.run(silent(), 3) == {"node1", "node2", "node3"}
    assert rounds.changes == 0


@pytest.mark.parametrize(("loss", "most"), [(0.1, 24), (0.2, 40), (0.3, 40)])
def test_lost_echoes_change_few_routes(loss, most):
    """Protects connections on a lossy network: 10, 20, 30% of lost echoes made 24, 132, 444 changes an hour.

    Here each address is asked once in a round; the program asks again (TRIES).
    """
    chance, rounds = random.Random(1), Rounds([ONE, TWO])
    for _round in range(HOUR):
        rounds.run({address: 1 for address in sorted(ALL) if chance.random() >= loss or address in TWO.all_ips()})
    assert rounds.changes <= most
