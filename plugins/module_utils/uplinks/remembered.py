# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a NIC had when it went into its bridge, for hosts where nobody else gives it to the bridge after a boot."""

from __future__ import annotations

from ..hostnet.difference import difference
from ..hostnet.errors import HostError
from ..hostnet.found import FOREVER
from ..hostnet.netlink import read
from ..hostnet.plain import from_plain, to_plain
from ..hostnet.rtnetlink import Rtnl
from ..hostnet.state import HostState, Uplink
from ..hostnet.steps import MoveStep


def remember(nic, bridge):
    """What the bridge is to have of the NIC, as plain values; what ends by itself (from routers' advertisements) is left to whoever gave it."""
    want = HostState(uplinks=(Uplink(nic, bridge),))
    for step in difference(read(want), want):
        if isinstance(step, MoveStep):
            return to_plain(MoveStep(
                None, bridge, given_addresses=tuple(address for address in step.given_addresses if address.valid == FOREVER),
                given_routes=tuple(route for route in step.given_routes if route.expires is None), given_rules=step.given_rules))
    return None


def missing(remembered, nic):
    """Steps that give the bridge what the NIC had; none when one of them has addresses, since then somebody else has given them."""
    step = from_plain(remembered) if remembered else None
    if step is None:
        return []
    try:
        with Rtnl() as rtnl:
            there = any(address.settled for address in rtnl.addresses({nic, step.target}))
    except OSError as error:
        raise HostError("addresses of %s and %s can't be read: %s" % (nic, step.target, error.strerror)) from error
    return [] if there else [step]
