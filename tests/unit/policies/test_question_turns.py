# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects domain names from those whose servers are silent: objects take turns with their questions."""

from __future__ import annotations

from ansible_collections.ovn.kubernetes.plugins.module_utils._policies import question_turns
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.question_turns import Turns


def take(turns):
    """All questions that may be under way now: (turn, item)."""
    found = []
    while one := turns.next():
        found.append(one)
    return found


def test_an_object_has_few_at_once():
    """Protects others from an object with many names: two questions of it are under way, whatever waits."""
    turns = Turns()
    for number in range(100):
        turns.add(["a"], False, number)
    turns.add(["b"], False, "b")
    first = take(turns)
    assert [item for _turn, item in first] == [0, "b", 1] and len(turns) == 98
    turns.done(first[0][0])
    assert [item for _turn, item in take(turns)] == [2]


def test_slow_ones_have_half():
    """Protects names that answer: those of any number of objects that don't have half of the places."""
    turns = Turns()
    for number in range(50):
        turns.add([f"hostile{number}"], True, f"slow{number}")
    slow = take(turns)
    assert len(slow) == question_turns.OF_SLOW
    for number in range(50):
        turns.add([f"good{number}"], False, f"good{number}")
    good = take(turns)
    assert len(good) == question_turns.AT_ONCE - question_turns.OF_SLOW
    assert all(item.startswith("good") for _turn, item in good)
    for turn, _item in (*slow, *good):
        turns.done(turn)
    assert next(item for _turn, item in take(turns)).startswith("good")


def test_turns():
    """Protects each object from those that came before it: it waits for one question of each, not for all of theirs."""
    turns = Turns()
    for user in "abc":
        for number in range(10):
            turns.add([user], True, f"{user}{number}")
    order = []
    for _n in range(6):
        turn, item = turns.next()
        order.append(item)
        turns.done(turn)
    assert order == ["a0", "b0", "c0", "a1", "b1", "c1"]


def test_a_name_of_several_objects():
    """Protects a name that a hostile object has too: it is asked for at the one with the fewest questions."""
    turns = Turns()
    for number in range(10):
        turns.add(["a"], True, number)
    turns.add(["a", "b"], True, "common")
    assert "common" in [item for _turn, item in take(turns)]


def test_what_nobody_wants():
    """Protects memory from names that come and go while all places are taken."""
    turns = Turns()
    for number in range(10):
        turns.add(["a"], True, number)
    turns.keep(lambda item: item == 7)
    assert len(turns) == 1 and [item for _turn, item in take(turns)] == [7]
    assert not any(turns._due.values())
