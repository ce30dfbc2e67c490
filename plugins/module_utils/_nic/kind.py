# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a link is one that can go into a bridge."""

from __future__ import annotations

import os

from .._common.errors import HostError
from .._netlink.links import read_kind, read_stacked_links
from .._netlink.socket import RouteSocket

MASTERS = {"bond": "bond", "team": "team", "bridge": "bridge", "vrf": "VRF", "openvswitch": "Open vSwitch"}


def deaf(nic, datapath):
    """Why a link that stands on the NIC would hear nothing any more once that is in a bridge, as a sentence; None when all would.

    The kernel gives a VLAN's packets to its link before a bridge of the kernel's datapath sees them (net/core/dev.c); nothing comes before the one in
    userspace, and there is one taker only, so that links of other kinds can't be there beside either.
    """
    try:
        with RouteSocket() as kernel:
            above = read_stacked_links(kernel, nic)
    except OSError as error:
        raise HostError("%s can't be looked at: %s" % (nic, error.strerror)) from error
    for name, kind in sorted(above.items()):
        if datapath == "netdev" or kind != "vlan":
            return "%s (%s) stands on %s, and would see no packets there any more: take it away first" % (
                name,
                kind,
                nic,
            )
    return None


def refusal(nic, ours=False):
    """Why a link can't go into a bridge, as a sentence; None when it can.

    :param ours: it is in our bridge already, so that Open vSwitch has it.
    """
    try:
        with RouteSocket() as kernel:
            link = read_kind(kernel, nic)
    except OSError as error:
        raise HostError("%s can't be looked at: %s" % (nic, error.strerror)) from error
    if link is None:
        return "%s does not exist on this host: name a NIC that ip link shows" % nic
    if link.loopback:
        return "%s is the loopback, which leads nowhere: name a NIC that leads outside" % nic
    if any(os.path.exists("/sys/class/net/%s/%s" % (nic, mark)) for mark in ("phy80211", "wireless")):
        return (
            "%s is wireless, and an access point takes frames of the NIC's own station only, none of a bridge's: name a wired NIC"
            % nic
        )
    if link.kind in ("bridge", "openvswitch"):
        return "%s is a bridge itself or a port that Open vSwitch made: name the NIC behind it" % nic
    if link.master and not (ours and link.master_kind in ("openvswitch", None)):
        return "%s is part of %s %s already: take it out there, or name %s" % (
            nic,
            "the " + MASTERS[link.master_kind] if link.master_kind in MASTERS else "the link",
            link.master,
            link.master,
        )
    return None
