# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what a granter makes of what a node says of itself: what it has closed for sure, and what it can't guard."""

from __future__ import annotations

from ansible_collections.ovn.kubernetes.plugins.module_utils._egress_ip import lease
from ansible_collections.ovn.kubernetes.plugins.module_utils._egress_ip.lease import Granter, Held, Holder

A = "203.0.113.5"


def held_by_first(now):
    """A granter, and a holder that has a lease of the address."""
    granter = Granter(0.0, {})
    granter.decided = {A: Held("n1", True)}
    granter.proved(now)
    holder = Holder("n1", 1)
    holder.guards({A})
    assert holder.take_in(granter.take_in(holder.ask(now), now), now) and holder.allowed(now) == {A}
    return granter, holder


BEGUN = lease.PROOF + lease.HOLD


def test_who_could_not_close_gives_nothing_back():
    """Protects against two holders: a bridge that does not answer may still be open, so its program releases nothing;
    another node gets the address when the last lease is over in any case, or once the bridge has said that it is
    closed."""
    granter, holder = held_by_first(BEGUN)
    holder.fails()
    granter.take_in(holder.ask(BEGUN + 0.1), BEGUN + 0.1)
    assert not holder.allowed(BEGUN + 0.1)
    assert not granter.is_free(A, "n2", BEGUN + 0.1) and granter.is_free(A, "n2", BEGUN + lease.HOLD)
    holder.closed()
    granter.take_in(holder.ask(BEGUN + 0.2), BEGUN + 0.2)
    assert granter.is_free(A, "n2", BEGUN + 0.2)


def test_new_program_gives_nothing_back_before_it_has_closed():
    """Protects against the gates of a program that was killed: the next one knows nothing of them at first."""
    granter, _holder = held_by_first(BEGUN)
    new = Holder("n1", 2)
    for number in range(3):
        granter.take_in(new.ask(BEGUN + number / 10), BEGUN + number / 10)
    assert not granter.is_free(A, "n2", BEGUN + 0.3)
    new.closed()
    granter.take_in(new.ask(BEGUN + 0.4), BEGUN + 0.4)
    assert granter.is_free(A, "n2", BEGUN + 0.4)


def test_what_is_being_closed_is_neither_opened_nor_given_back():
    """Protects a planned move: between the decision to close and the bridge's word an answer opens nothing, and a
    request releases nothing."""
    granter, holder = held_by_first(BEGUN)
    answer = granter.take_in(holder.ask(BEGUN + 0.1), BEGUN + 0.1)
    holder.narrow(())
    holder.take_in(answer, BEGUN + 0.15)
    assert not holder.allowed(BEGUN + 0.15)
    granter.take_in(holder.ask(BEGUN + 0.2), BEGUN + 0.2)
    assert not granter.is_free(A, "n2", BEGUN + 0.2)


def test_node_whose_bridge_does_not_answer_counts_as_silent():
    """Protects addresses of a node that asks for them, and can't hold any: others get them. When its bridge answers
    again it is a candidate."""
    granter, holder = held_by_first(BEGUN)
    holder.fails()
    now = BEGUN
    while now < BEGUN + lease.SILENT + 0.2:
        now += 0.1
        granter.take_in(holder.ask(now), now)
    assert granter.is_silent("n1", now)
    holder.closed()
    granter.take_in(holder.ask(now), now)
    assert not granter.is_silent("n1", now)


def test_node_that_does_not_guard_what_it_is_offered_gets_nothing_for_a_while():
    """Protects addresses from a node whose bridge answers, and takes no flows, or has no router yet: they don't go to
    and fro."""
    granter = Granter(0.0, {A: Held("n1", False)})
    granter.proved(0.0)
    holder, now = Holder("n1", 1), 0.0
    holder.guards(())
    while now < lease.LATE:
        granter.take_in(holder.ask(now), now)
        assert not granter.is_silent("n1", now)
        now += 0.1
    now += 0.1
    granter.take_in(holder.ask(now), now)
    granter.decided = {A: Held("n2", False)}
    granter.take_in(holder.ask(now), now)
    assert granter.is_silent("n1", now)
    now += lease.BARRED
    granter.take_in(holder.ask(now), now)
    assert not granter.is_silent("n1", now)


def test_release_needs_the_right_term_and_the_bridges_word():
    """Protects against two holders: what a node asks for no more is free only by a request of its session that comes in
    order, has the number of this granter, and says that the bridge has closed it."""
    granter, holder = held_by_first(BEGUN)
    holder.guards(())
    gone = holder.ask(BEGUN + 0.1)
    for one in (gone._replace(is_sure=False), gone._replace(term=gone.term + 1), gone._replace(number=1)):
        granter.take_in(one, BEGUN + 0.1)
        assert not granter.is_free(A, "n2", BEGUN + 0.1)
    granter.take_in(gone._replace(number=gone.number + 1), BEGUN + 0.1)
    assert granter.is_free(A, "n2", BEGUN + 0.1)
