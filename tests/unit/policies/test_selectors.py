# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what label selectors select (LabelSelector of Kubernetes' API), and how little of it is looked at."""

from __future__ import annotations

import random

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.selectors import (
    EVERYTHING,
    Selector,
    SelectorIndex,
    Unreadable,
)


def by(*expressions, **labels):
    """A selector; expressions are (key, operator, value, ...)."""
    made = [{"key": key, "operator": operator, "values": list(values)} for key, operator, *values in expressions]
    return Selector.parse({"matchLabels": labels, "matchExpressions": made})


@pytest.mark.parametrize(
    ("selector", "labels", "selected"),
    [
        (by(), {}, True),
        (by(a="1"), {"a": "1", "b": "2"}, True),
        (by(a="1"), {"a": "2"}, False),
        (by(a="1"), {}, False),
        (by(a=""), {"a": ""}, True),
        (by(a=""), {}, False),
        (by(a="1", b="2"), {"a": "1"}, False),
        (by(("a", "In", "1", "2")), {"a": "2"}, True),
        (by(("a", "In", "1", "2")), {"a": "3"}, False),
        (by(("a", "In", "1", "2")), {}, False),
        (by(("a", "NotIn", "1", "2")), {"a": "3"}, True),
        (by(("a", "NotIn", "1", "2")), {"a": "1"}, False),
        (by(("a", "NotIn", "1", "2")), {}, True),
        (by(("a", "Exists")), {"a": ""}, True),
        (by(("a", "Exists")), {"b": "a"}, False),
        (by(("a", "DoesNotExist")), {"a": ""}, False),
        (by(("a", "DoesNotExist")), {"b": "a"}, True),
        (by(("a", "Exists"), ("a", "NotIn", "1"), b="2"), {"a": "3", "b": "2"}, True),
        (by(("a", "In", "1"), ("a", "In", "2")), {"a": "1"}, False),
    ],
)
def test_operators(selector, labels, selected):
    """Protects each operator, of present, missing and empty labels; requirements are combined by AND."""
    assert selector.matches(labels) == selected


def test_one_form_for_all_spellings():
    """Protects the sharing of rows: order, repetition and matchLabels make no difference."""
    one = by(("b", "In", "2", "1"), ("c", "Exists"), a="x")
    other = by(("c", "Exists"), ("b", "In", "1", "2", "2"), ("a", "In", "x"), ("c", "Exists"))
    assert one == other and hash(one) == hash(other) and one != by(("b", "In", "1"), ("c", "Exists"), a="x")
    assert Selector.parse({"matchLabels": None, "matchExpressions": None}) == Selector.parse({}) == EVERYTHING
    assert str(one) == "a in (x),b in (1,2),c"


@pytest.mark.parametrize(
    "value", [None, [], "a=b", {"matchLabels": []}, {"matchExpressions": {}}, {"matchLabels": {1: 2}}]
)
def test_what_is_no_selector(value):
    """Protects policies from a selector that would select something else than was meant."""
    with pytest.raises(Unreadable):
        Selector.parse(value)


def test_the_index_finds_what_a_look_at_all_finds():
    """Protects membership: for any selectors and labels the index yields exactly those that select, once each."""
    dice = random.Random(7)

    def some_selector():
        expressions = []
        for _n in range(dice.randint(0, 3)):
            key, operator = dice.choice("abc"), dice.choice(["In", "NotIn", "Exists", "DoesNotExist"])
            values = dice.sample("123", dice.randint(1, 2)) if operator in ("In", "NotIn") else []
            expressions.append((key, operator, *values))
        return by(*expressions)

    index, things = SelectorIndex(), {n: some_selector() for n in range(300)}
    for number, selector in things.items():
        index.add(selector, number)
    for number in range(0, 300, 3):
        index.remove(things.pop(number), number)
    for _n in range(300):
        labels = {key: dice.choice("123") for key in dice.sample("abcd", dice.randint(0, 4))}
        found = list(index.matching(labels))
        assert sorted(found) == [number for number, selector in things.items() if selector.matches(labels)]
    for number, selector in things.items():
        index.remove(selector, number)
    assert not index and list(index.matching({"a": "1"})) == []
