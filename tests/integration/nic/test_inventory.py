# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects all that a NIC has while it goes into its bridge and back, with a real Open vSwitch and kernel: it comes
along, it stays, or it is refused by name before anything is touched."""

from __future__ import annotations

import json
import pathlib
import re
import socket
import struct
import subprocess

import pytest
from database_server import wait_for
from kernel_links import pair, tool
from network_namespace import ip, ip_batch
from vswitch import Vswitch

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink import addresses
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.records import KernelAddress
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.socket import RouteSocket
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic import executor, inventory
from ansible_collections.ovn.kubernetes.plugins.module_utils._verify import checks, read
from ansible_collections.ovn.kubernetes.plugins.module_utils._verify.facts import Lasting

# A router that answers no ARP, an address that is not preferred any more, and what else people put on a NIC.
SETUP = """
address add 10.55.0.12/24 dev eth1
address add 10.55.0.13/24 dev eth1 preferred_lft 0 valid_lft forever
address add fd55::12/64 dev eth1 nodad
address add fd55::13/64 dev eth1 nodad preferred_lft 0 valid_lft forever
route add default via 10.55.0.254
neighbour add 10.55.0.254 lladdr 02:00:00:00:00:fe dev eth1 nud permanent
neighbour add 10.55.0.253 lladdr 02:00:00:00:00:fd dev eth1 nud noarp
neighbour add 10.55.0.252 lladdr 02:00:00:00:00:fc dev eth1 nud stale extern_learn
neighbour add proxy 10.66.0.1 dev eth1
-6 neighbour add fd55::fe lladdr 02:00:00:00:00:fe dev eth1 nud permanent router
-6 neighbour add proxy fd66::1 dev eth1
link set eth1 allmulticast on
link set eth1 group 7
"""
SETTINGS = {
    "ipv4/conf/{}/rp_filter": "2",
    "ipv4/conf/{}/arp_ignore": "1",
    "ipv4/conf/{}/proxy_arp": "1",
    "ipv4/conf/{}/forwarding": "1",
    "ipv4/conf/{}/accept_local": "1",
    "ipv4/conf/{}/log_martians": "1",
    "ipv6/conf/{}/accept_ra": "2",
    "ipv6/conf/{}/proxy_ndp": "1",
    "ipv6/conf/{}/use_tempaddr": "2",
    "ipv6/conf/{}/mtu": "1400",
    "ipv4/neigh/{}/retrans_time_ms": "700",
    "ipv6/neigh/{}/gc_stale_time": "90",
}


@pytest.fixture
def vswitch(monkeypatch):
    """A host with a NIC."""
    pair("eth1")
    server = Vswitch()
    server.keep_here(monkeypatch.setattr)
    yield server
    server.remove()


def sysctl(setting, link):
    return pathlib.Path("/proc/sys/net", setting.format(link)).read_text(encoding="ascii").strip()


def set_sysctl(setting, link, value):
    pathlib.Path("/proc/sys/net", setting.format(link)).write_text(value, encoding="ascii")


def furnish():
    """Give the NIC all of it."""
    for setting, value in SETTINGS.items():
        set_sysctl(setting, "eth1", value)
    ip_batch(SETUP.strip().splitlines())
    ip("token set ::7 dev eth1")
    with RouteSocket() as kernel:  # ip(8) can't say it before version 6.3
        addresses.add_address(kernel, KernelAddress("eth1", "10.55.0.14/24", protocol=77))


def state(link):
    """What ip and the kernel show of a link, its name left out; states of neighbours that run on count as one."""
    (shown,) = json.loads(ip(f"-d -j address show dev {link}"))
    addresses = [
        {key: value for key, value in one.items() if key not in ("label", "valid_life_time")}
        for one in shown["addr_info"]
        if one["scope"] == "global" and not one.get("dynamic")
    ]
    neighbours = []
    for family in "46":
        for kind in ("", "proxy"):
            neighbours += ip(f"-{family} neighbour show {kind} dev {link} nud all").splitlines()
    return {
        "addresses": addresses,
        "neighbours": sorted(
            re.sub("STALE|DELAY|PROBE|REACHABLE", "", line).strip()
            for line in neighbours
            if "33:33" not in line and "FAILED" not in line and "fe80" not in line
        ),
        "routes": sorted(line.replace(link, "LINK") for line in ip(f"route show dev {link}").splitlines()),
        "flags": sorted({"NOARP", "MULTICAST", "ALLMULTI"} & set(shown["flags"])),
        "group": shown["group"],
        "protocols": protocols(link),
        "token": ip(f"token get dev {link}").split()[1:2],
        "settings": {setting: sysctl(setting, link) for setting in (*SETTINGS, "ipv6/conf/{}/disable_ipv6")},
    }


def protocols(link):
    with RouteSocket() as kernel:
        return sorted((one.cidr, one.protocol) for one in addresses.read_addresses(kernel, {link}) if one.configured)


def move(vswitch, present):
    return vswitch.host().uplinks(["eth1"], present, "request")


VIRTUAL = "10.55.0.100/32"


def mac(link):
    """The MAC of a link; None: there is no such link."""
    return next((one["address"] for one in json.loads(ip("-j link")) if one["ifname"] == link), None)


def boot(vswitch):
    """Let Open vSwitch make the bridge anew, and run what the boot's unit does; what the bridge has then."""
    vswitch.daemon.terminate()
    vswitch.daemon.wait(10)
    ip("link delete breth1")
    vswitch.serve()
    # ovs-vswitchd takes a new link down for a moment to give it its MAC.
    wait_for(lambda: mac("breth1") == mac("eth1"), "the bridge to have its MAC")
    vswitch.host().restore_uplink("eth1")
    return ip("-4 -br address show dev breth1").split()[2:]


