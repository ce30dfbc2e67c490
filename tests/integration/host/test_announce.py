# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Addresses are announced by the kernel of their link: nobody needs a packet socket for it."""

from __future__ import annotations

import pathlib

import network_namespace
import pytest
from announcements import ALL_NODES, BROADCAST, Announcement, Listener

from ansible_collections.ovn.kubernetes.plugins.module_utils._host.announce import announce
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.links import set_link
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.socket import RouteSocket

MAC, IPV4, IPV6 = "0a:58:c0:a8:01:04", "192.168.1.4", "fd10:128:0:1::4"
# A dot is no separator in a link's name.
LINK = "eth0.7"


def sysctl(version, key):
    """A setting of the link."""
    return pathlib.Path(f"/proc/sys/net/ipv{version}/conf/{LINK}/{key}")


@pytest.fixture
def listener():
    """A link with an address of each family, and who hears it."""
    with network_namespace.namespace():
        network_namespace.ip(f"link add {LINK} address {MAC} type veth peer name other")
        for command in (f"addr add {IPV4}/24 dev {LINK}", f"addr add {IPV6}/64 dev {LINK} nodad"):
            network_namespace.ip(command)
        for link in (LINK, "other"):
            network_namespace.ip(f"link set {link} up")
        with Listener("other") as made:
            yield made


@pytest.mark.parametrize("before", ["0", "1"])
def test_both_families_are_announced(listener, before):
    """Protects an address that has moved to another MAC, and the settings that somebody else has made."""
    settings = [sysctl(4, "arp_notify"), sysctl(6, "ndisc_notify")]
    for setting in settings:
        setting.write_text(before)
    announce(LINK, MAC, [f"{IPV4}/24", f"{IPV6}/64"])
    heard = listener.hear({IPV4, IPV6})
    assert {Announcement(BROADCAST, MAC, IPV4), Announcement(ALL_NODES, MAC, IPV6)} <= heard
    assert [setting.read_text().strip() for setting in settings] == [before, before]


def test_a_family_without_addresses_is_left_alone(listener):
    """Protects hosts whose kernel has no IPv6: it has no setting for it either."""
    network_namespace.ip(f"-6 addr flush dev {LINK}")
    sysctl(6, "disable_ipv6").write_text("1")
    announce(LINK, MAC, [f"{IPV4}/24"])
    assert {one.ip for one in listener.hear({IPV4})} == {IPV4}


def test_a_link_that_is_gone(listener):
    """Protects who asks: an error, not silence."""
    with pytest.raises(OSError, match="No such"):
        announce("gone", MAC, [f"{IPV4}/24"])


def test_the_settings_come_back_when_the_kernel_refuses(listener):
    """Protects the link's namespace, which is a pod's."""
    with pytest.raises(OSError, match="Cannot assign"):
        announce(LINK, "01:00:00:00:00:01", [f"{IPV4}/24", f"{IPV6}/64"])  # a group's MAC is no link's
    assert sysctl(4, "arp_notify").read_text() == sysctl(6, "ndisc_notify").read_text() == "0\n"


def test_a_link_that_is_down_is_no_error(listener):
    """Protects ADD: a pod whose link somebody has set down is no error."""
    with RouteSocket() as kernel:
        set_link(kernel, LINK, up=False)
    announce(LINK, MAC, [f"{IPV4}/24"])
    with RouteSocket() as kernel:
        set_link(kernel, LINK, up=True)
    announce(LINK, MAC, [f"{IPV4}/24"])
    assert {one.ip for one in listener.hear({IPV4})} == {IPV4}
