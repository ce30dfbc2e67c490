# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what a lease is for: never do two nodes answer for an address, whatever is lost, late or dead."""

from __future__ import annotations

import copy
import itertools
import random

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._egress_ip import lease
from ansible_collections.ovn.kubernetes.plugins.module_utils._egress_ip.lease import Granter, Held, Holder

A = "203.0.113.5"
NODES = ("n1", "n2")


class Host:
    """A node: the holder's program, and the gate and flows of its Open vSwitch.

    A program that is frozen does nothing; the gate ends by itself.
    """

    def __init__(self, name, session):
        self.holder, self.gate, self.open = Holder(name, session), float("-inf"), frozenset()
        self.frozen = False

    def answers(self, now):
        return self.open if now < self.gate else frozenset()

    def take_in(self, answer, now):
        fresh = self.holder.take_in(answer, now)
        self.holder.guards(self.holder.offered)
        self.open = self.holder.allowed(now)
        if fresh and self.open:
            self.gate = now + lease.GATE + lease.EXPIRY

    def tick(self, now):
        if not self.frozen:
            self.open &= self.holder.allowed(now)


class World:
    """Two hosts, granters one after the other, messages on their way, and the database.

    Events come in any order; messages arrive late, twice or never.
    """

    def __init__(self):
        self.now = 0.0
        self.hosts = {name: Host(name, index) for index, name in enumerate(NODES)}
        self.database = {}
        self.granters, self.asks, self.answers = [], [], []
        self.lead()

    def lead(self):
        """Another granter begins to act; the former one goes on, and commits nothing."""
        self.granters.append(Granter(self.now, dict(self.database), len(self.granters) + 1))

    def ask(self, name):
        if not self.hosts[name].frozen:
            self.asks.append((name, self.hosts[name].holder.ask(self.now)))

    def deliver(self, index, granter, keep=False):
        name, request = self.asks[index] if keep else self.asks.pop(index)
        # The former one sees what was committed, or does not hear of it.
        answer = self.granters[granter].take_in(request, self.now)
        if answer:
            self.answers.append((name, answer))

    def answer(self, index, keep=False):
        name, answer = self.answers[index] if keep else self.answers.pop(index)
        if not self.hosts[name].frozen:
            self.hosts[name].take_in(answer, self.now)

    def decide(self, name):
        """The acting one commits another holder."""
        self.database[A] = Held(name, False)
        self.granters[-1].decided = dict(self.database)

    def settle(self):
        held = self.database.get(A)
        if held and self.granters[-1].is_free(A, held.node, self.now):
            self.database[A] = Held(held.node, True)
            self.granters[-1].decided = dict(self.database)

    def prove(self, granter):
        if granter == len(self.granters) - 1:  # the fence refuses all others
            self.granters[granter].proved(self.now)

    def exchange(self, name, granter):
        """A request and its answer, without delay."""
        self.ask(name)
        if self.asks and self.asks[-1][0] == name:
            count = len(self.answers)
            self.deliver(len(self.asks) - 1, granter)
            if len(self.answers) > count:
                self.answer(len(self.answers) - 1)

    def freeze(self, name):
        self.hosts[name].frozen = not self.hosts[name].frozen

    def restart(self, name):
        """The program is killed, and another one starts; the flows of before are still there."""
        old = self.hosts[name]
        self.hosts[name] = Host(name, random.Random(repr((self.now, name, old.holder._number))).getrandbits(60))
        self.hosts[name].gate, self.hosts[name].open = old.gate, old.open

    def wait(self, seconds):
        self.now += seconds
        for host in self.hosts.values():
            host.tick(self.now)

    def check(self):
        who = [name for name, host in self.hosts.items() if A in host.answers(self.now)]
        assert len(who) < 2, f"at {self.now:.2f} {who} answer"
        return who

    def copy(self):
        """The same world again: what is never changed in place is shared."""
        new = copy.copy(self)
        new.database, new.asks, new.answers = dict(self.database), list(self.asks), list(self.answers)
        new.hosts = {name: copy.copy(host) for name, host in self.hosts.items()}
        for host in new.hosts.values():
            host.holder = copy.copy(host.holder)
            host.holder._asked = dict(host.holder._asked)
        new.granters = [copy.copy(one) for one in self.granters]
        for one in new.granters:
            one._busy = dict(one._busy)
            one._nodes = {name: copy.copy(node) for name, node in one._nodes.items()}
        return new

    def moves(self):
        """All events that are possible now."""
        yield from (("wait", seconds) for seconds in (0.1, 0.9))
        yield from ((event, name) for event in ("ask", "decide", "freeze", "restart") for name in NODES)
        yield from (("deliver", 0, granter) for granter in range(len(self.granters)) if self.asks)
        if self.answers:
            yield ("answer", 0)
        yield from (("prove", granter) for granter in range(len(self.granters)))
        yield ("settle",)
        if len(self.granters) < 2:
            yield ("lead",)

    def do(self, event):
        getattr(self, event[0])(*event[1:])


