# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects everybody's addresses from whoever may make a service (CVE-2020-8554): a table of cases."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.settings import Settings
from ansible_collections.ovn.kubernetes.plugins.module_utils._services import northbound
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.address_book import (
    SERVICES_USE,
    AddressBook,
    Owner,
    not_served,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.endpoint_slices import EndpointSlice
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.model import Service
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.service_state import ServiceState
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.surroundings import set_known_addresses

NETWORKS = (
    ("192.168.0.0/16", "the pods' network"),
    ("fd10:128::/48", "the pods' network"),
    ("100.64.0.0/16", "the join network"),
    ("10.96.0.0/16", SERVICES_USE),
)


def service(name="mallory", ips=("10.96.0.66",), created="2026-01-02T00:00:00Z", ports=(80,), given=(), **spec):
    """A service from an object."""
    meta = {"namespace": "ns", "name": name, "uid": f"uid-{name}", "creationTimestamp": created}
    kind = spec.pop("type", "LoadBalancer" if given else "ClusterIP")
    made = [one if isinstance(one, dict) else {"name": f"p{one}", "port": one} for one in ports]
    status = {"loadBalancer": {"ingress": [{"ip": ip} for ip in given]}}
    whole = {"type": kind, "clusterIPs": list(ips), "ports": made, **spec}
    return Service.from_object({"metadata": meta, "spec": whole, "status": status})


class Book:
    """A book with the services in it."""

    def __init__(self, *services, allowed=()):
        self.store = {}
        self.book = AddressBook(self.store, allowed)
        self.book.set_networks(NETWORKS)
        self.book.set_owner("node node1", Owner("node node1"), ["10.0.0.1", "203.0.113.1"])
        self.book.set_owner("gateway node2", Owner("gateway node2", node="node2"), ["10.33.74.2"])
        self.book.set_owner("hop", Owner("an external router", is_host=False), ["10.33.74.254"])
        for one in services:
            self.put(one)

    def put(self, new, key=None):
        """Add, change or remove a service; the keys of others that it concerns."""
        key = key or new.key
        old = self.store.pop(key, None)
        if new is not None:
            self.store[key] = new
        return self.book.update(key, old, new)

    def served(self, name="mallory"):
        """What is served of a service."""
        return self.book.served(self.store[f"ns/{name}"])


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("192.168.1.3", "is in the pods' network 192.168.0.0/16"),
        ("192.168.1.2", "is in the pods' network 192.168.0.0/16"),
        ("FD10:128:0:1::3", "is in the pods' network fd10:128::/48"),
        ("100.64.0.2", "is in the join network 100.64.0.0/16"),
        ("10.96.0.200", "is in the services' network 10.96.0.0/16"),
        ("10.200.0.7", "is a cluster address of service ns/dns"),
        ("10.96.0.66", "is in the services' network 10.96.0.0/16"),
        ("10.0.0.1", "is an address of node node1: only ovn_external_ip_networks may have hosts' own addresses"),
        ("203.0.113.1", "is an address of node node1: only ovn_external_ip_networks may have hosts' own addresses"),
        ("10.33.74.2", "is an address of gateway node2: only ovn_external_ip_networks may have hosts' own addresses"),
        ("10.33.74.254", "is an address of an external router"),
        ("127.0.0.1", "is no address of a machine"),
        ("::1", "is no address of a machine"),
        ("0.0.0.0", "is no address of a machine"),
        ("0.1.2.3", "is no address of a machine"),
        ("169.254.169.254", "is no address of a machine"),
        ("fe80::1", "is no address of a machine"),
        ("224.0.0.5", "is no address of a machine"),
        ("ff02::1", "is no address of a machine"),
        ("255.255.255.255", "is no address of a machine"),
        ("::ffff:a00:1", "is no address of a machine"),
    ],
)
@pytest.mark.parametrize("by_balancer", [False, True])
def test_an_address_of_somebody_else_is_not_served(address, reason, by_balancer):
    """Protects pods, services, hosts and routers, whether a user or a balancer names their address; the rest of the
    service works. Only hosts' addresses may come from a balancer.
    """
    more = {"given": [address, "198.51.100.7"]} if by_balancer else {"externalIPs": [address, "198.51.100.7"]}
    served = Book(service("dns", ("10.200.0.7",)), service(**more)).served()
    if by_balancer and "ovn_external_ip_networks" in reason:
        assert (served.refusals, served.service.external_ips) == ((), (address, "198.51.100.7"))
        return
    assert (served.service.cluster_ips, served.service.external_ips) == (("10.96.0.66",), ("198.51.100.7",))
    (refusal,) = served.refusals
    assert refusal.lower() == f"{address} {reason}".lower()
    rows = northbound.rows(ServiceState(served.service, []))
    assert [set(row.columns["vips"]) for row in rows] == [{"10.96.0.66:80", "198.51.100.7:80"}]


