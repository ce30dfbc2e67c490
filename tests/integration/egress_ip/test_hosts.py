# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what the outside sees: one host answers for an address, whatever becomes of hosts and programs."""

from __future__ import annotations

import asyncio
import signal
import threading
import time

import egress_hosts
import pytest
from egress_hosts import CORE, Host, Outside
from egress_ip_world import EgressIPWorld
from network_namespace import ip, namespace

from ansible_collections.ovn.kubernetes.plugins.module_utils._egress_ip import lease
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.access import Access
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs.egress_leases import LeaseServer

A = "10.55.0.100"


class Lab(threading.Thread):
    """Two hosts, and the masters' programs in a thread."""

    def __init__(self, nb, northd, times):
        super().__init__(daemon=True)
        self.nb, self.world, self._ready, self._ends = nb, None, threading.Event(), threading.Event()
        self.hosts = {number: Host(number, northd.southbound.remote, times) for number in (1, 2)}

    def run(self):
        asyncio.run(self._main())

    async def _main(self):
        self.world = EgressIPWorld(self.nb, nodes=())
        self.world.server = LeaseServer(Access(self.nb.remote, None), CORE)
        async with self.world:
            self.world.namespace("a", team="x")
            self.world.pod("a/web", 1, app="web")
            for number in (1, 2):
                labels = {"labels": {"k8s.ovn.org/egress-assignable": ""}}
                self.world.put("nodes", "", f"node{number}", metadata=labels, status={"addresses": []})
            self.world.egress_ip("one", [A], {"team": "x"})
            self._ready.set()
            while not self._ends.is_set():
                await asyncio.sleep(0.05)

    def begin(self):
        """Start, and wait until the programs run."""
        self.start()
        assert self._ready.wait(30)

    def told(self):
        """What a failure shows."""
        granting = self.world.server.granting
        return granting.granter and (granting.granter.decided, granting._alive, granting.granter._nodes)

    def remove(self):
        """End everything."""
        self._ends.set()
        self.join(20)
        for host in self.hosts.values():
            host.remove()


@pytest.fixture
def lab(nb, northd, times):
    """The hosts, in network namespaces."""
    with namespace():
        egress_hosts.networks()
        made = Lab(nb, northd, times)
        try:
            made.begin()
            yield made
        finally:
            made.remove()


@pytest.fixture
def outside(lab):
    """Somebody outside, once a host answers."""
    one = Outside(A)
    one.start()
    end = time.monotonic() + 30
    while not one.who():
        assert time.monotonic() < end, "\n".join(
            [
                str(lab.told()),
                str(lab.world.nat()),
                *(host.way(A) + host.log.read_text() + host.flows() for host in lab.hosts.values()),
            ]
        )
        time.sleep(0.05)
    yield one
    one.end()


def test_power_is_lost(lab, outside, record_property):
    """Protects the aim for a host that is killed: another one answers in less than 2 s, and tells so by itself."""
    (first,) = outside.who()
    other = 3 - first
    lab.hosts[first].kill()
    outside.until(other)
    time.sleep(0.5)
    record_property("outage", outside.outage())
    print(f"killed: {outside.outage():.2f} s without an answer")
    assert outside.changes() == [first, other]
    assert any(host == other and not asked for _at, host, asked in outside.answers), "a gratuitous ARP"
    assert outside.outage() < lease.HOLD + 2


@pytest.mark.parametrize("frozen", [(), ("holder",)], ids=["alive", "program stands still"])
def test_cut_off_host_stops_to_answer(lab, outside, frozen):
    """Protects against two holders: a host that is cut off goes on, and stops to answer before another one begins; also
    where its program stands still. When it is back it answers no more."""
    (first,) = outside.who()
    other = 3 - first
    lab.hosts[first].cut_off()
    if frozen:
        lab.hosts[first].signal(signal.SIGSTOP, *frozen)
    outside.until(other)
    print(f"cut off: {outside.outage():.2f} s without an answer")
    lab.hosts[first].signal(signal.SIGCONT, "holder", "controller")
    ip("link set m0 up", lab.hosts[first].where)
    time.sleep(2)
    assert outside.changes() == [first, other]


def test_program_is_killed(lab, outside):
    """Protects against the end of the program alone: the gate is closed by Open vSwitch, and another host follows."""
    (first,) = outside.who()
    lab.hosts[first].signal(signal.SIGKILL, "holder")
    outside.until(3 - first)
    print(f"program killed: {outside.outage():.2f} s without an answer")
    assert outside.changes() == [first, 3 - first]
    lab.hosts[first].hold()
    time.sleep(1)
    assert outside.changes() == [first, 3 - first]