def started(holder="n1"):
    """A world in which a node holds the address."""
    world = World()
    world.decide(holder)
    world.wait(lease.PROOF + lease.HOLD)
    world.prove(0)
    for name in (*NODES, holder, holder):  # the first answer tells the granter's term
        world.ask(name)
        world.deliver(0, 0)
        world.answer(0)
    assert world.check() == [holder]
    world.settle()
    return world


def key(world):
    """What of a world decides what can happen: times are relative, and sorted out in steps of the clock."""

    def ago(time):
        return max(round(time - world.now, 2), -9.0)

    hosts = tuple(
        (
            ago(one.gate),
            one.open,
            one.frozen,
            one.holder.granted,
            one.holder.offered,
            one.holder._guarded,
            ago(one.holder.until),
            one.holder._term,
            one.holder._is_sure,
        )
        for one in world.hosts.values()
    )
    granters = tuple(
        (
            ago(one.authority),
            ago(one.alone_from),
            tuple((address, busy.node, ago(busy.until)) for address, busy in sorted(one._busy.items())),
            tuple(sorted(one.decided.items())),
        )
        for one in world.granters
    )
    asks = tuple((name, one.guarded, one.is_sure, one.term) for name, one in world.asks)
    answers = tuple((name, one.granted, one.term) for name, one in world.answers)
    return hosts, granters, asks, answers, tuple(sorted(world.database.items()))


def test_all_orders_of_events():
    """Protects against two holders in each order of up to five events from a node that holds: asks, answers that are
    late, programs that are killed or stand still, another holder decided, another granter, proofs, and time."""
    front, seen = [started()], set()
    for _depth in range(5):
        following = []
        for world in front:
            for event in list(world.moves()):
                new = world.copy()
                new.do(event)
                new.check()
                one = key(new)
                if one not in seen:
                    seen.add(one)
                    following.append(new)
        front = following
    assert len(seen) > 1000


def run(seed, steps=3000):
    """A long random run; how often somebody held the address."""
    luck, world, held = random.Random(seed), started(), 0
    for step in range(steps):
        kind = luck.random()
        if step % 300 == 299:
            world.lead()
        elif luck.random() < 0.4:
            world.exchange(luck.choice(NODES), luck.choice((-1, -1, luck.randrange(len(world.granters)))))
        elif kind < 0.35:
            world.wait(luck.choice((0.02, 0.05, 0.15, 0.15, 0.3)))
        elif kind < 0.6:
            world.ask(luck.choice(NODES))
        elif kind < 0.8 and world.asks:
            index = luck.choice((0, 0, 0, luck.randrange(len(world.asks))))
            world.deliver(index, luck.choice((-1, -1, -1, luck.randrange(len(world.granters)))), luck.random() < 0.1)
        elif kind < 0.95 and world.answers:
            world.answer(luck.choice((0, 0, luck.randrange(len(world.answers)))), luck.random() < 0.1)
        elif kind < 0.96:
            world.decide(luck.choice(NODES))
        elif kind < (0.965 if not any(host.frozen for host in world.hosts.values()) else 0.97):
            luck.choice((world.restart, world.freeze))(luck.choice(NODES))
        else:
            world.prove(luck.randrange(len(world.granters)))
            world.settle()
        world.asks, world.answers = world.asks[-40:], world.answers[-40:]
        held += bool(world.check())
    return held


def test_long_runs():
    """Protects against two holders in long random runs, with messages that come twice and out of order, and with one
    granter after the other; and that somebody does hold the address in them."""
    assert sum(run(seed) for seed in range(40)) > 10_000


