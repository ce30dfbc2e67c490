# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects egress firewalls and EgressQoS with a real API server: definitions that come and go while the watcher runs,
what they refuse, and the status that is written once.
"""

from __future__ import annotations

import contextlib
import pathlib

import pytest
import yaml
from database_server import wait_for
from kubernetes_server import Refused

FOLDER = pathlib.Path(__file__).resolve().parents[3] / "roles/common/files/k8s.ovn.org"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
API = "/apis/k8s.ovn.org/v1/namespaces/default"
DENY = {"type": "Deny", "to": {"cidrSelector": "0.0.0.0/0"}}


def is_there(api, plural):
    """Whether the API server serves a kind."""
    try:
        api.items(f"{API}/{plural}")
    except Refused:
        return False
    return True


@pytest.fixture
def definitions(kubernetes):
    """Makes the definitions; they are deleted afterwards."""
    made = [yaml.safe_load((FOLDER / f"{one}.yaml").read_text()) for one in ("egress-firewall", "egress-qos")]

    def make():
        for item in made:
            kubernetes.create(DEFINITIONS, item)
        wait_for(lambda: all(is_there(kubernetes, one) for one in ("egressfirewalls", "egressqoses")), "the kinds")

    yield make
    for item in kubernetes.items(DEFINITIONS):
        if item["spec"]["group"] == "k8s.ovn.org":
            with contextlib.suppress(Refused):  # the test has deleted it, and it goes just now
                kubernetes.delete(f"{DEFINITIONS}/{item['metadata']['name']}")
    wait_for(lambda: not any(is_there(kubernetes, one) for one in ("egressfirewalls", "egressqoses")), "them to go")


def rows(world, table, kind):
    """The rows of a table that belong to objects of a kind."""
    found = world.nb.rows(table)
    return [row for row in found if dict(row["external_ids"][1]).get("k8s.ovn.org/owner-type") == kind]


def make(world, plural, kind, *rules, name="default"):
    """Make an object."""
    item = {"apiVersion": "k8s.ovn.org/v1", "kind": kind, "metadata": {"name": name}, "spec": {"egress": list(rules)}}
    return world.api.create(f"{API}/{plural}", item)


def status(world, plural):
    """The text of the object's status."""
    return (world.api.get(f"{API}/{plural}/default").get("status") or {}).get("status")


def test_definitions_come_and_go(world, definitions):
    """Protects users of the kinds: no definition is no fault, objects count within seconds of theirs, each has its
    status, which is not written again and again, and all rows go with the definition.
    """
    watcher = world.watch()
    world.api.add_pod("web", "node1")
    world.annotated("web")
    definitions()
    make(world, "egressfirewalls", "EgressFirewall", {"type": "Allow", "to": {"cidrSelector": "203.0.113.0/24"}}, DENY)
    make(world, "egressqoses", "EgressQoS", {"dscp": 46})
    wait_for(lambda: status(world, "egressfirewalls") == "EgressFirewall Rules applied", "the status")
    wait_for(lambda: status(world, "egressqoses") == "EgressQoS Rules applied", "the other status")
    assert len(rows(world, "ACL", "EgressFirewall")) == 1 and len(rows(world, "QoS", "EgressQoS")) == 1
    versions = [
        world.api.get(f"{API}/{one}/default")["metadata"]["resourceVersion"]
        for one in ("egressfirewalls", "egressqoses")
    ]
    watcher.stop()
    world.watch()
    assert versions == [
        world.api.get(f"{API}/{one}/default")["metadata"]["resourceVersion"]
        for one in ("egressfirewalls", "egressqoses")
    ]
    for one in ("egressfirewalls", "egressqoses"):
        world.api.delete(f"{DEFINITIONS}/{one}.k8s.ovn.org")
    wait_for(lambda: not rows(world, "ACL", "EgressFirewall") and not rows(world, "QoS", "EgressQoS"), "rows to go")


def test_what_the_definitions_refuse(world, definitions):
    """Protects users from objects that say nothing: another name, two targets, networks and numbers that are none."""
    definitions()
    cidr = {"cidrSelector": "0.0.0.0/0"}
    for rule, name in (
        (DENY, "other"),
        ({"type": "Drop", "to": cidr}, "default"),
        ({"type": "Deny", "to": {}}, "default"),
        ({"type": "Deny", "to": {**cidr, "dnsName": "example.org"}}, "default"),
        ({"type": "Deny", "to": {"cidrSelector": "all"}}, "default"),
        ({"type": "Deny", "to": cidr, "ports": [{"protocol": "TCP", "port": 0}]}, "default"),
    ):
        with pytest.raises(Refused):
            make(world, "egressfirewalls", "EgressFirewall", rule, name=name)
    for rule, name in (({"dscp": 64}, "default"), ({"dscp": 1}, "other"), ({"dstCIDR": "10.0.0.0/8"}, "default")):
        with pytest.raises(Refused):
            make(world, "egressqoses", "EgressQoS", rule, name=name)
    make(world, "egressfirewalls", "EgressFirewall", {"type": "Allow", "to": {"dnsName": "*.Example.org."}}, DENY)
