# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What is written for each manager so that a moved NIC outlives a boot: whole files, as a reader of the manager's
manual would check them."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.desired import File
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.managers import ifupdown, networkd_files
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.managers.base import Lease, NicConfiguration, Profile
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.managers.network_manager import NetworkManagerNic
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.managers.networkd import NetworkdNic
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.persistence import persistence

NETWORKD, NETWORK_MANAGER, IFUPDOWN = "systemd-networkd", "NetworkManager", "ifupdown"
MAC = "02:44:0a:2c:00:0b"
RUNNING = {NETWORKD: (NETWORKD,), NETWORK_MANAGER: (NETWORK_MANAGER,), IFUPDOWN: (), None: ()}
DUID_LEASE = Lease("10.44.0.108", "ffa94e65cd00020000ab114c6c251719a7eb99")
INTERFACES = """\
# This file describes the network interfaces
source /etc/network/interfaces.d/*

# The loopback network interface
auto lo
iface lo inet loopback

allow-hotplug eth0
iface eth0 inet static
    address 192.0.2.11/24
    gateway 192.0.2.1
    mtu 9000
    # by resolvconf
    dns-nameservers 192.0.2.53
    up ip route add 198.51.100.0/24 via 192.0.2.254 dev eth0 \\
        metric 50
    post-up ethtool -K eth0 tso off
    down ip rule del oif eth0 lookup 100

iface eth0 inet6 static
    address 2001:db8::11/64

iface eth01 inet manual
"""
REWRITTEN = """\
# This file describes the network interfaces
source /etc/network/interfaces.d/*

# The loopback network interface
auto lo
iface lo inet loopback

allow-hotplug eth0
# Part of the Ansible collection ovn.kubernetes: eth0 is a port of breth0, which has its addresses.
iface eth0 inet manual
    mtu 9000
    post-up ethtool -K eth0 tso off
iface breth0 inet static
    address 192.0.2.11/24
    gateway 192.0.2.1
    # by resolvconf
    dns-nameservers 192.0.2.53
    up ip route add 198.51.100.0/24 via 192.0.2.254 dev breth0 \\
        metric 50
    down ip rule del oif breth0 lookup 100

iface breth0 inet6 static
    address 2001:db8::11/64

iface eth01 inet manual
auto breth0
"""
NETWORK = """\
[Match]
MACAddress=02:44:0a:2c:00:0b

; hardware
[Link]
MTUBytes=9000
RequiredForOnline=routable

[Network]
Address=192.0.2.11/24
Address=2001:db8::11/64
DNS=192.0.2.53
Domains=example.net ~example.com

[Route]
Gateway=192.0.2.1
Metric=50

[RoutingPolicyRule]
OutgoingInterface=eth0
Table=100

[TokenBucketFilter]
Rate=100M
"""


RECORDS = {NETWORKD: NetworkdNic, NETWORK_MANAGER: NetworkManagerNic}


def configured(manager, text="", path=None, **more):
    """Return the configuration of a NIC, with one file."""
    path = path or {NETWORKD: "/etc/systemd/network/20-uplink.network", IFUPDOWN: "/etc/network/interfaces"}.get(
        manager
    )
    files = (File(path, text),) if path else ()
    record = RECORDS.get(manager, NicConfiguration)
    return record("eth0", MAC, manager, files, **{"running": RUNNING[manager], **more})


def written(nic):
    """Return path to text of the files that are desired."""
    return {file.path: file.content for file in persistence(nic, "breth0").files}


def settings(text):
    """Sections of a file of networkd, their lines in order."""
    return [(section.name, [entry.line for entry in section.entries]) for section in networkd_files.sections(text)]


def test_networkd_configures_the_bridge_and_leaves_the_nic_bare():
    """Protects addresses, routes, rules and resolvers: the bridge gets all of them, the NIC what is about its
    hardware."""
    nic, bridge = map(settings, written(configured(NETWORKD, NETWORK)).values())
    assert bridge == [
        ("Match", ["Name=breth0"]),
        ("Link", ["RequiredForOnline=routable"]),
        (
            "Network",
            ["Address=192.0.2.11/24", "Address=2001:db8::11/64", "DNS=192.0.2.53", "Domains=example.net ~example.com"],
        ),
        ("Route", ["Gateway=192.0.2.1", "Metric=50"]),
        ("RoutingPolicyRule", ["OutgoingInterface=breth0", "Table=100"]),
    ]
    assert nic == [
        ("Match", ["Name=eth0"]),
        ("Network", ["DHCP=no", "LinkLocalAddressing=no", "IPv6AcceptRA=no", "LLDP=no"]),
        ("Link", ["RequiredForOnline=no"]),
        ("Link", ["MTUBytes=9000"]),
        ("TokenBucketFilter", ["Rate=100M"]),
    ]


