# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the watcher's memory: services, slices and nodes that came and went leave nothing behind."""

from __future__ import annotations

from collections.abc import Sized

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.replica import Replica
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.address_book import AddressBook
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.endpoint_slices import EndpointSlice
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.host_planner import HostPlanner
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.model import Service
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.nodes import Node
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.reconcile import ServicePlanner

from .objects import endpoints_for, service

TABLES = dict.fromkeys(
    ("Logical_Switch", "Logical_Router", "Logical_Router_Static_Route", "Logical_Router_Policy"),
    ("name", "external_ids"),
)


class Engine:
    """A stand-in for the loop: it keeps which objects were marked."""

    def __init__(self, active):
        self.active, self.marked = active, set()

    def mark(self, kind, name):
        """Mark an object."""
        if self.active:
            self.marked.add((kind, name))


class Watcher:
    """The planners, and the stores that informers would keep."""

    def __init__(self, active):
        self.services, self.slices, self.nodes, self.events = {}, {}, {}, []
        replica = Replica("unix:/nowhere", "OVN_Northbound", TABLES)
        book = AddressBook(self.services)

        def on_event(*event):
            self.events.append(event)

        self.planner = ServicePlanner(self.services, self.slices, book, on_event, lambda _what, _seconds: None)
        self.hosts = HostPlanner(replica, self.nodes, self.planner, book, on_event, ("10.96.0.0/16",))
        self.planner.hosts = self.hosts
        self.planner.engine = self.hosts.engine = self.engine = Engine(active)

    def put(self, store, key, new, on_change):
        """Change an object, as an informer does."""
        old = store.pop(key, None)
        if new is not None:
            store[key] = new
        on_change(key, old, new)

    def work(self):
        """Do what the loop does with marked objects."""
        while self.engine.marked:
            kind, name = self.engine.marked.pop()
            planner = self.planner if kind == "Service" else self.hosts
            planner.desired(name)
            planner.done(name, [])


def held(one, seen):
    """How many members all containers below an object have."""
    if id(one) in seen or not type(one).__module__.startswith("ansible_collections"):
        return 0
    seen.add(id(one))
    values = vars(one).values() if hasattr(one, "__dict__") else ()
    return sum(
        held(value, seen) + (len(value) if isinstance(value, Sized) and not isinstance(value, str) else 0)
        for value in values
    )


@pytest.mark.parametrize("active", [True, False], ids=["acts", "stands by"])
def test_a_churn_leaves_nothing(active):
    """Protects a watcher that runs for months, and one that stands by for as long: the planners hold as many objects
    as before, also of services and nodes that were refused an address.
    """
    watcher = Watcher(active)

    def churn(number):
        meta = {"namespace": "ns", "name": f"s{number}", "uid": f"u{number}"}
        spec = {
            "type": "NodePort",
            "clusterIPs": [f"10.96.1.{number}"],
            "externalIPs": [f"198.51.100.{number}", "10.96.0.1"],
            "externalTrafficPolicy": "Local",
            "ports": [{"port": 80, "nodePort": 30000 + number}],
        }
        service = Service.from_object({"metadata": meta, "spec": spec})
        part = EndpointSlice.from_object(
            {
                "metadata": {"namespace": "ns", "labels": {"kubernetes.io/service-name": f"s{number}"}},
                "addressType": "IPv4",
                "ports": [{"port": 8080}],
                "endpoints": [
                    {"addresses": ["192.168.1.3"], "nodeName": f"n{number}", "hints": {"forZones": [{"name": "a"}]}}
                ],
            }
        )
        addresses = [{"type": "InternalIP", "address": ip} for ip in (f"10.0.0.{number}", "10.96.0.9")]
        node = Node.from_object({"metadata": {"name": f"n{number}"}, "status": {"addresses": addresses}})
        changes = (
            (watcher.nodes, f"n{number}", node, watcher.hosts.node_changed),
            (watcher.services, f"ns/s{number}", service, watcher.planner.service_changed),
            (watcher.slices, f"ns/s{number}", part, watcher.planner.slice_changed),
        )
        for store, key, new, on_change in changes:
            watcher.put(store, key, new, on_change)
        watcher.work()
        for store, key, _new, on_change in changes:
            watcher.put(store, key, None, on_change)
        if number % 2:  # the loop need not look at it before the watcher stands by
            watcher.work()

    def count():
        watcher.work()
        return held(watcher.planner, set()) + held(watcher.hosts, set())

    before = count()
    for number in range(1, 200):
        churn(number)
    assert count() == before
    assert len(watcher.events) == (2 * 199 if active else 0)