def test_all_comes_along_and_back(vswitch):
    """Protects permanent neighbours, deprecated addresses, kernel settings of both IP versions, and options of the
    link."""
    furnish()
    before = state("eth1")
    assert len(before["neighbours"]) == 6 and before["token"] == ["::7"]
    assert [one["local"] for one in before["addresses"] if one.get("deprecated")] == ["10.55.0.13", "fd55::13"]
    move(vswitch, True)
    assert state("breth1") == before
    left = state("eth1")
    assert (left["addresses"], left["neighbours"], left["routes"]) == ([], [], [])
    assert move(vswitch, True).plan == []
    move(vswitch, False)
    assert state("eth1") == before


def test_what_is_the_nics_own_stays(vswitch):
    """Protects names, alias, queue length and link-layer groups of the NIC: it has them in its bridge too."""
    ip_batch(
        [
            "link property add dev eth1 altname uplink-to-the-world",
            "link set eth1 alias rack7 txqueuelen 700",
            "maddress add 33:33:00:00:07:07 dev eth1",
            "address add 10.55.0.12/24 dev eth1",
        ]
    )

    def own():
        (shown,) = json.loads(ip("-j link show dev eth1"))
        groups = [line for line in ip("maddress show dev eth1").splitlines() if "07:07" in line]
        return [shown[key] for key in ("ifalias", "altnames", "txqlen", "address", "mtu")], groups

    before = own()
    for present in (True, False):
        move(vswitch, present)
        assert own() == before


def test_a_label_that_is_too_long_for_the_bridge(vswitch):
    """Protects the label of an address on a NIC with a long name, which is part of the label."""
    nic = "enp129s0f0np0"
    pair(nic, "far")
    ip_batch([f"address add 10.56.0.12/24 dev {nic}", f"address add 10.56.0.13/24 dev {nic} label {nic}:7"])
    before = ip(f"-o -4 address show dev {nic}").splitlines()
    assert f"{nic}:7" in before[1]
    for present in (True, False):
        vswitch.host().uplinks([nic], present, "request")
    assert ip(f"-o -4 address show dev {nic}").splitlines() == before


