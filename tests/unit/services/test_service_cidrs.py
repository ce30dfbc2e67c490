# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pods, hosts and routers from ServiceCIDR objects with their networks, and services of all others."""

from __future__ import annotations

import contextlib
import ipaddress

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.constants import RtProt
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.records import KernelRoute, Nexthop
from ansible_collections.ovn.kubernetes.plugins.module_utils._services import host_networks
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.address_book import AddressBook, Owner
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.host_networks import HostNetworks, difference
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.service_cidrs import (
    MOST,
    ServiceCIDR,
    accepted,
)

CONFIGURED = ("10.96.0.0/16", "fd96::/108")


def cidr(name, *networks, created="2026-01-01T00:00:00Z"):
    meta = {"name": name, "uid": f"u-{name}", "creationTimestamp": created}
    return ServiceCIDR.from_object({"metadata": meta, "spec": {"cidrs": list(networks)}})


def test_networks_of_objects_come_after_those_of_the_settings():
    """Protects services of all networks: those of the settings, and those of objects of both IP versions, each once."""
    objects = [cidr("kubernetes", *CONFIGURED), cidr("more", "10.200.0.0/16", "FD97:0::/108")]
    found = accepted(CONFIGURED, objects, lambda _network: None)
    assert found.networks == (*CONFIGURED, "10.200.0.0/16", "fd97::/108")
    assert found.refusals == {"kubernetes": "", "more": ""}


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "x; drop", ""])
def test_what_can_be_no_network_of_services(text):
    """Protects hosts from networks that are everybody's, and rules from text."""
    found = accepted(CONFIGURED, [cidr("wrong", text), cidr("good", "10.200.0.0/16")], lambda _network: None)
    assert found.networks == (*CONFIGURED, "10.200.0.0/16")
    assert found.refusals["wrong"].startswith("not served") and not found.refusals["good"]


def test_what_others_have_is_refused():
    """Protects networks of others; the other network of the object is served."""
    objects = [cidr("both", "192.168.0.0/20", "fd97::/108")]
    found = accepted(CONFIGURED, objects, lambda one: "overlaps the pods' network" if one.startswith("192") else None)
    assert found.networks == (*CONFIGURED, "fd97::/108")
    assert "192.168.0.0/20 overlaps the pods' network; delete this object" in found.refusals["both"]


def test_there_are_not_too_many():
    """Protects rows, rules and routes from thousands of objects: the older ones are served."""
    objects = [cidr(f"n{number}", f"10.{number}.0.0/24", created=f"2026-01-{number // 10:02}") for number in range(200)]
    found = accepted(CONFIGURED, reversed(objects), lambda _network: None)
    assert len(found.networks) == len(CONFIGURED) + MOST and "10.0.0.0/24" in found.networks
    assert sum(map(bool, found.refusals.values())) == 200 - MOST


def test_what_is_known_to_be_in_a_network():
    """Protects hosts whose addresses the inventory has; what a kubelet reports of itself can't take a network away."""
    book = AddressBook({})
    network = ipaddress.ip_network("10.200.0.0/16")
    book.set_owner("node a", Owner("node a", reported=True), ["10.200.0.1"])
    assert book.known_within(network) is None
    book.set_owner("host of a", Owner("node a", node="a"), ["10.200.0.1"])
    assert book.known_within(network) == ("10.200.0.1", Owner("node a", node="a"))
    assert book.known_within(ipaddress.ip_network("fd97::/108")) is None


def route(destination, via="192.168.1.1", protocol=RtProt.SERVICES, link="k8s-node1"):
    return KernelRoute(destination, (Nexthop(link, via),), protocol=protocol)


def test_only_our_own_routes_are_removed():
    """Protects routes of others, and those that the host's own part counts on."""
    there = [
        route("10.200.0.0/16"),
        route("10.201.0.0/16"),
        route("10.202.0.0/16", protocol=RtProt.STATIC),
        route("10.96.0.0/16"),
        route("10.203.0.0/16", via="192.168.1.9"),
        route("10.204.0.0/16", protocol=RtProt.STATIC),
    ]
    wanted = [route(f"10.{number}.0.0/16") for number in (200, 203, 204, 205)]
    removed, added = difference(there, wanted, CONFIGURED)
    assert removed == [there[1], there[4]]
    assert added == [wanted[1], wanted[3]]


def test_a_host_without_further_networks_reads_its_routes_once(monkeypatch):
    """Protects hosts that are routers too, with hundreds of thousands of routes: the node server asks twice a minute.
    Routes of an earlier run, and those of an object that has gone, are removed all the same.
    """
    reads, faults = [], []

    class Kernel:
        """A kernel without routes."""

        def __enter__(self):
            reads.append(1)
            return self

        def __exit__(self, *_error):
            pass

    def add(_kernel, _route):
        if faults:
            raise OSError(1, "no")

    monkeypatch.setattr(host_networks, "RouteSocket", Kernel)
    monkeypatch.setattr(host_networks, "read_all_routes", lambda _kernel: [])
    monkeypatch.setattr(host_networks, "add_route", add)
    monkeypatch.setattr(host_networks, "read_uses", lambda *_arguments: [])
    networks = HostNetworks("k8s-node1", ("192.168.0.0/16",), CONFIGURED, {4: "192.168.1.1"}, {})
    more = [cidr("kubernetes", *CONFIGURED), cidr("more", "10.200.0.0/16")]
    for objects, fault, count in (
        (more[:1], False, 1),
        (more[:1], False, 1),
        (more, True, 2),  # what is there now is not known
        (more[:1], False, 3),
        (more[:1], False, 3),
        (more, False, 4),
        (more, False, 5),
        (more[:1], False, 6),
        (more[:1], False, 6),
    ):
        faults[:] = [1] if fault else []
        with pytest.raises(HostError) if fault else contextlib.nullcontext():
            networks.converge(objects)
        assert len(reads) == count, (objects, fault)
