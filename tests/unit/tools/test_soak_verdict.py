# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the verdict of a soak: it passes what stays the same, and names what grows."""

from __future__ import annotations

import pathlib

import pytest


@pytest.fixture
def verdict(monkeypatch):
    """The soak's module."""
    monkeypatch.syspath_prepend(str(pathlib.Path(__file__).resolve().parents[2] / "soak"))
    import verdict as module

    return module


def figures(**changed):
    """Figures of a host at rest, with changes."""
    import figures as module

    usual = {
        "counts": {"NB Load_Balancer": 2, "SB Port_Binding": 7, "links": 3},
        "neighbours": 0,
        "zones": 20,
        "memory": {"watcher": 40.0, "etcd": 60.0, "ovn-controller": 16.0},
        "files": {"watcher": 13},
        "processor": {"watcher": 1.0},
        "logs": {"watcher": 100_000},
        "objects": {name: {"blocks": 170_000, "types": {"builtins.dict": 10}} for name in module.IN_PYTHON},
        "holds": {"ovn-controller": {"flows-KB": 5000, "entries": 100}},
    }
    return module.Figures(**{**usual, **changed})


def problems(verdict, last, objects=1000, seconds=900):
    """What is wrong when the last two quarters end with ``last``: the name of a line -> why."""
    kinds = [figures(), figures(), last, last]
    quarters = [verdict.Quarter(one, objects, seconds=seconds, median=0.2, slow=0.5, neighbours=50) for one in kinds]
    return {line.name: line.problem for line in verdict.lines(figures(), quarters) if line.problem}


def test_nothing_has_changed(verdict):
    """Protects against false alarms."""
    assert problems(verdict, figures()) == {}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"counts": {"NB Load_Balancer": 3, "SB Port_Binding": 7, "links": 3}},
            {"Northbound rows": "NB Load_Balancer: 2 before, 3 now"},
        ),
        (
            {"counts": {"NB Load_Balancer": 2, "SB Port_Binding": 7, "links": 3, "SB FDB": 1}},
            {"Southbound rows": "SB FDB: 0 before, 1 now"},
        ),
        ({"zones": 24}, {"keys of br-int": "more and more"}),
        ({"neighbours": 51}, {"neighbours learned": "at most 50 pods were there in the time for which they are kept"}),
        (
            {"memory": {"watcher": 46.0, "etcd": 90.0, "ovn-controller": 16.0}},
            {"memory of watcher, MiB": "grew by 15% in a quarter"},
        ),
        ({"files": {"watcher": 17}}, {"open files of watcher": "more and more"}),
    ],
)
def test_what_grows_is_named(verdict, changed, said):
    """Protects against rows, memory and files that stay behind; the API server's memory is not ours to judge."""
    assert problems(verdict, figures(**changed)) == said


def test_memory_in_short_quarters(verdict):
    """Protects short runs from one burst of work taken for growth, and from growth taken for a burst."""
    burst = figures(memory={"watcher": 46.4, "etcd": 60.0, "ovn-controller": 16.0})
    assert problems(verdict, burst, seconds=20) == {}
    growth = figures(memory={"watcher": 63.0, "etcd": 60.0, "ovn-controller": 16.0})
    assert list(problems(verdict, growth, seconds=20)) == ["memory of watcher, MiB"]


def test_a_daemon_that_holds_more_and_more(verdict):
    """Protects hosts from what stays in a daemon; memory that only its largest burst needed is no alarm."""
    burst = figures(memory={"watcher": 40.0, "etcd": 60.0, "ovn-controller": 40.0})
    assert problems(verdict, burst) == {}
    more = figures(holds={"ovn-controller": {"flows-KB": 5000, "entries": 100, "nodes": 900}})
    assert problems(verdict, more) == {"ovn-controller holds": "nodes: 0 after the second quarter, 900 now"}
    little = figures(holds={"ovn-controller": {"flows-KB": 5400, "entries": 290}})
    assert problems(verdict, little) == {}
    learned = figures(neighbours=40, holds={"ovn-controller": {"flows-KB": 5000, "entries": 550}})
    assert problems(verdict, learned) == {}


def test_objects_in_memory_are_counted_for_each_object_that_came(verdict):
    """Protects long runs with many objects and short ones with few: the same leak is found, and its type named."""
    more = {"blocks": 190_000, "types": {"builtins.dict": 20_010}}
    same = {"blocks": 170_000, "types": {}}
    leak = figures(objects={"watcher": more, "node server": same})
    assert problems(verdict, leak) == {"blocks in watcher": "10.0 more for each object that came: 20000 builtins.dict"}
    assert problems(verdict, leak, objects=100_000) == {}


def test_a_log_that_says_more_and_more(verdict):
    """Protects the disk."""
    kinds = [figures(logs={"watcher": size}) for size in (100_000, 200_000, 300_000, 600_000)]
    quarters = [verdict.Quarter(one, 1000, 900, 0.2, 0.5, 50) for one in kinds]
    before = figures(logs={"watcher": 0})
    assert [line.problem for line in verdict.lines(before, quarters) if line.name.startswith("log")] == [
        "more and more"
    ]
