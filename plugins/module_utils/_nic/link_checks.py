# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a link can go into a bridge."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .._common.errors import HostError
from .._netlink.links import read_kind, read_stacked_links
from .._netlink.socket import RouteSocket

if TYPE_CHECKING:
    from collections.abc import Iterator

# Kind of a master (ip-link(8)) -> what a sentence calls it.
MASTERS = {"bond": "bond", "team": "team", "bridge": "bridge", "vrf": "VRF", "openvswitch": "Open vSwitch"}
WIRELESS_MARKS = ("phy80211", "wireless")  # of a link in sysfs


def refuse_stacked_links(nic: str, datapath: str) -> None:
    """Check that links on top of the NIC get their packets once it is in a bridge.

    The kernel gives a VLAN's packets to its link before a bridge of the kernel's datapath gets them (net/core/dev.c).
    The userspace datapath takes all packets. Links of other kinds than VLAN use the same hook as the bridge, which can
    be used once only.

    :raises HostError: a link would get no packets any more.
    """
    with _kernel(nic) as kernel:
        stacked = read_stacked_links(kernel, nic)
    for name, kind in sorted(stacked.items()):
        if datapath == "netdev" or kind != "vlan":
            raise HostError(
                f"{name} ({kind}) is a link on top of {nic}, and would get no packets any more: remove it first"
            )


def refuse_link(nic: str, in_own_bridge: bool = False) -> None:
    """Check that the link can be a port of a bridge.

    :param in_own_bridge: it is in the bridge of this collection already, so it is a port of Open vSwitch.
    :raises HostError: it can't.
    """
    with _kernel(nic) as kernel:
        link = read_kind(kernel, nic)
    if link is None:
        raise HostError(f"{nic} does not exist on this host: name a NIC that ip link shows")
    if link.loopback:
        raise HostError(f"{nic} is the loopback, which no other host can reach: name a NIC of the external network")
    if any(os.path.exists(f"/sys/class/net/{nic}/{mark}") for mark in WIRELESS_MARKS):
        raise HostError(
            f"{nic} is wireless, and an access point accepts only frames with the NIC's own address, none of a "
            "bridge's: name a wired NIC"
        )
    if link.kind in ("bridge", "openvswitch"):
        raise HostError(f"{nic} is a bridge itself or a port that Open vSwitch made: name the NIC behind it")
    if link.master and not (in_own_bridge and link.master_kind in ("openvswitch", None)):
        kind = f"the {MASTERS[link.master_kind]}" if link.master_kind in MASTERS else "the link"
        raise HostError(f"{nic} is part of {kind} {link.master} already: take it out there, or name {link.master}")


@contextmanager
def _kernel(nic: str) -> Iterator[RouteSocket]:
    try:
        with RouteSocket() as kernel:
            yield kernel
    except OSError as error:
        raise HostError(f"{nic} can't be read: {error.strerror}") from error
