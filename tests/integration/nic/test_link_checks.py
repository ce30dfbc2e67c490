# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Links that can't go into a bridge: those with links on top, and those without Ethernet."""

from __future__ import annotations

import pytest
from kernel_links import pair
from network_namespace import ip

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.records import LinkKind
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic import link_checks
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.link_checks import refuse_link, refuse_stacked_links


def test_links_on_top_of_a_nic():
    """Protects links that would get no packets any more when their NIC goes into a bridge; neither a pair's other end
    nor a bridge's port is one."""
    pair("eth0")
    ip("link add br7 type bridge")
    ip("link set eth0p master br7")
    refuse_stacked_links("eth0", "netdev")
    refuse_stacked_links("eth0p", "system")
    ip("link add link eth0 name copy type macvlan")
    for datapath in ("netdev", "system"):
        with pytest.raises(
            HostError, match=r"copy \(macvlan\) is a link on top of eth0, and would get no packets any more"
        ):
            refuse_stacked_links("eth0", datapath)


def test_the_userspace_datapath_takes_the_packets_of_a_vlan(monkeypatch):
    """Protects VLANs of a NIC that host and pods share: the kernel gives them their packets before its bridge (the
    kernel here has no VLANs)."""
    pair("eth0")
    monkeypatch.setattr(link_checks, "read_stacked_links", lambda kernel, name: {"eth0.7": "vlan"})
    monkeypatch.setattr(link_checks, "NAMESPACES", ())
    refuse_stacked_links("eth0", "system")
    with pytest.raises(HostError, match=r"eth0.7 \(vlan\) is a link on top of eth0"):
        refuse_stacked_links("eth0", "netdev")


def test_a_tunnel_over_the_nic():
    """Protects a VXLAN that leaves through the NIC and nowhere else; one without a NIC of its own goes along."""
    pair("eth0")
    ip("link add vx7 type vxlan id 7 remote 192.0.2.7 dstport 4789")
    refuse_stacked_links("eth0", "system")
    ip("link add vx8 type vxlan id 8 dev eth0 remote 192.0.2.7 dstport 4790")
    with pytest.raises(HostError, match=r"vx8 \(vxlan\) is a link on top of eth0"):
        refuse_stacked_links("eth0", "system")


def test_links_of_containers():
    """Protects a container whose macvlan is on the NIC: its link is in another network namespace. The other end of a
    pair there is no such link."""
    pair("eth0")
    ip("netns add linkchecks")
    try:
        pair("pod0", "pod0p")
        ip("link set pod0p netns linkchecks")
        refuse_stacked_links("pod0", "netdev")
        refuse_stacked_links("eth0", "netdev")
        ip("link add link eth0 name copy type macvlan")
        ip("link set copy netns linkchecks")
        with pytest.raises(HostError, match=r"copy in another network namespace \(macvlan\) is a link on top of eth0"):
            refuse_stacked_links("eth0", "system")
    finally:
        ip("netns delete linkchecks")


def test_links_without_ethernet():
    """Protects WireGuard, tun and tunnels of IP: a bridge can't have them as a port. A tap can be one."""
    ip("tuntap add tun0 mode tun")
    with pytest.raises(HostError, match=r"tun0 \(tun\) has no Ethernet frames, which a bridge needs"):
        refuse_link("tun0")
    ip("tuntap add tap0 mode tap")
    refuse_link("tap0")


@pytest.mark.parametrize("kind", ["ipvlan", "ipvtap"])
def test_links_that_take_packets_to_their_own_addresses_only(monkeypatch, kind):
    """Protects ipvlan, which gives a bridge no packets (the kernel here has none)."""
    link = LinkKind(loopback=False, ethernet=True, kind=kind, master=None, master_kind=None)
    monkeypatch.setattr(link_checks, "read_kind", lambda kernel, name: link)
    with pytest.raises(HostError, match=f"eth0 is an {kind}, which gets packets to its own addresses only"):
        refuse_link("eth0")
