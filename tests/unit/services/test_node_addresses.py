# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pods' packets from a kubelet that reports addresses of others as its own."""

from __future__ import annotations

from ansible_collections.ovn.kubernetes.plugins.module_utils._services.address_book import (
    SERVICES_USE,
    AddressBook,
    Owner,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.node_addresses import NodeAddresses
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.nodes import Node

from .objects import service


class World:
    """Nodes, and what they report."""

    def __init__(self, routed=()):
        self.store, self.routed = {}, dict(routed)
        self.book = AddressBook({})
        self.book.set_networks(
            (
                ("192.168.0.0/16", "the pods' network"),
                ("100.64.0.0/16", "the join network"),
                ("10.96.0.0/16", SERVICES_USE),
            )
        )
        self.addresses = NodeAddresses(self.book, self.store, lambda name, ip: self.routed.get(ip) == name)

    def put(self, name, *addresses, created="2026-01-01T00:00:00Z"):
        """Report a node's addresses; who else is concerned."""
        old = self.store.get(name)
        self.store[name] = Node(name, addresses, (), created)
        return self.addresses.update(name, old, self.store[name])[0]

    def remove(self, name):
        """Remove a node; who is concerned."""
        return self.addresses.update(name, self.store.pop(name), None)[0]


def test_routers_that_a_node_tells():
    """Protects the routers of all nodes from services, and everybody else from a node that tells of addresses of
    others: of any number few count, and no cluster address, no balancer's and no node's own is refused for it.
    """
    services, world = {}, World()
    world.book = AddressBook(services, ["10.0.0.0/24"])
    world.addresses = NodeAddresses(world.book, world.store)
    world.put("node1", "10.0.0.1")
    told = ["10.44.0.1", "FD44::1", "fe80::1", "x", "10.0.0.1", "10.200.0.9", "198.51.100.7"]
    made = service(
        "LoadBalancer",
        ips=("10.200.0.9",),
        externalIPs=["10.44.0.1", "fd44::1", "10.0.0.1"],
        status={"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}]}},
    )
    services[made.key] = made
    world.book.update(made.key, None, made)
    assert world.book.served(made).refusals == ()

    def put(text):
        new = Node.from_object({"metadata": {"name": "node2", "annotations": {"ovn.kubernetes/default-routers": text}}})
        old, world.store["node2"] = world.store.get("node2"), new
        return world.addresses.update("node2", old, new)[1]

    assert put(",".join(told)) == {made.key} and put(",".join(told)) == set()
    assert world.book.served(made).refusals == (
        "10.44.0.1 is an address of an external router",
        "fd44::1 is an address of an external router",
    )
    assert world.addresses.of("node1") == (("10.0.0.1",), ())
    assert put(None) == {made.key} and world.book.served(made).refusals == () and not world.book._routers_of
    put(",".join(f"10.44.1.{number}" for number in range(1, 255)) * 1000)
    assert len(world.store["node2"].routers) == 8


def test_addresses_of_others():
    """Protects pods, services, routers, and every other node, which keeps what it has."""
    world = World()
    world.book.set_owner("gateway node2", Owner("gateway node2", node="node2"), ["10.33.74.2"])
    world.book.set_owner("hop", Owner("an external router", is_host=False), ["10.33.74.254"])
    world.put("node2", "10.0.0.2", "10.33.74.2")
    claimed = ("10.0.0.1", "192.168.2.3", "100.64.0.1", "10.96.0.1", "10.33.74.2", "10.33.74.254", "10.0.0.2")
    assert world.put("node1", *claimed, created="2026-01-02T00:00:00Z") == {"node2"}
    own = world.addresses.of("node1")
    assert own.addresses == ("10.0.0.1",)
    assert own.refusals == (
        "192.168.2.3 is in the pods' network 192.168.0.0/16",
        "100.64.0.1 is in the join network 100.64.0.0/16",
        "10.96.0.1 is in the services' network 10.96.0.0/16",
        "10.33.74.2 is an address of gateway node2",
        "10.33.74.254 is an address of an external router",
        "10.0.0.2 is an address of node node2",
    )
    assert world.addresses.of("node2") == (("10.0.0.2", "10.33.74.2"), ())
    assert world.addresses.all() == {"10.0.0.1", "10.0.0.2", "10.33.74.2", "10.33.74.254"}
    assert world.addresses.of("nobody") == ((), ())


def test_public_addresses():
    """Protects pods that reach a public address: a node with private addresses does not get its packets, and one
    whose only address is public is reached.
    """
    world = World()
    world.put("node1", "10.0.0.1", "8.8.8.8", "fd00::1")
    world.put("node2", "8.8.4.4", "fd00::2")
    assert world.addresses.of("node1").addresses == ("10.0.0.1", "fd00::1")
    assert world.addresses.of("node1").refusals == (
        "8.8.8.8 is public, and the node has a private InternalIP: a public one is an ExternalIP",
    )
    assert world.addresses.of("node2").addresses == ("8.8.4.4", "fd00::2")


def test_who_has_the_route_keeps_it():
    """Protects a node from an older one: what the database has decides, and a node that goes makes room."""
    world = World({"10.0.0.2": "node2"})
    world.put("node2", "10.0.0.2", created="2026-01-02T00:00:00Z")
    world.put("node1", "10.0.0.2")
    assert (world.addresses.of("node1").addresses, world.addresses.of("node2").addresses) == ((), ("10.0.0.2",))
    world.routed.clear()
    assert (world.addresses.of("node1").addresses, world.addresses.of("node2").addresses) == (("10.0.0.2",), ())
    assert world.remove("node1") == {"node2"} and world.addresses.of("node2").addresses == ("10.0.0.2",)
    assert world.remove("node2") == set() and len(world.addresses._reporting) == 0


def test_of_two_nodes_with_the_route_the_older_one_keeps_it():
    """Protects a node whose address another one had reported too while an earlier release led to both."""
    world = World()
    world.addresses._has_route = lambda _name, _ip: True
    world.put("node2", "10.0.0.2")
    world.put("node1", "10.0.0.2", created="2026-01-02T00:00:00Z")
    assert (world.addresses.of("node1").addresses, world.addresses.of("node2").addresses) == ((), ("10.0.0.2",))


def test_the_inventory_decides():
    """Protects a node that is registered anew from one that has reported its address meanwhile, older and with the
    route; and a node that is the router of a gateway's network.
    """
    world = World({"10.0.0.2": "node1"})
    world.put("node1", "10.0.0.1", "10.0.0.2")
    world.book.set_owner("host of node2", Owner("node node2", node="node2"), ["10.0.0.2"])
    assert world.addresses.of("node1") == (("10.0.0.1",), ("10.0.0.2 is an address of node node2",))
    world.put("node2", "10.0.0.2", created="2026-01-02T00:00:00Z")
    assert world.addresses.of("node2") == (("10.0.0.2",), ())
    world.book.set_owner("hop", Owner("an external router", is_host=False), ["10.0.0.1", "10.0.0.2"])
    assert world.addresses.of("node1").addresses == () and world.addresses.of("node2").addresses == ("10.0.0.2",)
