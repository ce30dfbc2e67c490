# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects other hosts: an address that a program moves between hosts is not given to a bridge again at a boot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._host.steps.moves import MoveStep
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.constants import IfaFlag, Ntf
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.records import (
    KernelAddress,
    KernelNeighbour,
    KernelRoute,
    KernelRule,
    Nexthop,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic import lasting as module
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.lasting import (
    NamedAddresses,
    addresses_in,
    is_configuration,
    lasting,
    named_addresses,
)

BRIDGE = "breth0"
OWN = KernelAddress(BRIDGE, "10.33.74.11/24", label=BRIDGE)
OWN6 = KernelAddress(BRIDGE, "fd33::11/64")
NOBODY = NamedAddresses()
SECOND = int(IfaFlag.PERMANENT | IfaFlag.SECONDARY)


def address(cidr, **more):
    return KernelAddress(BRIDGE, cidr, **{"label": BRIDGE if "." in cidr else None, **more})


def saved(*addresses, named=NOBODY, **more):
    return lasting(MoveStep("eth0", BRIDGE, given_addresses=addresses, **more), named)


def kept(*addresses, named=NOBODY):
    return [one.cidr for one in saved(*addresses, named=named).move.given_addresses]


PROGRAMS = {
    "kube-vip": (address("10.33.74.100/32"), "it is in no network"),
    "keepalived": (address("10.33.74.100/24", flags=SECOND, protocol=18), "protocol 18"),
    "label": (address("10.33.74.100/24", flags=SECOND, label="breth0:vip"), "label breth0:vip"),
    "label of VRRP": (address("10.33.74.100/24", flags=SECOND, label="breth0:VRRP1"), "label breth0:VRRP1"),
    "IPv6": (address("fd33::100/128", flags=int(IfaFlag.PERMANENT | IfaFlag.NODAD)), "it is in no network"),
    "IPv6 that is deprecated": (address("fd33::100/128", preferred=0), "it is in no network"),
}


@pytest.mark.parametrize("case", PROGRAMS)
def test_addresses_of_programs_are_left_out(case):
    """Protects the host that has the address by then; what is left out is said, with what shows it."""
    virtual, reason = PROGRAMS[case]
    found = saved(OWN, OWN6, virtual)
    assert [one.cidr for one in found.move.given_addresses] == [OWN.cidr, OWN6.cidr]
    assert found.left_out == (f"{virtual.cidr} ({reason})",)


OWNERS = {
    "second of a network": address("10.33.74.12/24", flags=SECOND),
    "with a label": address("10.33.74.12/24", flags=SECOND, label="breth0:web"),
    "deprecated": address("10.33.74.12/24", flags=SECOND, preferred=0),
    "another network": address("172.16.0.1/28"),
    "of a pair": address("10.99.0.1/32", peer="10.99.0.2"),
    "IPv6": address("fd33::12/64"),
    "of the kernel": address("fd33::13/64", protocol=2),
}


@pytest.mark.parametrize("case", OWNERS)
def test_addresses_without_a_mark_are_kept(case):
    """Protects a host whose addresses nobody else brings back."""
    assert kept(OWN, OWN6, OWNERS[case]) == [OWN.cidr, OWN6.cidr, OWNERS[case].cidr]


@pytest.mark.parametrize("ips", [("192.0.2.7/32", "192.0.2.8/32"), ("2001:db8::8/128", "2001:db8::7/128")])
def test_a_cloud_host_keeps_its_address_without_a_network(ips):
    """Protects hosts of clouds, whose own address has no network. Of several it is the oldest, which the kernel lists
    first, and last for IPv6."""
    oldest = ips[0] if "." in ips[0] else ips[1]
    assert kept(*map(address, ips)) == [oldest]


def test_what_a_manager_or_a_file_names_is_kept():
    """Protects an address without a network that is configuration; without the file it would be a program's."""
    virtual = address("10.33.74.100/32", protocol=18, label="breth0:vip")
    assert kept(OWN, virtual, named=NamedAddresses(frozenset({virtual.ip}))) == [OWN.cidr, virtual.cidr]
    # Beside one that is named, none is the host's own for being the only one.
    assert kept(virtual, address("10.33.74.101/32"), named=NamedAddresses(frozenset({virtual.ip}))) == [virtual.cidr]
    # Nor beside one that expires.
    assert kept(address("fd33::9/64", valid=600, preferred=600), address("fd33::100/128")) == []


def test_what_a_program_names_is_left_out():
    """Protects a virtual address that has the host's own network, and a kernel that does not say who gave it. The
    host's own address may be named there as well."""
    movers = NamedAddresses(moved=((OWN.ip, "/etc/keepalived/a.conf"), ("10.33.74.100", "/etc/keepalived/a.conf")))
    found = saved(OWN, address("10.33.74.100/24", flags=SECOND), named=movers)
    assert found.left_out == ("10.33.74.100/24 (/etc/keepalived/a.conf names it)",)


def test_what_needs_such_an_address_is_left_out():
    """Protects the boot: the kernel refuses a route whose source or router it can't reach. What programs that exchange
    routes have told is theirs to tell again."""
    virtual = address("10.33.75.100/24", protocol=18)
    routes = {
        "own": KernelRoute("0.0.0.0/0", (Nexthop(BRIDGE, "10.33.74.1"),)),
        "source": KernelRoute("198.51.100.0/24", (Nexthop(BRIDGE),), source=virtual.ip),
        "router": KernelRoute("198.51.101.0/24", (Nexthop(BRIDGE, "10.33.75.1"),)),
        "BIRD": KernelRoute("198.51.102.0/24", (Nexthop(BRIDGE, "10.33.74.1"),), protocol=12),
        "lease": KernelRoute("198.51.103.0/24", (Nexthop(BRIDGE, "10.33.74.1"),), protocol=16),
        "ends": KernelRoute("198.51.104.0/24", (Nexthop(BRIDGE, "10.33.74.1"),), expires=7),
    }
    rules = KernelRule(4, 500, BRIDGE, extra=((21, b"\x04"),)), KernelRule(4, 501, BRIDGE, extra=((21, b"\x12"),))
    neighbours = (
        KernelNeighbour(BRIDGE, "10.33.74.1", "02:00:00:00:00:01"),
        KernelNeighbour(BRIDGE, "10.33.74.2", "02:00:00:00:00:02", flags=int(Ntf.EXT_LEARNED)),
    )
    more = {"given_routes": tuple(routes.values()), "given_rules": rules, "given_neighbours": neighbours}
    found = saved(OWN, virtual, **more).move
    assert found.given_routes == (routes["own"],)
    assert found.given_rules == rules[:1] and found.given_neighbours == neighbours[:1]
    assert (found.source, found.taken_addresses, found.given_addresses) == (None, (), (OWN,))


def test_who_gave_an_address_is_not_kept():
    """Protects older versions, which read what is kept and know no owners of addresses."""
    own = replace(OWN, protocol=4)
    assert saved(own).move.given_addresses == (OWN,)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """files(name, text) writes a file where configuration and programs' files are looked for."""
    monkeypatch.setattr(module, "CONFIGURATION", (f"{tmp_path}/interfaces",))
    parts = dict(module.MOVERS)
    monkeypatch.setattr(
        module,
        "MOVERS",
        (
            (f"{tmp_path}/keepalived.conf", parts["/etc/keepalived/*.conf"]),
            (f"{tmp_path}/manifest", parts["/etc/kubernetes/manifests/*.y*ml"]),
            (f"{tmp_path}/cib.xml", parts["/var/lib/pacemaker/cib/cib.xml"]),
        ),
    )
    return lambda name, text: (tmp_path / name).write_text(text, encoding="utf-8")


def test_files_that_name_addresses(files):
    """Protects the decision by files: only those addresses that programs move count of theirs, not the host's own and
    its peers'."""
    files(
        "interfaces", "iface eth0 inet static\n  address 10.33.74.11/24\niface eth0 inet6 static\n address FD33::0:11\n"
    )
    files(
        "keepalived.conf", "unicast_src_ip 10.33.74.12\nvirtual_ipaddress {\n 10.33.74.100/24 dev eth0\n fd33::100\n}\n"
    )
    files("manifest", "image: kube-apiserver\nargs: [--advertise-address=10.33.74.12]\n")
    files("cib.xml", '<nvpair id="vip-ip" name="ip" value="10.33.74.102"/><nvpair name="host" value="10.33.74.12"/>')
    found = named_addresses(["10.33.74.13"])
    assert found.configured == {"10.33.74.11", "fd33::11", "10.33.74.13"}
    assert set(dict(found.moved)) == {"10.33.74.100", "fd33::100", "10.33.74.102"}
    files("manifest", "image: ghcr.io/kube-vip/kube-vip\nenv: [{name: address, value: 10.33.74.101}]\n")
    assert "10.33.74.101" in dict(named_addresses().moved)


def test_addresses_in_a_text():
    """Protects against numbers that are no addresses, and both ways to write one."""
    text = "v1.2.3 10.0.0.1/24, 10.0.0.256 fd00:0:0::1]:53 12:30 00:11:22:33:44:55 ::1. 10.0.0.2."
    assert addresses_in(text) == {"10.0.0.1", "fd00::1", "::1", "10.0.0.2"}


def test_a_programs_address_does_not_stand_for_the_hosts_own():
    """Protects the boot of a host on which keepalived is faster than the boot's unit."""
    own = (OWN,)
    assert is_configuration(OWN, own, ())
    assert is_configuration(address("10.9.9.9/24"), own, ())  # somebody else has given the bridge another one
    assert not is_configuration(address("10.33.74.100/32"), own, ())
    assert not is_configuration(address("10.33.74.100/24", protocol=18), own, ())
    assert not is_configuration(address("10.33.74.100/24"), own, ("10.33.74.100/24 (label breth0:vip)",))