def test_netplan_stays_as_it_is():
    """Protects what netplan writes anew at each boot: our files come before it, and none of its own is touched."""
    text = "[Match]\nName=eth0\n\n[Network]\nLinkLocalAddressing=ipv6\nAddress=192.0.2.11/24\n"
    desired = persistence(configured(NETWORKD, text, "/run/systemd/network/10-netplan-eth0.network"), "breth0")
    assert [file.path for file in desired.files] == list(networkd_files.paths("eth0", "breth0"))
    assert all(file.path.rpartition("/")[2] < "10-netplan-eth0.network" for file in desired.files)
    assert [file.content for file in desired.previous] == [None, None]


def test_a_boot_does_not_wait_for_the_bare_nic():
    """Protects the boot: netplan names the NIC to whoever waits for the network, which would take two minutes and
    fail."""
    path, text = list(written(configured(NETWORKD, NETWORK, awaited=True)).items())[2]
    assert path == "/etc/systemd/system/systemd-networkd-wait-online.service.d/20-ovn-kubernetes-eth0.conf"
    assert settings(text) == [("Service", ["ExecStart=", "ExecStart=/lib/systemd/systemd-networkd-wait-online"])]


def test_drop_ins_count():
    """Protects settings that a drop-in adds."""
    nic = NetworkdNic(
        "eth0",
        MAC,
        NETWORKD,
        (
            File("/etc/systemd/network/20-uplink.network", "[Match]\nName=eth0\n[Network]\nAddress=192.0.2.11/24"),
            File("/etc/systemd/network/20-uplink.network.d/dns.conf", "[Network]\nDNS=192.0.2.53\n"),
        ),
    )
    assert ("Network", ["DNS=192.0.2.53"]) in settings(written(nic)[networkd_files.paths("eth0", "breth0")[1]])


def test_networkd_keeps_its_lease():
    """Protects the address of DHCP: networkd makes its identifiers of the link's name, so that they are pinned (RFC
    4361)."""
    text = "[Match]\nName=eth0\n[Network]\nDHCP=yes\n[DHCPv4]\nUseMTU=no\nIAID=7\n"
    bridge = settings(
        list(written(configured(NETWORKD, text, lease=DUID_LEASE, leased=("10.44.0.108/24",))).values())[1]
    )
    pins = ["IAID=2840487373", "DUIDType=2", "DUIDRawData=00:00:ab:11:4c:6c:25:17:19:a7:eb:99"]
    assert bridge[2:] == [("DHCPv4", ["UseMTU=no"]), ("DHCPv4", ["ClientIdentifier=duid", *pins]), ("DHCPv6", pins)]


def test_networkd_keeps_a_lease_by_mac():
    """Protects the client that is known by its MAC: the bridge has the same one."""
    bridge = settings(
        list(
            written(
                configured(NETWORKD, "[Network]\nDHCP=ipv4\n", lease=Lease("10.44.0.108", "0102440a2c000b"))
            ).values()
        )[1]
    )
    assert bridge[-1] == ("DHCPv4", ["ClientIdentifier=mac"])


def test_ifupdown_moves_stanzas():
    """Protects every line of a stanza: addresses, resolvers, routes and rules go to the bridge, the hardware's settings
    stay with the NIC."""
    desired = persistence(configured(IFUPDOWN, INTERFACES), "breth0")
    assert desired.files[0] == File("/etc/network/interfaces", REWRITTEN)
    assert desired.previous[0] == File("/etc/network/interfaces", INTERFACES)
    assert desired.files[1].path == ifupdown.ORDER.path and desired.previous[1] == File(ifupdown.ORDER.path, None)
    assert not desired.restores


def test_ifupdown_in_several_files():
    """Protects files that others include, the bridge from being listed twice, and files that have nothing of the
    NIC."""
    files = (
        File("/etc/network/interfaces", "auto lo eth0\nsource interfaces.d/*\n"),
        File("/etc/network/interfaces.d/lo", "iface lo inet loopback\n"),
        File("/etc/network/interfaces.d/up", "iface eth0 inet dhcp\n", 0o600),
    )
    desired = persistence(NicConfiguration("eth0", MAC, IFUPDOWN, files, leased=("192.0.2.11/24",)), "breth0")
    assert [file.path for file in desired.files[:-1]] == ["/etc/network/interfaces", "/etc/network/interfaces.d/up"]
    assert desired.files[0].content == "auto lo eth0 breth0\nsource interfaces.d/*\n"
    assert desired.files[1].content.splitlines()[1:] == [
        "iface eth0 inet manual",
        "iface breth0 inet dhcp",
        "auto breth0",
    ]
    assert desired.files[1].mode == 0o600


