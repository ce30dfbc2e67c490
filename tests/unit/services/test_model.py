# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what is kept of services, endpoint slices and nodes: their text goes into rules that root loads."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._services import service_state
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.endpoint_slices import EndpointSlice
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.model import Target
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.nodes import Node, Place
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.service_state import ServiceState

from .objects import endpoints, endpoints_for, service

HOSTILE = ("10.0.0.1 drop; }; chain evil {", "fe80::1%a b", "worker.example", "0.0.0.0", "127.0.0.1", "224.0.0.1")


@pytest.mark.parametrize("item", [service(ips=()), service(ips=("None",)), service("ExternalName")])
def test_services_without_an_address_have_nothing(item):
    """Protects against the address "None" (F4)."""
    assert item is None


def test_slices_without_a_service_are_left_out():
    """Protects against slices of names, and of no service."""
    item = {"metadata": {"namespace": "ns", "name": "x"}, "addressType": "IPv4", "endpoints": [], "ports": []}
    assert EndpointSlice.from_object(item) is None
    of_names = {"namespace": "ns", "labels": {"kubernetes.io/service-name": "web"}}
    assert EndpointSlice.from_object({**item, "addressType": "FQDN", "metadata": of_names}) is None


def test_texts_that_are_no_addresses_are_left_out():
    """Protects the firewall, the cluster router and all flows of a chassis: the API server checks a node's addresses
    not at all.
    """
    node = {
        "metadata": {"name": "node1"},
        "status": {"addresses": [{"type": "InternalIP", "address": text} for text in (*HOSTILE, "10.0.0.1")]},
    }
    assert Node.from_object(node) == Node("node1", ("10.0.0.1",))
    assert [one.address for one in endpoints("192.168.1.3", *HOSTILE, "fd10::3").endpoints] == ["192.168.1.3"]
    outer = {"loadBalancer": {"ingress": [{"ip": text} for text in (*HOSTILE, "5.6.7.8")]}}
    made = service("LoadBalancer", ips=("10.96.0.1", *HOSTILE), externalIPs=[*HOSTILE, "10.55.0.9"], status=outer)
    assert (made.cluster_ips, made.external_ips) == (("10.96.0.1",), ("10.55.0.9", "5.6.7.8"))
    assert service(ips=HOSTILE) is None