def test_runs_find_a_granter_that_waits_too_short(monkeypatch):
    """Protects the runs themselves: a granter that waits for less than a holder answers is found."""
    monkeypatch.setattr(lease, "HOLD", 0.3)
    with pytest.raises(AssertionError, match="answer"):
        for seed in range(40):
            run(seed)


def test_runs_find_a_new_granter_that_does_not_wait(monkeypatch):
    """Protects the runs themselves: one that begins to act, and forgets the former one, is found."""
    lead = World.lead

    def at_once(world):
        lead(world)
        world.granters[-1].alone_from = world.now

    monkeypatch.setattr(World, "lead", at_once)
    with pytest.raises(AssertionError, match="answer"):
        for seed in range(40):
            run(seed)


def test_killed_holder_is_followed_in_time():
    """Protects the aim for a killed node: another one may answer HOLD after the last answer, at once after it."""
    world = started()
    last = world.now
    world.decide("n2")
    while not world.check() or world.check() == ["n1"]:
        world.prove(0)
        world.ask("n2")
        world.deliver(len(world.asks) - 1, 0)
        if world.answers:
            world.answer(0)
        world.wait(lease.ASK)
        assert world.now - last < 2.2
    assert world.check() == ["n2"]
    assert lease.HOLD < 2


def test_holder_that_gives_up_is_followed_at_once():
    """Protects planned moves: a holder that has closed releases the address; nobody waits for the end of a lease."""
    world = started()
    world.decide("n2")
    began = world.now
    for _ in range(3):
        for name in NODES:
            world.ask(name)
            world.deliver(0, 0)
            world.answer(0)
        world.wait(lease.ASK)
    assert world.check() == ["n2"] and world.now - began < 0.6


def test_requests_that_come_late_release_nothing():
    """Protects against a request that was on its way for long: it says what a holder did before."""
    granter = Granter(0.0, {})
    granter.decided = {A: Held("n1", False)}
    now = lease.PROOF + lease.HOLD
    granter.proved(now)
    holder = Holder("n1", 1)
    early = holder.ask(now)
    holder.guards({A})
    assert granter.take_in(holder.ask(now), now).granted == {A}
    assert granter.take_in(early, now) is None
    assert not granter.is_free(A, "n2", now + 1)


def test_former_sessions_say_nothing():
    """Protects against messages of a program that was replaced."""
    granter = Granter(0.0, {})
    old, new = Holder("n1", 1), Holder("n1", 2)
    requests = [old.ask(0.0), new.ask(0.0), old.ask(0.0)]
    granter.proved(0.0)
    assert [granter.take_in(one, 0.0) is not None for one in requests] == [True, True, False]


def test_who_begins_to_act_moves_nothing_until_the_former_one_can_grant_no_more():
    """Protects changes of the acting master: what is settled is renewed at once, all else waits."""
    granter = Granter(100.0, {A: Held("n1", True), "203.0.113.6": Held("n1", False)})
    granter.proved(100.0)
    assert granter.is_free(A, "n1", 100.0) and not granter.is_free("203.0.113.6", "n1", 100.0)
    assert not granter.is_free(A, "n2", 100.0 + lease.PROOF + lease.HOLD - 0.01)
    assert granter.is_free(A, "n2", 100.0 + lease.PROOF + lease.HOLD)


def test_no_grant_without_authority():
    """Protects against a granter that is cut off from the database: its word ends."""
    granter = Granter(0.0, {A: Held("n1", True)})
    holder = Holder("n1", 1)
    holder.guards({A})
    assert granter.take_in(holder.ask(0.0), 0.0) is None
    granter.proved(0.0)
    assert granter.take_in(holder.ask(1.0), 1.0).granted == {A}
    assert granter.take_in(holder.ask(lease.PROOF), lease.PROOF) is None


@pytest.mark.parametrize("late", [lease.FRESH, 0.5, 5.0])
def test_late_answers_renew_nothing(late):
    """Protects against an answer that was on its way for long: the granter's time began earlier."""
    granter = Granter(0.0, {A: Held("n1", True)})
    granter.proved(0.0)
    holder = Holder("n1", 1)
    holder.guards({A})
    answer = granter.take_in(holder.ask(0.0), 0.0)
    assert not holder.take_in(answer, late) and not holder.allowed(late)