def test_network_manager_leaves_both_alone():
    """Protects the NIC from being configured again, and the resolvers, which NetworkManager forgets with the NIC."""
    dns = (
        "# Generated by NetworkManager",
        "search example.net lab.example",
        "nameserver 192.0.2.53",
        "nameserver 2001:db8::53",
    )
    nic = configured(NETWORK_MANAGER, dns=dns)
    ((path, text),) = written(nic).items()
    assert path == "/etc/NetworkManager/conf.d/90-ovn-kubernetes-eth0.conf"
    assert text.splitlines()[1:] == [
        "[device-ovn-kubernetes-eth0]",
        "match-device=interface-name:eth0,interface-name:breth0",
        "managed=0",
        "",
        "[global-dns]",
        "searches=example.net,lab.example",
        "",
        "[global-dns-domain-*]",
        "servers=192.0.2.53,2001:db8::53",
    ]
    desired = persistence(nic, "breth0")
    assert desired.restores and desired.handovers[0].early and not desired.handovers[0].back().early


def test_network_manager_serves_the_bridge_where_an_address_is_leased():
    """Protects the lease: NetworkManager leaves the NIC alone only, and the bridge is the same client with the same
    routes and interface identifier."""
    nic = configured(
        NETWORK_MANAGER,
        leased=("192.0.2.11/24", "2001:db8::44:aff:fe2c:b/64"),
        lease=Lease("192.0.2.11", "0102440a2c000b"),
        profile="4d3c",
        metric=101,
    )
    ((_path, text),) = written(nic).items()
    assert text.splitlines()[1:] == ["[device-ovn-kubernetes-eth0]", "match-device=interface-name:eth0", "managed=0"]
    desired = persistence(nic, "breth0")
    assert not desired.restores and desired.handovers[0].early
    assert desired.handovers[0].profile == Profile("4d3c", True, "01:02:44:0a:2c:00:0b", "::44:aff:fe2c:b", 101)
    assert persistence(configured(NETWORK_MANAGER, profile="4d3c"), "breth0").handovers[0].profile == Profile("4d3c")


def test_a_nic_that_only_the_gateway_uses():
    """Protects against a manager that goes on with the NIC: a DHCP client would put the address back. The bridge gets
    nothing, and the NIC keeps what is about its hardware."""
    alone = persistence(configured(NETWORKD, NETWORK, leased=("192.0.2.11/24",)), "breth0", alone=True)
    nic, bridge = (settings(file.content) for file in alone.files)
    assert nic == [
        ("Match", ["Name=eth0"]),
        ("Network", ["DHCP=no", "LinkLocalAddressing=no", "IPv6AcceptRA=no", "LLDP=no"]),
        ("Link", ["RequiredForOnline=no"]),
        ("Link", ["MTUBytes=9000"]),
        ("TokenBucketFilter", ["Rate=100M"]),
    ]
    assert bridge == [("Match", ["Name=breth0"]), ("Link", ["Unmanaged=yes"])]
    assert [file.content for file in alone.previous] == [None, None]
    alone = persistence(configured(IFUPDOWN, INTERFACES), "breth0", alone=True)
    (file,) = alone.files
    assert "breth0 inet" not in file.content and "auto breth0" not in file.content
    assert "iface eth0 inet manual\n    mtu 9000\n    post-up ethtool -K eth0 tso off\n" in file.content
    assert "192.0.2.11" not in file.content and alone.previous == (File("/etc/network/interfaces", INTERFACES),)
    # A lease that could not move to a bridge is no reason to refuse.
    leased = configured(NETWORK_MANAGER, leased=("192.0.2.11/24",), helper="dhclient", profile="4d3c", metric=101)
    alone = persistence(leased, "breth0", alone=True)
    assert alone.files[0].content.splitlines()[1:] == [
        "[device-ovn-kubernetes-eth0]",
        "match-device=interface-name:eth0,interface-name:breth0",
        "managed=0",
    ]
    (handover,) = alone.handovers
    assert handover.alone and handover.early and handover.profile == Profile("4d3c", metric=101)
    assert handover.back().steps().last.alone
    with pytest.raises(HostError, match="who renews it is not known"):
        persistence(configured(None, leased=("192.0.2.11/24",)), "breth0", alone=True)


