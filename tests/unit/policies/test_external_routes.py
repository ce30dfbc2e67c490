# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what the watcher reads of AdminPolicyBasedExternalRoutes: whatever is in them, and nothing beyond bounds."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.external_routes import (
    MAXIMUM_HOPS,
    ExternalRoute,
    NextHop,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.selectors import EVERYTHING


def read(spec, **more):
    """An object as the watcher keeps it."""
    metadata = {"name": "out", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return ExternalRoute.from_object({"metadata": metadata, "spec": spec, **more})


def hops(*static, **more):
    """A ``spec`` for all namespaces."""
    return {"from": {"namespaceSelector": {}}, "nextHops": {"static": list(static), **more}}


def test_an_object_of_each_kind():
    """Protects the fields that ovn-kubernetes has, and the selector of nodes that is ours."""
    found = read(hops({"ip": "10.0.0.1"}, {"ip": "FD00::01", "bfdEnabled": True}))
    assert found.hops == (NextHop("10.0.0.1"), NextHop("fd00::1", True))
    assert (found.namespaces, found.nodes, found.faults, found.pinned) == (EVERYTHING, None, (), {4, 6})
    nodes = read({**hops({"ip": "10.0.0.1"}), "from": {"nodeSelector": {"matchLabels": {"zone": "a"}}}})
    assert nodes.namespaces is None and nodes.nodes.matches({"zone": "a"}) and nodes.pinned == {4}
    told = read(hops({"ip": "10.0.0.1"}), status={"status": "Fail", "messages": ["x"]}).told
    assert told == ("Fail", ("x",))


@pytest.mark.parametrize(
    "spec",
    [
        hops(),
        hops({"ip": "10.0.0.1 || 1"}),
        hops({"ip": '"; drop'}),
        hops({"ip": 7}),
        hops({"ip": "224.0.0.1"}),
        hops("10.0.0.1"),
        hops(None),
        hops(dynamic=[{"podSelector": {}}]),
        {"from": {"namespaceSelector": {}}, "nextHops": "x"},
        {"from": {"namespaceSelector": {}}},
        {"from": {"namespaceSelector": {}}, "nextHops": {"static": {"ip": 1}}},
    ],
)
def test_what_is_no_next_hop_leads_nowhere(spec):
    """Protects pods from leaving by another way than what somebody has tried to write, in both IP versions."""
    found = read(spec)
    assert found.hops == () and found.pinned == {4, 6} and found.namespaces == EVERYTHING and found.faults


@pytest.mark.parametrize(
    "chosen",
    [
        None,
        {},
        "x",
        {"namespaceSelector": {}, "nodeSelector": {}},
        {"namespaceSelector": {"matchLabels": {"a": 1}}},
        {"namespaceSelector": "all"},
        {"nodeSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}},
    ],
)
def test_whom_nobody_can_tell(chosen):
    """Protects everybody from an object that does not say whom it is for: it selects nobody, and says so."""
    found = read({**hops({"ip": "10.0.0.1"}), "from": chosen})
    assert found.namespaces is None and found.nodes is None and "selects no pods" in found.faults[0]


def test_an_object_of_a_hostile_size():
    """Protects the watcher: many next hops, and long ones."""
    found = read(hops(*({"ip": f"10.0.{n // 250}.{n % 250 + 1}"} for n in range(5000))))
    assert len(found.hops) == MAXIMUM_HOPS and "5000" in found.faults[0]
    found = read(hops(*({"ip": "x" * 100_000} for _n in range(50))))
    assert sum(map(len, found.faults)) < 2000
    assert read("x").faults and read([]).faults and read(None).faults