def test_ipv6_that_is_off_stays_off_and_what_is_on_stays_on(vswitch):
    """Protects a NIC without IPv6, and one with it on a host that switches IPv6 off elsewhere: its addresses would be
    refused."""
    ip("address add 10.55.0.12/24 dev eth1")
    set_sysctl("ipv6/conf/{}/disable_ipv6", "eth1", "1")
    before = state("eth1")
    move(vswitch, True)
    assert sysctl("ipv6/conf/{}/disable_ipv6", "breth1") == "1" and "inet6" not in ip("address show dev breth1")
    assert state("breth1") == before
    move(vswitch, False)
    assert state("eth1") == before
    set_sysctl("ipv6/conf/{}/disable_ipv6", "eth1", "0")
    set_sysctl("ipv6/conf/{}/disable_ipv6", "default", "1")
    ip("address add fd55::12/64 dev eth1 nodad")
    before = state("eth1")
    move(vswitch, True)
    assert state("breth1") == before and "fd55::12" in str(before)
    move(vswitch, False)
    assert state("eth1") == before


def test_a_link_without_arp(vswitch):
    """Protects a NIC whose neighbours are all given."""
    ip_batch(
        [
            "link set eth1 arp off",
            "address add 10.55.0.12/24 dev eth1",
            "neighbour add 10.55.0.254 lladdr 02:00:00:00:00:fe dev eth1 nud permanent",
        ]
    )
    before = state("eth1")
    move(vswitch, True)
    assert state("breth1") == before and before["flags"] == ["MULTICAST", "NOARP"]
    move(vswitch, False)
    assert state("eth1") == before


def test_a_way_back_that_fails_leaves_the_bridge_as_it_was(vswitch, monkeypatch):
    """Protects the bridge's settings, which go with it when Open vSwitch removes it, and are due again when the rest
    can't be done."""
    furnish()
    move(vswitch, True)
    set_sysctl("ipv4/conf/{}/medium_id", "breth1", "9")
    before = state("breth1")
    original = executor.write_rows

    def write_and_fail(nic, settings, remote):
        original(nic, settings, remote)
        if settings is None:
            raise HostError("no space left")

    monkeypatch.setattr(executor, "write_rows", write_and_fail)
    with pytest.raises(HostError, match="no space left"):
        move(vswitch, False)
    assert state("breth1") == before
    assert sysctl("ipv4/conf/{}/medium_id", "breth1") == "9"


def test_a_boot_brings_it_back(vswitch):
    """Protects what nobody else configures at a boot, neighbours too; a second run of the boot's unit does nothing."""
    furnish()
    before = state("eth1")
    move(vswitch, True)
    boot(vswitch)
    after = state("breth1")
    assert [after[key] for key in ("settings", "flags", "group", "token", "routes")] == [
        before[key] for key in ("settings", "flags", "group", "token", "routes")
    ]
    assert {"10.55.0.254", "10.66.0.1", "fd66::1"} <= {line.split()[0] for line in after["neighbours"]}
    assert vswitch.host().restore_uplink("eth1").plan == []


def test_a_virtual_address_moves_and_does_not_come_back_at_a_boot(vswitch):
    """Protects the host that has keepalived's or kube-vip's address by then. While the NIC moves it stays in service,
    and what is left out is said."""
    ip_batch(["address add 10.55.0.12/24 dev eth1", f"address add {VIRTUAL} dev eth1 label eth1:vip"])
    result = move(vswitch, True)
    assert ip("-4 -br address show dev breth1").split()[2:] == ["10.55.0.12/24", VIRTUAL]
    assert list(result.notes) == [
        f"{VIRTUAL} (label breth1:vip) belongs to a program of this host: it moves now, and breth1 does not get it "
        "again at a boot"
    ]
    assert [row.wrong for row in checks.left_out(None, Lasting(left_out=read._left_out()))] == [
        f"{VIRTUAL} (label breth1:vip) was on the NIC of breth1, and is taken for the address of a program"
    ]
    assert boot(vswitch) == ["10.55.0.12/24"]
    assert move(vswitch, True).plan == []
    # A program that is faster than the boot's unit keeps nothing from the bridge.
    ip("address flush dev breth1")
    ip(f"address add {VIRTUAL} dev breth1")
    vswitch.host().restore_uplink("eth1")
    assert set(ip("-4 -br address show dev breth1").split()[2:]) == {"10.55.0.12/24", VIRTUAL}
    move(vswitch, False)
    assert set(ip("-4 -br address show dev eth1").split()[2:]) == {"10.55.0.12/24", VIRTUAL}