@pytest.mark.parametrize(
    ("more", "is_leaving"),
    [
        ({}, False),
        ({"spec": {"taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]}}, False),
        ({"spec": {"taints": [{"key": "a"}, {"key": "ToBeDeletedByClusterAutoscaler", "value": "1"}]}}, True),
        ({"metadata": {"name": "node1", "deletionTimestamp": "2026-01-01T00:00:00Z"}}, True),
    ],
)
def test_a_node_that_is_being_deleted(more, is_leaving):
    """Protects connections through a cloud's load balancer: it must stop to send to a node before that is gone."""
    assert Node.from_object({"metadata": {"name": "node1"}, **more}).is_leaving is is_leaving


def test_a_target_as_text():
    """Protects load balancers and rules: an IPv6 address stands in brackets (W17)."""
    assert (str(Target("10.0.0.1", 80)), str(Target("fd10::3", 80))) == ("10.0.0.1:80", "[fd10::3]:80")


def test_a_service_with_too_many_endpoints(monkeypatch):
    """Protects the watcher from slices of one service, which may be many and large: what is planned is bounded, and an
    endpoint with a hundred addresses is one endpoint.
    """
    monkeypatch.setattr(service_state, "MAXIMUM_TARGETS", 500)
    item = {
        "metadata": {"namespace": "ns", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": str(number), "port": 8080} for number in range(1, 2000)],
    }
    parts = [
        EndpointSlice.from_object(
            {**item, "endpoints": [{"addresses": [f"10.{part}.0.{n}"] * 100} for n in range(200)]}
        )
        for part in range(3)
    ]
    assert {len(part.endpoints) for part in parts} == {200} and len(parts[0].ports) == 1000
    few = ServiceState(service(ports=({"name": "1", "port": 80},)), parts)
    assert (len(few.targets(few.service.ports[0], 4)), few.left_out) == (500, 100)
    wide = ServiceState(service(ports=tuple({"name": str(number), "port": number} for number in range(1, 101))), parts)
    assert sum(len(wide.targets(port, 4)) for port in wide.service.ports) == 500
    assert wide.left_out == 595
    monkeypatch.setattr(service_state, "MAXIMUM_BACKENDS", 1000)
    known = ServiceState(
        service(ports=({"name": "1", "port": 80},), externalIPs=[f"77.0.0.{n}" for n in range(1, 98)]), parts
    )
    assert len(known.targets(known.service.ports[0], 4)) == 10
    ingress = [{"ip": f"77.0.0.{n}"} for n in range(1, 98)]  # with source ranges each has two load balancers
    for ranges, count in (([], 10), (["10.0.0.0/8"], 5)):
        made = service("LoadBalancer", ({"name": "1", "port": 80},), status={"loadBalancer": {"ingress": ingress}})
        made = made._replace(source_ranges=tuple(ranges) or None)
        assert len(ServiceState(made, parts).targets(made.ports[0], 4)) == count
    # Each slice may name ports of its own, whether the service has them or not.
    monkeypatch.setattr(service_state, "MAXIMUM_SLICE_PORTS", 2500)
    monkeypatch.setattr(service_state, "MAXIMUM_BACKENDS", 1_000_000)
    wordy = ServiceState(few.service, [parts[0]._replace(endpoints=()), *parts])
    assert (len(wordy.slices), len(wordy.targets(few.service.ports[0], 4)), wordy.left_out) == (2, 400, 200)


ZONES = {"192.168.1.3": {"forZones": ["a"]}, "192.168.2.3": {"forZones": ["b", "c"]}}
NODES = {
    "192.168.1.3": {"forNodes": ["Node1"], "forZones": ["a"]},
    "192.168.2.3": {"forNodes": ["node2"], "forZones": ["a"]},
    "192.168.3.3": {"forNodes": ["node3"], "forZones": ["b"]},
}
EVERYWHERE = ["192.168.1.3", "192.168.2.3"]


@pytest.mark.parametrize(
    ("hints", "node", "zone", "targets"),
    [
        (ZONES, "node1", "a", ["192.168.1.3"]),
        (ZONES, "node1", "c", ["192.168.2.3"]),
        (ZONES, "node1", "d", EVERYWHERE),  # nobody is for this zone
        (ZONES, "node1", "", EVERYWHERE),  # no label
        ({**ZONES, "192.168.2.3": {}}, "node1", "a", EVERYWHERE),  # one without hints
        ({"192.168.1.3": {"forNodes": ["node1"]}, "192.168.2.3": {}}, "node1", "a", EVERYWHERE),
        (NODES, "node1", "b", ["192.168.1.3"]),  # its node comes before its zone
        (NODES, "node9", "a", ["192.168.1.3", "192.168.2.3"]),
        (NODES, "node9", "b", ["192.168.3.3"]),
        ({"192.168.1.3": {"forZones": ["z"] * 9 + ["a"]}}, "node1", "a", ["192.168.1.3"]),
    ],
)
def test_hints_choose_endpoints_as_in_kube_proxy(hints, node, zone, targets):
    """Protects traffic distribution and topology hints (KEP-2433, KEP-3015): CategorizeEndpoints of kube-proxy."""
    made = ServiceState(service(), [endpoints_for(hints)])
    (port,) = made.service.ports
    assert [one.address for one in made.targets_for(Place(node, zone), port, 4)] == targets
    assert made.targets_for(Place(node, zone), port, 6) == []


def test_hints_of_endpoints_that_are_not_ready():
    """Protects the last requests: endpoints that drain serve everybody, and their hints don't hide those that are
    ready."""
    draining = endpoints_for({"192.168.3.3": {}}, ready=False)
    made = ServiceState(service(), [endpoints_for(ZONES), draining])
    (port,) = made.service.ports
    assert [one.address for one in made.targets_for(Place("n", "a"), port, 4)] == ["192.168.1.3"]
    gone = ServiceState(service(), [endpoints_for(ZONES, ready=False)])
    assert [one.address for one in gone.targets_for(Place("n", "a"), port, 4)] == EVERYWHERE
    assert gone.hinted(port, 4) is None


def test_hints_of_too_many_endpoints(monkeypatch):
    """Protects the database: each host has a list of its own, so large services have one list for all."""
    monkeypatch.setattr(service_state, "MAXIMUM_HINTED", 3)
    ports = tuple({"name": str(number), "port": number} for number in (1, 2))
    assert not ServiceState(service(ports=ports), [endpoints_for(ZONES)]).has_hints()
    assert ServiceState(service(), [endpoints_for(ZONES)]).has_hints()


def test_the_zone_of_a_node():
    """Protects zones of nodes with labels, and nodes without."""
    item = {"metadata": {"name": "Node1", "labels": {"topology.kubernetes.io/zone": "a"}}}
    assert Node.from_object(item).place == Place("node1", "a")
    assert Node.from_object({"metadata": {"name": "node1"}}).place == Place("node1", "")


ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges"
BOTH = ("5.6.7.8", "fd99::1")


@pytest.mark.parametrize(
    ("field", "annotation", "ranges", "served"),
    [
        (None, None, None, BOTH),
        ([], " ", None, BOTH),
        (["0.0.0.0/0"], None, None, BOTH),
        (["::/0", "fd00::/8"], None, None, BOTH),
        (["0.0.0.0/0", "fd01::/64"], None, ("0.0.0.0/0", "fd01::/64"), BOTH),
        ([" 10.0.0.7/24 ", "10.0.0.0/25", "10.0.1.0/24"], None, ("10.0.0.0/23",), BOTH[:1]),
        (["fd01::1/64"], None, ("fd01::/64",), BOTH[1:]),
        (["::ffff:10.0.0.0/104"], None, ("10.0.0.0/8",), BOTH[:1]),
        (None, "10.0.0.0/8, fd01::/64", ("10.0.0.0/8", "fd01::/64"), BOTH),
        (["10.0.0.0/8"], "nobody", ("10.0.0.0/8",), BOTH[:1]),  # the field counts
        (None, "10.0.0.0/8,", (), ()),
        (None, "10.0.0.0/8," * 400, (), ()),
        (["10.0.0.0/8", "10.0.0.1 || 1"], None, (), ()),
        (["10.0.0.0"], None, (), ()),
        (["10.0.0.0/33"], None, (), ()),
        (["10.0.0.0/255.0.0.0"], None, (), ()),
        (["fe80::%a b/64"], None, (), ()),
        ([f"10.{number}.0.0/17" for number in range(200)] + ["10.0.0.0/8"] * 57, None, (), ()),
    ],
)
def test_who_may_reach_a_balancers_address(field, annotation, ranges, served):
    """Protects loadBalancerSourceRanges, and the annotation: what can't be read admits nobody, and says so; an address
    of an IP version without ranges has no clients.
    """
    made = service(
        "LoadBalancer",
        status={"loadBalancer": {"ingress": [{"ip": ip} for ip in BOTH]}},
        annotations={ANNOTATION: annotation} if annotation is not None else None,
        loadBalancerSourceRanges=field,
    )
    assert (made.source_ranges, made.external_ips, made.balancer_ips) == (ranges, served, served)
    assert bool(made.unserved) == (served != BOTH)
    if ranges and "0.0.0.0/0" in ranges:
        assert (made.ranges_of("5.6.7.8"), made.ranges_of("fd99::1")) == (None, ("fd01::/64",))


@pytest.mark.parametrize(("way", "told"), [("hash", False), ("timeout", False), (None, False), ("Hash" * 99, True)])
def test_a_word_that_chooses_no_affinity(way, told):
    """Protects whoever mistypes the annotation that chooses how affinity is served: an event shows the word."""
    made = service(sessionAffinity="ClientIP", annotations={names.AFFINITY_ANNOTATION: way} if way else None)
    assert bool(made.unserved) is told and all("'HashHash" in text and len(text) < 200 for text in made.unserved)
