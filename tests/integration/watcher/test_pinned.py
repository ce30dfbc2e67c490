# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects AdminPolicyBasedExternalRoute at a real API server: its definition, and the status that is written."""

from __future__ import annotations

import pathlib

import pytest
import yaml
from database_server import wait_for
from kubernetes_server import Refused

ROOT = pathlib.Path(__file__).resolve().parents[3]
DEFINITION = ROOT / "roles/common/files/k8s.ovn.org/admin-policy-based-external-routes.yaml"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GROUP, KIND = "k8s.ovn.org/v1", "AdminPolicyBasedExternalRoute"
ROUTES = f"/apis/{GROUP}/adminpolicybasedexternalroutes"
DEFAULT = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}


@pytest.fixture
def defined(kubernetes):
    """The API server has the kind; it is deleted afterwards, with its objects."""
    definition = yaml.safe_load(DEFINITION.read_text(encoding="utf-8"))
    kubernetes.create(DEFINITIONS, definition)
    wait_for(lambda: _is_served(kubernetes), "the kind to be served")
    yield kubernetes
    kubernetes.delete(f"{DEFINITIONS}/{definition['metadata']['name']}")
    wait_for(lambda: not _is_served(kubernetes), "the kind to go")


def _is_served(kubernetes):
    try:
        kubernetes.items(ROUTES)
    except Refused:
        return False
    return True


def route(name, static=(), **spec):
    """An object."""
    whole = {"from": DEFAULT, "nextHops": {"static": [{"ip": ip} for ip in static]}, **spec}
    return {"apiVersion": GROUP, "kind": KIND, "metadata": {"name": name}, "spec": whole}


def pinned(world):
    """(action, next hops) of the routing policies of pinned pods."""
    rows = world.nb.rows("Logical_Router_Policy")
    keys = [dict(row["external_ids"][1]) for row in rows]
    return [
        (row["action"], row["nexthops"])
        for row, key in zip(rows, keys)
        if key.get("k8s.ovn.org/owner-type") == "PinnedPods"
    ]


def test_objects_and_their_status(world, defined):
    """Protects who writes an object: what it can't mean is refused by the API server, and all else has a status, which
    is written once and when something changes. ``bfdEnabled`` and fields that are not served are kept.
    """
    for wrong in (
        {"from": {}},
        {"from": {**DEFAULT, "nodeSelector": {}}},
        {"nextHops": {}},
        {"nextHops": {"static": [{"ip": "10.55.0.1"}] * 17}},
        {"from": {"namespaceSelector": {"matchExpressions": [{"key": "x", "operator": "Is"}]}}},
    ):
        with pytest.raises(Refused):
            defined.create(ROUTES, route("wrong", **wrong))
    dynamic = [{"podSelector": {}, "namespaceSelector": {"matchLabels": {"gateway": "yes"}}, "bfdEnabled": True}]
    defined.create(ROUTES, route("out", ["10.55.0.1"]))
    world.watch()

    def status(name):
        return defined.get(f"{ROUTES}/{name}").get("status") or {}

    wait_for(lambda: status("out").get("status") == "Success", "the status")
    assert status("out")["messages"] == ["next hop 10.55.0.1: by gateway node1"]
    assert pinned(world) == [("reroute", "100.64.0.2")]
    version = defined.get(f"{ROUTES}/out")["metadata"]["resourceVersion"]
    # Another object for the same pods; then the first one names what is nowhere.
    defined.create(ROUTES, route("second", nextHops={"static": [{"ip": "10.55.0.254"}], "dynamic": dynamic}))
    wait_for(lambda: status("second").get("status") == "Fail", "the second status")
    assert defined.get(f"{ROUTES}/second")["spec"]["nextHops"]["dynamic"] == dynamic
    assert status("second")["messages"][:2] == [
        "namespace default is pinned by out, which is older",
        "dynamic next hops, which are pods, are not served",
    ]
    assert defined.get(f"{ROUTES}/out")["metadata"]["resourceVersion"] == version
    defined.patch(f"{ROUTES}/out", {"spec": {"nextHops": {"static": [{"ip": "198.51.100.1"}]}}})
    wait_for(lambda: status("out").get("status") == "Fail", "the status to change")
    assert pinned(world) == [("drop", ["set", []])]
    events = [
        one for one in defined.items("/api/v1/namespaces/default/events") if one["involvedObject"]["kind"] == KIND
    ]
    assert {one["reason"] for one in events} == {"ExternalRouteNotServed"}
    for name in ("out", "second"):
        defined.delete(f"{ROUTES}/{name}")
    wait_for(lambda: pinned(world) == [], "the rows to go")