def test_what_an_earlier_version_has_kept_of_programs_does_not_come_back(vswitch):
    """Protects hosts whose NIC an earlier version moved: it has kept the virtual address too."""
    ip_batch(["address add 10.55.0.12/24 dev eth1", f"address add {VIRTUAL} dev eth1 label eth1:vip"])
    move(vswitch, True)
    path = pathlib.Path(names.uplink_file("eth1"))
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert kept.pop("left_out") and "10.55.0.100" not in str(kept["had"])
    own = kept["had"][0]["given_addresses"][0]
    kept["had"][0]["given_addresses"].append({**own, "cidr": VIRTUAL, "label": "breth1:vip"})
    path.write_text(json.dumps(kept), encoding="utf-8")
    assert boot(vswitch) == ["10.55.0.12/24"]
    assert "left_out" in path.read_text(encoding="utf-8")
    assert vswitch.host().restore_uplink("eth1").plan == []


def test_what_was_set_on_the_bridge_comes_back(vswitch):
    """Protects a setting that an administrator made while the NIC was in its bridge."""
    furnish()
    move(vswitch, True)
    set_sysctl("ipv4/conf/{}/rp_filter", "breth1", "0")
    set_sysctl("ipv4/conf/{}/shared_media", "breth1", "0")
    move(vswitch, False)
    assert sysctl("ipv4/conf/{}/shared_media", "eth1") == "0"


FILTER = "table inet own {{\nchain c {{\ntype filter hook input priority 0; policy accept\n{} accept\n}}\n}}"
REFUSED = {
    "qdisc": ("tc qdisc add dev eth1 root tbf rate 10mbit burst 32k latency 100ms", "the queueing discipline tbf of"),
    "ingress": ("tc qdisc add dev eth1 ingress", r"the queueing discipline ingress of .*del dev eth1 ingress"),
    "clsact": ("tc qdisc add dev eth1 clsact", "would see no packets before"),
    "nftables": (
        f"nft '{FILTER.format('iifname eth1')}'",
        "nftables table inet own has rules for eth1, .*breth1 beside",
    ),
    "index": (f"nft '{FILTER.format('oif eth1')}'", "nftables table inet own has rules for eth1"),
    "pattern": (f"nft '{FILTER.format('iifname eth*')}'", "nftables table inet own has rules for eth1"),
    "set": (
        "nft 'table ip own {\nset s {\ntype ifname; elements = { eth1, eth7 }\n}\n"
        "chain c {\ntype nat hook postrouting priority 100\noifname @s masquerade\n}\n}'",
        "nftables table ip own has rules for eth1",
    ),
    "address label": (
        "ip addrlabel add prefix fd55::/64 dev eth1 label 77",
        r"fd55::/64 has an address label on eth1 alone",
    ),
    "ingress chain": (
        "nft 'table netdev own {\nchain c {\ntype filter hook ingress device eth1 priority 0\n}\n}'",
        "table netdev own filters packets at the ingress of eth1",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_be_lost_is_refused_by_name(vswitch, case):
    """Protects shaping that Open vSwitch removes, and rules of packet filters that would not see the bridge."""
    setup, reason = REFUSED[case]
    subprocess.run(setup, shell=True, timeout=20, check=True)
    ip("address add 10.55.0.12/24 dev eth1")
    with pytest.raises(HostError, match=reason):
        move(vswitch, True)
    assert vswitch.rows("Bridge") == [] and "10.55.0.12" in ip("address show dev eth1")


def test_rules_that_name_the_bridge_too_are_fine(vswitch):
    """Protects the way out that the refusal names, and rules about other links."""
    for rule in ("iifname { eth1, breth1 }", "iifname eth10"):
        tool("nft", FILTER.format(rule))
        move(vswitch, True)
        move(vswitch, False)
        tool("nft", "flush ruleset")


def test_groups_that_programs_joined_are_named(vswitch):
    """Protects programs that listen to a group on the NIC: nobody else can join it on the bridge for them."""
    ip("address add 10.55.0.12/24 dev eth1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as program:
        joined = struct.pack("4s4si", socket.inet_aton("224.0.0.18"), bytes(4), socket.if_nametoindex("eth1"))
        program.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
        assert inventory.notes("eth1") == [
            "programs of this host have joined 224.0.0.18 on eth1: start them again with breth1 as their interface"
        ]
    assert inventory.notes("eth1") == []