@pytest.mark.parametrize(
    ("address", "served"), [("192.168.1.3", False), ("100.64.0.9", False), ("10.0.0.1", False), ("10.200.0.9", True)]
)
def test_cluster_addresses(address, served):
    """Protects pods and hosts from an API server whose service range is wrong; a second range is none of ours to
    refuse.
    """
    assert bool(Book(service(ips=(address,))).served().service.cluster_ips) == served


@pytest.mark.parametrize(
    ("port", "protocol", "reason"),
    [
        (22, "TCP", "TCP port 22 of 10.0.0.1 is the host's own"),
        (6443, "TCP", "TCP port 6443 of 10.0.0.1 is the host's own"),
        (7443, "TCP", "TCP port 7443 of 10.0.0.1 is the host's own"),
        (6081, "UDP", "UDP port 6081 of 10.0.0.1 is the host's own"),
        (30080, "TCP", "TCP port 30080 of 10.0.0.1 is a node port of service ns/web"),
        (80, "TCP", None),
        (6443, "UDP", None),
    ],
)
def test_allowed_addresses_of_hosts_keep_their_hosts_ports(port, protocol, reason):
    """Protects SSH, the API server, tunnels and node ports, wherever hosts' addresses are allowed."""
    web = service("web", type="NodePort", ports=({"port": 80, "nodePort": 30080},))
    mallory = service(ports=({"port": port, "protocol": protocol},), externalIPs=["10.0.0.1"])
    book = Book(web, mallory, allowed=["10.0.0.0/24"])
    item = {
        "metadata": {"namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": "IPv4",
        "ports": [{"port": 7443}],
        "endpoints": [{"addresses": ["10.0.0.1"]}],
    }
    apiserver = EndpointSlice.from_object(item)
    assert book.book.slice_changed("default/x", None, apiserver) == {"ns/mallory"}
    assert book.served().refusals == ((reason,) if reason else ())
    assert book.served().service.external_ips_of(mallory.ports[0]) == ([] if reason else ["10.0.0.1"])
    assert book.book.slice_changed("default/x", apiserver, None) == {"ns/mallory"}
    assert not Book(web, mallory, allowed=["10.1.0.0/24"]).served().service.external_ips


def test_the_older_service_keeps_an_address_and_port():
    """Protects a service from one that comes later, and what a balancer gave from users who had guessed it; when the
    first one goes, the other gets its turn.
    """
    old = service("old", ("10.96.0.65",), created="2026-01-01T00:00:00Z", externalIPs=["198.51.100.7"])
    book = Book(old)
    assert book.put(service(ports=(80, 81), externalIPs=["198.51.100.7"])) == set()
    assert book.served("old").refusals == ()
    assert book.served().refusals == ("TCP port 80 of 198.51.100.7 is served for service ns/old",)
    (row,) = northbound.rows(ServiceState(book.served().service, []))
    assert set(row.columns["vips"]) == {"10.96.0.66:80", "10.96.0.66:81", "198.51.100.7:81"}
    assert book.put(service("given", ("10.96.0.67",), given=["198.51.100.7"])) == {"ns/old"}
    assert book.served("given").refusals == ()
    assert book.served("old").refusals == ("TCP port 80 of 198.51.100.7 is served for service ns/given",)
    book.put(None, "ns/given")
    assert book.put(None, "ns/old") == {"ns/mallory"} and book.served().refusals == ()


def test_who_is_concerned_by_a_change():
    """Protects services from a verdict of yesterday: whoever names an address hears that its owner came or went."""
    book = Book(service(externalIPs=["10.0.0.9", "10.200.0.9"]))
    assert book.served().refusals == ()
    assert book.book.set_owner("node node9", Owner("node node9"), ["10.0.0.9"]) == {"ns/mallory"}
    assert book.put(service("dns", ("10.200.0.9",))) == {"ns/mallory"}
    assert len(book.served().refusals) == 2
    assert book.book.set_owner("node node9", None) == {"ns/mallory"}
    assert book.put(None, "ns/dns") == {"ns/mallory"} and book.served().refusals == ()
    assert book.book.set_owner("node node1", Owner("node node1"), ["10.0.0.1"]) == set()


def test_addresses_of_the_settings():
    """Protects masters that are no nodes, the API server's address, and gateways' next hops on hosts."""
    known = {"10.33.74.11": "master2", "10.55.0.254": "*"}
    settings = Settings("https://10.33.74.10:6443", host_addresses=known)
    book = Book(service(externalIPs=["10.33.74.10", "10.33.74.11"], given=["10.55.0.254"]))
    set_known_addresses(book.book, settings)
    assert [text.split(":")[0] for text in book.served().refusals] == [
        "10.33.74.10 is an address of the API server",
        "10.33.74.11 is an address of node master2",
        "10.55.0.254 is an address of an external router",
    ]


def test_a_hostile_service_is_bounded():
    """Protects the watcher and all hosts: 10,000 addresses and 10,000 ports become 1,000 of each at most."""
    many = [f"11.0.{number // 250}.{1 + number % 250}" for number in range(10000)]
    made = service(ports=range(1, 10001), externalIPs=many)
    assert (len(made.ports), len(made.external_ips), len(list(made.claims()))) == (1000, 1, 1000)
    assert [text.partition(" of its ")[0] for text in made.unserved] == ["9000", "9999"]
    few = service(externalIPs=many)
    assert len(few.external_ips) == 1000
    loopback = service(externalIPs=[f"127.0.{number // 250}.{number % 250}" for number in range(10000)])
    text = not_served(Book(loopback).served().refusals)
    assert len(text) == 900 and text.endswith(" ... (1000 in all)")


def test_an_event_names_all_that_is_refused():
    """Protects whoever makes a service from an address that is not served and not named: those of one owner are one
    sentence, and the text is another one when one of many is another one.
    """
    same = [f"10.55.0.{number} is an address of an external router" for number in range(1, 21)]
    others = ["10.0.0.1 is an address of node node1", "TCP port 80 of 10.0.0.2 is the host's own"]
    text = not_served([*same, *others])
    assert text == (
        f"not served: {', '.join(part.split()[0] for part in same)}: each is an address of an external router; "
        "10.0.0.1 is an address of node node1; TCP port 80 of 10.0.0.2 is the host's own"
    )
    assert not_served([*same[:-1], "10.55.0.99 is an address of an external router", *others]) != text
    assert not_served(["a: b", "c: d"]) == "not served: a: b; c: d"


class Asked(dict):
    """Services, and how often somebody has asked for one of them."""

    count = 0

    def get(self, key, default=None):
        self.count += 1
        return super().get(key, default)


def test_many_services_that_name_one_address_are_bounded():
    """Protects the watcher and all hosts from a user who makes many services of the same address: each costs what one
    alone costs, and a change of one is no reason to look at all of them.
    """
    made = [
        service(
            f"s{number:03}",
            (f"10.96.{9 + number // 250}.{number % 250}",),
            f"2026-01-01T00:00:{59 - number // 10}Z",
            externalIPs=["198.51.100.7"],
        )
        for number in range(300)
    ]
    book = AddressBook(store := Asked())
    store.update((one.key, one) for one in made)
    concerned = [book.update(one.key, None, one) - {"ns/s000"} for one in made]
    assert max(map(len, concerned)) <= 1
    store.count = 0
    assert not book.served(made[290]).refusals and book.served(made[299]).refusals
    assert store.count <= 4
    assert book.update("ns/s290", made[290], None) == {"ns/s291"}


def test_services_that_came_and_went_leave_nothing():
    """Protects memory: after a churn the book holds what it held before."""
    book = Book()
    for number in range(50):
        book.put(
            service(
                f"s{number}",
                (f"10.96.1.{number}",),
                type="NodePort",
                ports=({"port": 80, "nodePort": 30000 + number},),
                externalIPs=[f"198.51.100.{number}"],
            )
        )
        book.put(None, f"ns/s{number}")
        book.book.set_owner(f"node n{number}", Owner("node x"), [f"10.1.0.{number}"])
        book.book.set_owner(f"node n{number}", None)
    one = book.book
    assert [len(index) for index in (one._cluster, one._outer, one._claims, one._claimed_ports, one._node_ports)] == [
        0
    ] * 5
    assert len(one._owners) == 4 and len(one._of_source) == 3