def test_what_of_a_service_is_not_served_is_said_once():
    """Protects whoever makes a service: addresses and other parts that are not served have an event each, again only
    when they change, and none once everything is served.
    """
    watcher = Watcher(True)

    def made(ports=1, **spec):
        many = [{"name": f"p{number}", "port": number} for number in range(1, ports + 1)]
        spec = {"type": "LoadBalancer", "clusterIPs": ["10.96.1.1"], "ports": many, **spec}
        return Service.from_object({"metadata": {"namespace": "ns", "name": "web", "uid": "u"}, "spec": spec})

    def put(service):
        watcher.put(watcher.services, "ns/web", service, watcher.planner.service_changed)
        watcher.work()
        said = [(str(about), reason, message) for about, reason, message in watcher.events]
        watcher.events.clear()
        return said

    assert put(made()) == []
    ((about, reason, message),) = put(made(loadBalancerSourceRanges=["203.0.113.0"]))
    assert (about, reason) == (
        "service ns/web",
        "ServicePartNotServed",
    ) and "nobody may reach them, since a source range is no network" in message
    assert put(made(loadBalancerSourceRanges=["203.0.113.0"], sessionAffinity="ClientIP")) == []
    both = put(made(1001, loadBalancerSourceRanges=["203.0.113.0"], externalIPs=["10.96.0.9"]))
    assert [reason for _about, reason, _message in both] == ["AddressRefused", "ServicePartNotServed"]
    assert "1 of its ports" in both[1][2]
    assert put(made()) == []
    assert len(put(made(1001))) == 1


def test_an_affinity_that_a_datapath_does_not_serve():
    """Protects whoever chooses a time-out: what the userspace datapath makes of it is said when a host has it, also
    when the service was there before.
    """
    watcher = Watcher(True)

    def made(seconds):
        spec = {"clusterIPs": ["10.96.1.1"], "ports": [{"port": 80}], "sessionAffinity": "ClientIP"}
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": seconds}}
        return Service.from_object({"metadata": {"namespace": "ns", "name": "web", "uid": "u"}, "spec": spec})

    def put(service):
        watcher.put(watcher.services, "ns/web", service, watcher.planner.service_changed)
        watcher.work()
        return [(reason, message) for _about, reason, message in watcher.events]

    assert put(made(60)) == []
    watcher.planner.set_userspace(True)
    watcher.work()
    ((_about, reason, message),) = watcher.events
    assert reason == "ServicePartNotServed" and "in the userspace datapath the first connection" in message
    assert len(put(made(10800))) == 1
    assert "has no time-out" in put(made(86400))[-1][1]


def test_hosts_share_what_they_ask_for():
    """Protects a cluster of a thousand hosts: what all of them need of services with a traffic policy is made once,
    and anew after each change of a service, its endpoints, or who has its addresses.
    """
    watcher = Watcher(True)

    def put(store, key, new, on_change):
        before = watcher.planner.local()
        watcher.put(store, key, new, on_change)
        after = watcher.planner.local()
        assert after is not before and watcher.planner.local() is after
        return [(one.service.external_ips, len(one.nodes())) for one in after]

    spec = {
        "type": "NodePort",
        "clusterIPs": ["10.96.0.1"],
        "externalIPs": ["10.0.0.1"],
        "externalTrafficPolicy": "Local",
        "ports": [{"port": 80, "nodePort": 30080}],
    }
    service = Service.from_object({"metadata": {"namespace": "ns", "name": "web"}, "spec": spec})
    part = EndpointSlice.from_object(
        {
            "metadata": {"namespace": "ns", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["192.168.1.3"], "nodeName": "n1"}],
        }
    )
    node = Node("n1", ("10.0.0.1",))
    assert put(watcher.services, "ns/web", service, watcher.planner.service_changed) == [(("10.0.0.1",), 0)]
    assert put(watcher.slices, "ns/web-1", part, watcher.planner.slice_changed) == [(("10.0.0.1",), 1)]
    assert put(watcher.nodes, "n1", node, watcher.hosts.node_changed) == [((), 1)]
    assert watcher.hosts._addresses.all() == {"10.0.0.1"}
    assert put(watcher.nodes, "n1", None, watcher.hosts.node_changed) == [(("10.0.0.1",), 1)]
    assert watcher.hosts._addresses.all() == set()
    assert put(watcher.services, "ns/web", None, watcher.planner.service_changed) == []


