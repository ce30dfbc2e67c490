# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kernel settings of a NIC that its bridge needs in its place: how packets and router advertisements are taken in."""

from __future__ import annotations

from .._host import facts
from .._host.desired import Sysctl
from .managers.model import NETWORK_MANAGER, NETWORKD

SETTINGS = ("ipv4/{link}/rp_filter", "ipv4/{link}/arp_ignore", "ipv4/{link}/arp_announce")
ADVERTISEMENTS = (
    "ipv6/{link}/accept_ra"  # networkd and NetworkManager take these in themselves, and switch the kernel's part off
)


def own_settings(nic, manager):
    """What of a NIC differs from what each new link has: setting -> value."""
    asked = SETTINGS if manager in (NETWORKD, NETWORK_MANAGER) else (*SETTINGS, ADVERTISEMENTS)
    values = {setting: facts.sysctl(_key(setting, nic)) for setting in asked}
    return {
        setting: value
        for setting, value in values.items()
        if value not in (None, facts.sysctl(_key(setting, "default")))
    }


def for_bridge(bridge, kept):
    """What the bridge is to have of it: what nobody has given it himself."""
    untouched = [
        setting
        for setting in kept
        if facts.sysctl(_key(setting, bridge)) in (None, facts.sysctl(_key(setting, "default")))
    ]
    return tuple(Sysctl(_key(setting, bridge), kept[setting]) for setting in untouched)


def _key(setting, link):
    family, _link, name = setting.split("/")
    return "/net/%s/conf/%s/%s" % (family, link, name)