def test_messages_have_room():
    """Protects nodes with many addresses: as many are offered as fit."""
    granter = Granter(0.0, {f"203.0.{one // 250}.{one % 250 + 1}": Held("n1", True) for one in range(300)})
    assert len(granter.offered("n1")) == lease.MOST_OF_NODE
    assert list(itertools.islice(granter.offered("n2"), 1)) == []


def test_a_request_of_another_granters_time_says_nothing():
    """Protects a node from whoever sends its requests of before again, which anybody on the underlay can read: the node
    itself is answered all the time, and the granter learns nothing from them."""
    old = Holder("n1", 111)
    former = Granter(0.0, {A: Held("n1", True)}, 1)
    former.proved(0.0)
    for now in (0.0, 0.1):
        captured = old.ask(now)
        old.take_in(former.take_in(captured, now), now)
    granter, new = Granter(20.0, {A: Held("n1", True)}, 2), Holder("n1", 222)
    granter.proved(20.0)
    again = granter.take_in(captured, 20.0)
    assert again.term == 2 and not again.offered and not again.granted and granter.is_silent("n1", 20.0)
    new.guards({A})
    for now in (20.0, 20.15, 20.3):
        assert new.take_in(granter.take_in(new.ask(now), now), now) == (now > 20.0)
        granter.take_in(captured, now)
    assert new.allowed(20.3) == {A}


def test_the_last_sessions_are_remembered():
    """Protects against messages of programs that have ended: of many it is the last ones that are known as such."""
    granter = Granter(0.0, {})
    granter.proved(0.0)
    luck = random.Random(1)
    sessions = [luck.getrandbits(63) for _ in range(3 * lease.MOST_FORMER)]
    for one in sessions:
        granter.take_in(Holder("n1", one).ask(0.0), 0.0)
    for one in sessions[-lease.MOST_FORMER - 1 : -1]:
        assert granter.take_in(lease.Request("n1", one, 9, frozenset()), 0.0) is None


def test_holder_that_is_not_answered_begins_another_session():
    """Protects a program that the granter takes for one that has ended: it is heard again after some seconds."""
    granter, first, second = Granter(0.0, {}), Holder("n1", 1), Holder("n1", 7)
    granter.proved(0.0)
    for one in (first, second):
        one.take_in(granter.take_in(one.ask(0.0), 0.0), 0.0)
    assert granter.take_in(first.ask(1.0), 1.0) is None
    assert granter.take_in(first.ask(lease.ANEW - 1), 1.0) is None
    granter.proved(lease.ANEW)
    assert granter.take_in(first.ask(lease.ANEW), lease.ANEW) is not None


def test_first_granter_of_all_waits_for_nobody():
    """Protects the start of a cluster: where nobody has ever acted, nothing can be granted by another one."""
    granter = Granter(100.0, {A: Held("n1", False)}, is_first=True)
    assert granter.is_free(A, "n1", 100.0)


def test_a_request_costs_what_its_node_holds(monkeypatch):
    """Protects the granter's one thread: what other nodes hold is not looked at, neither in a request nor in its
    release."""
    decided = {f"10.{node}.0.{one}": Held(f"n{node}", True) for node in range(50) for one in range(1, 61)}
    granter = Granter(0.0, decided, is_first=True)
    granter.proved(0.0)
    holders = [Holder(f"n{node}", node) for node in range(50)]
    for one in holders:
        for _ in range(2):
            one.take_in(granter.take_in(one.ask(0.0), 0.0), 0.0)
            one.guards(one.offered)
    looked = []
    is_free = Granter.is_free
    monkeypatch.setattr(Granter, "is_free", lambda *of: looked.append(of) or is_free(*of))

    class Whole(dict):
        """What must not be gone through."""

        def __iter__(self):
            raise AssertionError("all addresses are gone through")

        items = keys = values = __iter__

    granter._decided, granter._busy = Whole(granter._decided), Whole(granter._busy)
    answer = granter.take_in(holders[3].ask(0.1), 0.1)
    assert len(answer.granted) == 60 and len(looked) == 60
    holders[3].guards(())
    assert not granter.take_in(holders[3].ask(0.2), 0.2).granted
