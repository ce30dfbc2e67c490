# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the normal case: the NIC that carries the connection moves and comes back while connections stay."""

from __future__ import annotations

import json

from lab_hosts import on

from .conftest import ADDRESSES, HOST, JOURNAL, Ping, Session, call, inside, nics, snapshot


def test_w22_there_and_back(host):
    """Protects the host: two NICs move at once, with all that they have, under traffic.

    A second call changes nothing; the way back is exact.
    """
    before = snapshot()
    planned = nics("eth0", "eth1", check=True)
    assert planned.good, planned.output
    assert planned.answer["changed"] and snapshot() == before
    with Session() as session, Ping(ADDRESSES[0]) as four, Ping(ADDRESSES[1]) as six:
        there = nics("eth0", "eth1")
        assert there.good, there.output
        assert session.alive()
    for ping, what in ((four, "IPv4"), (six, "IPv6")):
        print(f"to the bridge, {what}: {ping.lost} of {ping.sent} lost, longest gap {ping.gap:.0f} ms")
    assert there.answer["outcome"] == "confirmed" and there.plan == planned.plan
    moved = on(host, "ip -br address; ip route; ip rule; ip -6 rule")
    assert "oif breth0" in moved and "iif breth0" in moved and "via 10.44.0.3 dev breth0" in moved
    assert [
        on(host, f"resolvectl {what} breth0").split(": ")[1].strip()
        for what in ("dns", "domain", "default-route", "llmnr", "dnsovertls", "dnssec")
    ] == ["10.44.0.1 fd44::1", "lab.example ~example.net", "yes", "no", "opportunistic", "allow-downgrade"]
    neighbours = on(host, "ip neighbour show dev breth0 nud permanent; ip neighbour show proxy dev breth0")
    assert {"10.44.0.3", "fd44::2", "10.66.0.1"} <= {line.split()[0] for line in neighbours.splitlines()}
    assert "deprecated" in on(host, "ip address show dev breth0 to 10.44.0.120")
    settings = on(host, "sysctl -n net.ipv4.conf.breth0.log_martians net.ipv4.conf.breth1.arp_announce")
    assert settings.split() == ["1", "2"]
    assert "10.44.0.100/32 (label breth0:vip) belongs to a program" in " ".join(there.output.split())
    assert "PROMISC" in on(host, "ip link show breth1") and on(host, "cat /sys/class/net/breth1/mtu").strip() == "1400"
    assert on(host, "cat /sys/class/net/breth0/address") == on(host, "cat /sys/class/net/eth0/address")
    again = nics("eth0", "eth1")
    assert again.good and not again.answer["changed"] and again.plan == []
    with Session() as session, Ping(ADDRESSES[0]) as ping:
        back = nics("eth0", "eth1", state="absent")
        assert back.good, back.output
        assert session.alive()
    print(f"back to the NIC: {ping.lost} of {ping.sent} lost, longest gap {ping.gap:.0f} ms")
    assert snapshot() == before
    assert not nics("eth0", "eth1", state="absent").answer["changed"]


NODE = {
    "part": "host",
    "node_name": "node9",
    "cluster_ip_subnet": "192.168.0.0/16",
    "minion_switch_subnet": "192.168.9.0/24",
    "southbound": "tcp:10.44.0.10:6642",
    "datapath_type": "netdev",
}


def test_it_lasts(bare):
    """Protects against a host that is unreachable after its next boot: the bridge has the addresses again by itself.

    The NIC is moved for tunnels here, by ovn_minion_init alone, which asks for the same confirmation.
    """
    on(bare, "resolvectl dns eth0 10.44.0.1")
    before = snapshot()
    planned = call("ovn_minion_init", **NODE, check=True)
    made = call("ovn_minion_init", **NODE)
    assert made.good, made.output
    parts = {
        "Bridge br-int: insert",
        "name servers: move from eth0 to breth0",
        "file /etc/ovn-kubernetes/uplinks/eth0.json: add",
    }
    assert parts <= set(planned.plan) and parts <= set(made.plan)
    assert made.answer["underlay_nic"] == "eth0"
    change = json.loads(inside(f"cat {JOURNAL}"))
    assert (change["state"], change["timeout"]) == ("confirmed", 30)
    inside_before = on(bare, "ip -br address show dev breth0")
    restart_only()
    assert on(bare, "ip -br address show dev breth0").split()[2:4] == inside_before.split()[2:4]
    assert on(bare, "resolvectl dns breth0").endswith(": 10.44.0.1\n")
    assert not call("ovn_minion_init", **NODE).answer["changed"]
    gone = call("ovn_minion_init", **NODE, state="absent")
    assert gone.good and "Bridge breth0: delete" in gone.plan, gone.output
    assert not call("ovn_minion_init", **NODE, state="absent").answer["changed"]
    assert snapshot() == before


def restart_only():
    """Switch the host off and on, and wait until its boot has brought the uplink back."""
    from lab_hosts import lab, wait

    lab("restart", HOST)
    wait(
        lambda: "10.44.0.19" in on(HOST, "ip -br address show dev breth0", check=False).stdout,
        30,
        "the address on the bridge",
    )