def test_nobody_configures_the_nic():
    """Protects hosts without a manager: no files, our own unit brings back what the NIC had."""
    desired = persistence(configured(None), "breth0")
    assert (desired.files, desired.previous, desired.handovers, desired.restores) == ((), (), (), True)


@pytest.mark.parametrize(
    ("running", "path"),
    [
        (NETWORKD, "/etc/systemd/network/00-ovn-kubernetes-breth0.network"),
        (NETWORK_MANAGER, "/etc/NetworkManager/conf.d/90-ovn-kubernetes-eth0.conf"),
    ],
)
def test_others_that_run_leave_the_bridge_alone(running, path):
    """Protects the bridge from a manager that takes every link that it does not know."""
    desired = persistence(configured(None, running=(running,)), "breth0")
    assert (
        [file.path for file in desired.files] == [path]
        and "breth0" in desired.files[0].content
        and "=eth0" not in desired.files[0].content
    )
    assert [one.manager for one in desired.handovers] == [running]


def interfaces(more):
    """A stanza, and more."""
    return "auto eth0\niface eth0 inet static\n  address 192.0.2.11/24\n" + more


@pytest.mark.parametrize(
    ("nic", "words"),
    [
        (configured(None, leased=("192.0.2.11/24",)), "who renews it is not known"),
        (
            configured(NETWORK_MANAGER, leased=("192.0.2.11/24",)),
            "leased to NetworkManager, but it does not say under which client identifier",
        ),
        (configured(NETWORK_MANAGER, leased=("192.0.2.11/24",), helper="dhclient"), "leased to dhclient"),
        (configured(NETWORK_MANAGER, leased=("2001:db8::7/128",), lease=Lease("", ipv6=True)), "by DHCPv6"),
        (
            configured(NETWORK_MANAGER, leased=("2001:db8::7/64", "2001:db8:1::8/64"), lease=Lease("")),
            "several interface identifiers",
        ),
        (configured(NETWORKD, "[Network]\nBond=bond0\n"), "belongs to bond0"),
        (configured(NETWORKD, "[Network]\nVLAN=eth0.7\n"), "eth0.7 is a link on top of eth0"),
        (configured(NETWORKD, "[Network]\nDHCP=yes\n[IPv6AcceptRA]\nToken=prefixstable\n"), "from its name"),
        (configured(NETWORKD, NETWORK, "/etc/systemd/network/00-first.network"), "rename it"),
        (configured(NETWORKD, NETWORK, leased=("192.0.2.11/24",)), "under which client identifier"),
        (configured(NETWORKD, NETWORK, lease=Lease("192.0.2.11", "7a")), "has the identifier 7a"),
        (configured(IFUPDOWN, "auto lo\niface lo inet loopback\n"), "no iface stanza|none of its files"),
        (configured(IFUPDOWN, interfaces("  wpa-ssid home\n")), "option wpa-ssid"),
        (configured(IFUPDOWN, "iface eth0 inet ppp\n"), "method ppp"),
        (configured(IFUPDOWN, "iface eth0 inet static inherits wide\n"), "inherits"),
        (configured(IFUPDOWN, interfaces("mapping eth*\n  script pick\n")), "mapping eth"),
        (configured(IFUPDOWN, interfaces("iface br0 inet manual\n  bridge_ports eth0 eth1\n")), "belongs to br0"),
        (
            configured(IFUPDOWN, interfaces("iface v7 inet manual\n  vlan-raw-device eth0\n")),
            "v7 is a link on top of eth0",
        ),
        (configured(IFUPDOWN, interfaces("iface eth0.7 inet manual\n")), "eth0.7"),
        (configured(IFUPDOWN, interfaces("iface eth0:1 inet static\n  address 192.0.2.12/24\n")), "alias of eth0"),
        (configured(IFUPDOWN, interfaces(""), "/run/network/interfaces.d/eth0"), "made anew at each boot"),
    ],
)
def test_what_is_not_safe_is_refused(nic, words):
    """Protects against a move that would not outlive the next boot, or would end a lease: one sentence, before anything
    is done."""
    with pytest.raises(HostError, match=words) as refusal:
        persistence(nic, "breth0")
    assert "eth0" in str(refusal.value) and "\n" not in str(refusal.value)
