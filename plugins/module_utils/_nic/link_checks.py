# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a link can go into a bridge."""

from __future__ import annotations

import glob
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .._common.errors import HostError
from .._netlink.links import link_index, read_kind, read_stacked_links
from .._netlink.namespace import inside, namespace_number, opened
from .._netlink.socket import RouteSocket

if TYPE_CHECKING:
    from collections.abc import Iterator

# Kind of a master (ip-link(8)) -> what a sentence calls it.
MASTERS = {"bond": "bond", "team": "team", "bridge": "bridge", "vrf": "VRF", "openvswitch": "Open vSwitch"}
# Kinds that give packets to their own addresses only, so that a bridge would get none (ip-link(8)).
ADDRESSED_KINDS = ("ipvlan", "ipvtap")
WIRELESS_MARKS = ("phy80211", "wireless")  # of a link in sysfs
OWN_NAMESPACE = "/proc/thread-self/ns/net"
NAMESPACES = ("/run/netns/*", "/proc/[0-9]*/ns/net")


def refuse_stacked_links(nic: str, datapath: str, everywhere: bool = True) -> None:
    """Check that links on top of the NIC get their packets once it is in a bridge.

    The kernel gives a VLAN's packets to its link before a bridge of the kernel's datapath gets them (net/core/dev.c).
    The userspace datapath takes all packets. Links of other kinds than VLAN use the same hook as the bridge, which can
    be used once only.

    :param everywhere: look in all network namespaces, of which a host has one for each pod.
    :raises HostError: a link would get no packets any more.
    """
    with _kernel(nic) as kernel:
        stacked = {
            **(_stacked_elsewhere(nic) if everywhere else {}),
            **read_stacked_links(kernel, link_index(nic)),
        }
    for name, kind in sorted(stacked.items()):
        if datapath == "netdev" or kind != "vlan":
            raise HostError(
                f"{name} ({kind}) is a link on top of {nic}, and would get no packets any more: remove it first"
            )


def _stacked_elsewhere(nic: str) -> dict[str, str]:
    """Return the links on top of the NIC in other network namespaces, such as those of containers: name to kind."""
    index, own = link_index(nic), os.stat(OWN_NAMESPACE).st_ino
    seen, found = {own}, {}
    with opened(OWN_NAMESPACE) as home:
        for path in (path for pattern in NAMESPACES for path in glob.iglob(pattern)):
            try:
                number = os.stat(path).st_ino
                if number in seen:
                    continue
                seen.add(number)
                with opened(path) as namespace, inside(namespace), RouteSocket() as kernel:
                    here = namespace_number(kernel, home)
                    stacked = {} if here is None else read_stacked_links(kernel, index, here)
            except (OSError, HostError):  # it has ended meanwhile, or is no namespace
                continue
            found.update({f"{name} in another network namespace": kind for name, kind in stacked.items()})
    return found


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
    if not link.ethernet:
        raise HostError(
            f"{nic} ({link.kind or 'a link without a kind'}) has no Ethernet frames, which a bridge needs: name a NIC "
            "that ip link shows with link/ether"
        )
    if link.kind in ADDRESSED_KINDS:
        raise HostError(
            f"{nic} is an {link.kind}, which gets packets to its own addresses only, and a bridge would get none: name "
            "the NIC behind it"
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
