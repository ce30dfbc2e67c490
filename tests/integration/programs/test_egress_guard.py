# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects addresses of EgressIPs beside the flows of a shared NIC: they are the router's while there is a lease, and
nobody's otherwise; all else stays as it is.
"""

from __future__ import annotations

import asyncio
import re
import time

import pytest
from database_server import wait_for
from network_namespace import namespace

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._egress_ip import guard
from ansible_collections.ovn.kubernetes.plugins.module_utils._openflow import connection as openflow
from ansible_collections.ovn.kubernetes.plugins.module_utils._openflow.connection import BridgeConnection

from .shared_host import MAC, SharedHost

FOUR, SIX = "10.44.0.100", "fd44::100"
ROUTERS = "52:54:00:00:00:fe"
ASKS = {
    FOUR: f"in_port=5,arp,arp_op=1,arp_tpa={FOUR},arp_spa=10.44.0.1,dl_src={ROUTERS},dl_dst=ff:ff:ff:ff:ff:ff",
    SIX: f"in_port=5,icmp6,icmpv6_type=135,nd_target={SIX},ipv6_dst=ff02::1:ff00:100,dl_src={ROUTERS},"
    "dl_dst=33:33:ff:00:01:00",
}
COMES = {
    FOUR: f"in_port=5,tcp,nw_dst={FOUR},nw_src=10.44.0.1,tp_dst=7000,dl_src={ROUTERS},dl_dst={MAC}",
    SIX: f"in_port=5,tcp6,ipv6_dst={SIX},ipv6_src=fd44::1,tp_dst=7000,dl_src={ROUTERS},dl_dst={MAC}",
}


@pytest.fixture
def guarded():
    """A host that keeps both addresses closed."""
    with namespace():
        made = SharedHost()
        try:
            made.router()
            made.help()
            made.parted()
            made.patch = int(made.vsctl("get", "Interface", "p1", "ofport"))
            for flow in guard.flows(5, made.patch, MAC, {FOUR: 1, SIX: 2}):
                made.tool("ovs-ofctl", "-O", "OpenFlow14", "add-flow", "breth0", flow)
            yield made
        finally:
            made.remove()


def send(host, *messages):
    """Send messages to the bridge."""

    async def main():
        connection = BridgeConnection(str(host.directory / "breth0.mgmt"))
        await connection.send(messages)
        connection.close()

    asyncio.run(main())


def leaves(host, address):
    """A packet of the router with an address as its source."""
    if ":" in address:
        return (
            f"in_port={host.patch},tcp6,ipv6_src={address},ipv6_dst=fd44::1,tp_src=7000,dl_src={MAC},dl_dst={ROUTERS}"
        )
    return f"in_port={host.patch},tcp,nw_src={address},nw_dst=10.44.0.1,tp_src=7000,dl_src={MAC},dl_dst={ROUTERS}"


@pytest.mark.parametrize(("address", "register"), [(FOUR, 1), (SIX, 2)])
def test_the_address_is_the_routers_while_its_gate_is_there(guarded, address, register):
    """Protects the lease on the wire: without the gate nothing comes and nothing leaves, with it the router has all of
    it, and Open vSwitch removes it by itself. The host's own address stays the host's."""
    assert (
        guarded.goes(ASKS[address]) == guarded.goes(COMES[address]) == guarded.goes(leaves(guarded, address)) == set()
    )
    send(guarded, openflow.gate(guard.GATE_COOKIE, guard.GATES, register, guard.PASSED, 1))
    began = time.monotonic()
    assert guarded.goes(ASKS[address]) == guarded.goes(COMES[address]) == {"router"}
    assert guarded.goes(leaves(guarded, address)) == {"outside"}
    assert guarded.goes(ASKS[FOUR].replace(FOUR, "10.44.0.12")) == {"host"}
    wait_for(lambda: guarded.goes(ASKS[address]) == set(), "the end of the gate", 20)
    print(f"Open vSwitch removed the gate after {time.monotonic() - began:.2f} s")


def test_a_gate_is_closed_at_once(guarded):
    """Protects the end of a lease: the program closes one gate, and leaves the other."""
    send(guarded, *(openflow.gate(guard.GATE_COOKIE, guard.GATES, one, guard.PASSED, 30) for one in (1, 2)))
    send(guarded, openflow.no_gate(guard.GATE_COOKIE, guard.GATES, 1))
    assert guarded.goes(ASKS[FOUR]) == set() and guarded.goes(ASKS[SIX]) == {"router"}
    send(guarded, openflow.no_gate(guard.GATE_COOKIE, guard.GATES, None))
    assert guarded.goes(ASKS[SIX]) == set()


@pytest.mark.parametrize("address", [FOUR, SIX])
def test_announcements_pass_the_gate_only(guarded, address):
    """Protects neighbours: a frame that tells who has the address leaves while the gate is there, and never without."""
    register = {FOUR: 1, SIX: 2}[address]
    frame = openflow.frame(guard.announcement(address, MAC), guarded.patch)
    gate = openflow.gate(guard.GATE_COOKIE, guard.GATES, register, guard.PASSED, 30)
    passed = f"table={guard.PASSED},in_port={guarded.patch}"

    def count():
        text = guarded.tool("ovs-ofctl", "-O", "OpenFlow13", "dump-flows", "breth0", passed)
        return int(re.search(r"n_packets=(\d+)", text)[1])

    send(guarded, frame, frame)
    assert count() == 0
    send(guarded, gate, frame)
    wait_for(lambda: count() == 1, "the announcement to leave", 10)


def test_bridge_without_flows_is_closed(guarded):
    """Protects a gateway whose bridge has lost its flows: NORMAL leads nothing to the router or from it, whatever OVN
    would answer, and the host keeps its way."""
    guarded.vsctl("set", "Port", "p1", f"trunks={guard.NO_VLAN}")
    guarded.helper.kill()
    guarded.helper.wait(10)
    guarded.tool("ovs-ofctl", "del-flows", "breth0")
    guarded.tool("ovs-ofctl", "add-flow", "breth0", "priority=0,actions=NORMAL")

    def reached(packet):
        text = guarded.tool(
            "ovs-appctl", "-t", str(guarded.directory / "vswitchd.ctl"), "ofproto/trace", "breth0", packet
        )
        return re.search(r"Datapath actions: (.*)", text)[1]

    assert 'bridge("br-int")' not in guarded.tool(
        "ovs-appctl", "-t", str(guarded.directory / "vswitchd.ctl"), "ofproto/trace", "breth0", ASKS[FOUR]
    )
    for address in (FOUR, SIX):
        assert reached(leaves(guarded, address)) == "drop"
    assert reached(ASKS[FOUR]) != "drop", "the host hears it"


def test_helper_keeps_closed_what_the_holder_has_not_closed_yet(guarded):
    """Protects a shared NIC after a start of Open vSwitch: the helper's flows lead the router's packets out, and may be
    there before those of the program that holds the addresses."""
    guarded.tool("ovs-ofctl", "del-flows", "breth0", f"cookie={names.EGRESS_IP_COOKIE:#x}/-1")
    assert guarded.goes(leaves(guarded, FOUR)) == {"outside"}, "what this is about"
    guarded.vsctl("set", "Port", "p1", f'external_ids:{names.EGRESS_KEPT_KEY}="{FOUR},{SIX}"')
    for address in (FOUR, SIX):
        guarded.until(lambda one=address: guarded.goes(leaves(guarded, one)) == set(), "the flows of the helper")
        assert guarded.goes(ASKS[address]) == guarded.goes(COMES[address]) == set()
    guarded.restart()
    guarded.parted()
    assert guarded.goes(leaves(guarded, FOUR)) == guarded.goes(ASKS[FOUR]) == set()