@pytest.mark.parametrize("nodes", [10, 1000])
def test_the_work_for_an_event_does_not_grow_with_the_nodes(nodes):
    """Protects pods that wait meanwhile: an event has only those hosts looked at again whose rows differ by it."""
    watcher = Watcher(True)

    def marked(store, key, new, on_change):
        watcher.engine.marked.clear()
        watcher.put(store, key, new, on_change)
        return {name for kind, name in watcher.engine.marked if kind == "Host"}

    def service(port=80, **more):
        spec = {"type": "NodePort", "clusterIPs": ["10.96.0.1"], "ports": [{"port": port, "nodePort": 30080}], **more}
        return Service.from_object({"metadata": {"namespace": "ns", "name": "web"}, "spec": spec})

    def part(*hosts):
        endpoints = [{"addresses": [f"192.168.{host}.3"], "nodeName": f"n{host}"} for host in hosts]
        labels = {"kubernetes.io/service-name": "web"}
        item = {"metadata": {"namespace": "ns", "labels": labels}, "addressType": "IPv4", "endpoints": endpoints}
        return EndpointSlice.from_object(item)

    for number in range(nodes):
        node = Node(f"n{number}", (f"10.{number // 250}.{number % 250}.1",))
        marked(watcher.nodes, node.name, node, watcher.hosts.node_changed)
    more = Node("n7", ("10.0.7.1", "10.0.7.2"))
    assert marked(watcher.nodes, "n7", more, watcher.hosts.node_changed) == {"*", "n7"}
    put_slice = (watcher.slices, "ns/web-1"), watcher.planner.slice_changed
    put_service = (watcher.services, "ns/web"), watcher.planner.service_changed
    assert marked(*put_slice[0], part(1, 2, 3), put_slice[1]) == set()
    local = {"externalTrafficPolicy": "Local"}
    assert marked(*put_service[0], service(**local), put_service[1]) == {"n1", "n2", "n3"}
    assert marked(*put_service[0], service(81, sessionAffinity="ClientIP", **local), put_service[1]) == set()
    assert marked(*put_slice[0], part(1, 2, 4), put_slice[1]) == {"n3", "n4"}
    assert marked(*put_service[0], service(), put_service[1]) == {"n1", "n2", "n4"}
    everywhere = marked(*put_service[0], service(internalTrafficPolicy="Local"), put_service[1])
    assert len(everywhere) == nodes + 1
    assert marked(*put_service[0], service(81, internalTrafficPolicy="Local"), put_service[1]) == set()


def test_hints_concern_the_hosts_that_they_name():
    """Protects a cluster of many hosts: a change of an endpoint is looked at for the hosts that it is for, and for
    those that use all endpoints.
    """
    watcher = Watcher(True)
    for name, zone in (("n1", "a"), ("n2", "b"), ("n3", "")):
        node = Node(name, (f"10.0.0.{name[1]}",), zone=zone)
        watcher.put(watcher.nodes, name, node, watcher.hosts.node_changed)

    def hosts(hints):
        watcher.work()
        part = endpoints_for(hints) if hints is not None else None
        watcher.put(watcher.slices, "ns/web-1", part, watcher.planner.slice_changed)
        return {name for kind, name in watcher.engine.marked if kind == "Host"}

    watcher.put(watcher.services, "ns/web", service(), watcher.planner.service_changed)
    of_b = {"192.168.2.3": {"forZones": ["b"]}}
    assert hosts({"192.168.1.3": {"forZones": ["a"]}, **of_b}) == {"n1", "n2", "n3"}
    assert hosts({"192.168.1.3": {"forZones": ["a"]}, **of_b}) == set()
    assert hosts({"192.168.1.4": {"forZones": ["a"]}, **of_b}) == {"n1", "n3"}
    assert hosts({"192.168.1.4": {}, **of_b}) == {"n1", "n2", "n3"}
    assert hosts({"192.168.1.5": {}, **of_b}) == set() and watcher.planner.local() == []
    assert hosts(None) == set()
