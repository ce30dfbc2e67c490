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
from database_server import wait_for
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

    def label(self, number, **labels):
        """Give a node labels; it may hold addresses with the right one only."""
        self.world.put("nodes", "", f"node{number}", metadata={"labels": labels}, status={"addresses": []})

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
    print(*(host.log.read_text() for host in lab.hosts.values()), lab.told())
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


def test_open_vswitch_is_killed(lab, outside):
    """Protects against a host that asks for leases, and can't hold anything: Open vSwitch is away, and another host
    gets the address."""
    (first,) = outside.who()
    lab.hosts[first].signal(signal.SIGKILL, "vswitch")
    outside.until(3 - first)
    print(f"ovs-vswitchd killed: {outside.outage():.2f} s without an answer")
    assert outside.changes() == [first, 3 - first]


def test_address_is_not_given_back_by_a_host_that_can_not_close_it(lab, outside):
    """Protects against two holders: ovs-vswitchd stands still while the address is moved. It is given back only when
    the gate has ended for sure; and when Open vSwitch goes on, the first thing that it does is to close."""
    (first,) = outside.who()
    other = 3 - first
    time.sleep(3.5)  # all announcements are sent
    moved = time.monotonic()
    lab.hosts[first].signal(signal.SIGSTOP, "vswitch")
    lab.label(first)
    outside.until(other)
    taken = next(at for at, host, _asked in outside.answers if host == other)
    goes_on = time.monotonic()
    lab.hosts[first].signal(signal.SIGCONT, "vswitch")
    time.sleep(2.5)
    late = [(at - goes_on, asked) for at, host, asked in outside.answers if host == first and at > goes_on]
    print(f"moved after {taken - moved:.2f} s; the former host answered {len(late)} times: {late[-1:]}")
    assert taken - moved > lease.GATE, "the former host gives nothing back while its bridge does not answer"
    assert all(asked for _at, asked in late), "it announces nothing"
    assert all(at < lease.GATE / 2 for at, _asked in late), "it closes at once, and not by the gate's time-out"


def test_cut_off_host_never_answers_again_by_time(lab, outside):
    """Protects against the end of some time: OVN on a host that is cut off answers for ever as it did, so the host
    keeps the address closed, also after its program has begun anew. Once OVN does not answer, the address is free."""
    (first,) = outside.who()
    other = 3 - first
    host = lab.hosts[first]
    host.cut_off()
    outside.until(other)
    host.signal(signal.SIGKILL, "holder")
    host.hold()
    mark = time.monotonic()
    wait_for(lambda: "resubmit" in host.flows() or None, "the flows of the new program")
    time.sleep(5)  # five times as long as an address stays closed at least
    assert A in host.kept() and "arp_spa=10.55.0.100" in host.flows()
    host.signal(signal.SIGCONT, "controller")
    lab.label(first)
    ip("link set m0 up", host.where)
    wait_for(lambda: not host.kept() and "resubmit" not in host.flows(), "the address to be free", 60)
    assert not [at for at, number, _asked in outside.answers if number == first and at > mark]


def test_flows_are_lost(lab, outside):
    """Protects a bridge without our flows, as after a start of ovs-vswitchd, or a boot: it is closed of itself, and the
    program brings its flows back."""
    (first,) = outside.who()
    host = lab.hosts[first]
    host.cut_off()
    outside.until(3 - first)
    mark = time.monotonic()
    host.signal(signal.SIGSTOP, "holder")
    host.lose_flows()
    time.sleep(1)
    assert "resubmit" not in host.flows()
    host.signal(signal.SIGCONT, "holder")
    wait_for(lambda: "resubmit" in host.flows(), "the flows again")
    print(f"flows are back after {time.monotonic() - mark - 1:.2f} s")
    assert not [at for at, number, _asked in outside.answers if number == first and at > mark]


def test_host_leaves_kubernetes(lab, outside):
    """Protects against two holders when the program's part is removed: while OVN on the host answers for an address it
    stays closed, and a word says so. Once OVN has heard that others have it nothing is left."""
    (first,) = outside.who()
    host = lab.hosts[first]
    host.cut_off()
    outside.until(3 - first)
    mark = time.monotonic()
    assert host.clear(1) == A
    assert "arp_spa=10.55.0.100" in host.flows() and A in host.kept()
    host.signal(signal.SIGCONT, "controller")
    ip("link set m0 up", host.where)
    assert host.clear(60) == ""
    assert not host.kept() and "resubmit" not in host.flows()
    assert not [at for at, number, _asked in outside.answers if number == first and at > mark]


def test_gateway_goes_on_for_its_own_address(lab, outside):
    """Protects a dedicated gateway whose bridge is closed by default: its router answers for its own address as before,
    and goes on to after the bridge has lost its flows, once the program has brought them back."""
    (first,) = outside.who()
    host, own = lab.hosts[first], Outside(f"10.55.0.{first}")
    assert host.kept() == A
    own.start()
    try:
        own.until(first)
        host.lose_flows()
        wait_for(lambda: "resubmit" in host.flows(), "the flows again")
        mark = time.monotonic()
        wait_for(lambda: any(at > mark and asked for at, _host, asked in own.answers), "an answer after that")
    finally:
        own.end()


def test_ovn_of_a_host_is_behind(lab, outside):
    """Protects against two holders after a planned move: the program hears the granter, and the host's ovn-controller
    does not hear of the move for long. The address stays closed there until it has."""
    (first,) = outside.who()
    host = lab.hosts[first]
    host.signal(signal.SIGSTOP, "controller")
    lab.label(first)
    outside.until(3 - first)
    mark = time.monotonic()
    time.sleep(5)
    assert host.kept() == A and "arp_spa=10.55.0.100" in host.flows()
    host.signal(signal.SIGCONT, "controller")
    wait_for(lambda: not host.kept() and "resubmit" not in host.flows(), "the address to be free", 60)
    assert not [at for at, number, _asked in outside.answers if number == first and at > mark]
