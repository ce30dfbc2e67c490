# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the order in which chassis go to relays: nobody takes away where they are before all relays are there."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._central.asked import Asked, Master, Step
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.database import Database, Listener
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.relays import with_relays

CENTRAL, CHASSIS = Listener("pssl:16642"), Listener("pssl:6642", "ovn-controller", 12000)
ASKED = Asked(
    (Master("a", "10.0.0.1"), Master("b", "10.0.0.2")), listeners={"southbound": (CENTRAL,), "relay": (CHASSIS,)}
)
NORTHBOUND_TIMER = Step("a", "northbound", "timer")
LISTEN, JOIN = Step("a", "southbound", "listen"), Step("b", "southbound", "join")
READY = Database(model="relay", running=True, connected=True, listeners=(CHASSIS,))
NEW = Database(model="relay", running=True, connected=True, listeners=())
APART = Database(model="relay", running=True, listeners=(CHASSIS,))
DOWN = Database(model="relay", listeners=None)
BUSY = Database(model="relay", running=True, listeners=None, problem="no answer")


def steps(relays, planned, found=(CENTRAL, CHASSIS), asked=ASKED):
    southbound = Database(model="clustered", running=True, listeners=found)
    facts = {
        host: None if relay is None else {"southbound": southbound.as_dict(), "relay": relay.as_dict()}
        for host, relay in relays.items()
    }
    return [(step.host, step.database, step.action) for step in with_relays(asked, facts, planned)]


@pytest.mark.parametrize(
    ("relays", "planned", "expected"),
    [
        ({"a": READY, "b": READY}, [LISTEN], [("a", "southbound", "listen")]),
        ({"a": READY, "b": DOWN}, [LISTEN], [("b", "relay", "start")]),
        ({"a": NEW, "b": READY}, [LISTEN], [("a", "relay", "listen")]),
        ({"a": NEW, "b": NEW}, [LISTEN], [("a", "relay", "listen"), ("b", "relay", "listen")]),
        ({"a": READY, "b": APART}, [LISTEN], [("b", "relay", "restart")]),
        ({"a": READY, "b": BUSY}, [], []),
        ({"a": READY, "b": None}, [LISTEN], [("a", "southbound", "listen")]),
        ({"a": DOWN, "b": DOWN}, [JOIN], [("b", "southbound", "join")]),
        ({"a": NEW, "b": READY}, [NORTHBOUND_TIMER], [("a", "relay", "listen"), ("a", "northbound", "timer")]),
        ({"a": READY, "b": READY}, [], []),
    ],
    ids=[
        "all are there",
        "one is down",
        "one is new",
        "all are new",
        "one has no source",
        "one could not be read, and keeps its hosts",
        "one master was not reached",
        "the database comes first",
        "the other database",
        "nothing to do",
    ],
)
def test_order(relays, planned, expected):
    """Protects chassis from a moment without a server, and a site run from a master that is off."""
    assert steps(relays, planned) == expected


def test_a_source_that_is_to_listen():
    """Protects one member over tcp from a run without an end: it listens for relays only after this step."""
    assert steps({"a": APART, "b": APART}, [LISTEN], found=(CHASSIS,)) == [("a", "southbound", "listen")]


def test_no_relays_are_asked_for():
    """Protects masters without relays, and the way back: the members listen first, and relays are no step's work."""
    without = Asked(ASKED.masters, listeners={"southbound": (CENTRAL, CHASSIS)})
    assert steps({"a": READY, "b": DOWN}, [LISTEN], asked=without) == [("a", "southbound", "listen")]
