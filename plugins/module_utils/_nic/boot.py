# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a NIC had when it went into its bridge, for hosts where nobody else gives it to the bridge after a boot."""

from __future__ import annotations

from dataclasses import replace

from .._common.errors import HostError
from .._host.read import read_and_plan
from .._host.steps.moves import MoveStep
from .._netlink.addresses import read_addresses
from .._netlink.constants import INFINITY
from .._netlink.socket import RouteSocket
from .managers import network_manager
from .managers.model import IFUPDOWN
from .managers.resolved import resolver_of
from .serialize import from_json, to_json
from .steps import HandoverStep, ResolverStep, address_move


def remember(nic, bridge):
    """Steps, as plain values, that give the bridge what the NIC has; what ends by itself (from routers' advertisements) is left to whoever gave it."""
    steps = read_and_plan(address_move(nic, bridge))
    given = [
        MoveStep(
            None,
            bridge,
            given_addresses=tuple(address for address in step.given_addresses if address.valid == INFINITY),
            given_routes=tuple(route for route in step.given_routes if route.expires is None),
            given_rules=step.given_rules,
        )
        for step in steps
        if isinstance(step, MoveStep)
    ]
    return to_json(given + [replace(step, source=None) for step in steps if isinstance(step, ResolverStep)])


def missing(remembered, nic):
    """Those of these steps that are to be done: none for addresses when NIC or bridge has some, since then somebody else has given them."""
    kept = from_json(remembered) or ()
    try:
        return [step for step in (kept if isinstance(kept, tuple) else (kept,)) if not _is_there(step, nic)]
    except OSError as error:
        raise HostError("what %s and its bridge have can't be read: %s" % (nic, error.strerror)) from error


def unserved(handovers, addressed):
    """Steps that let a manager configure the bridge again which does so once only: when it was made anew, the manager's part had gone with it.

    That a DHCP server is slow, or away, is no reason to take back what works.

    :param addressed: whether the NIC had addresses.
    """
    return [
        HandoverStep(wish.manager, wish.nic, wish.bridge, profile=wish.profile, waits=False)
        for wish in handovers
        if (wish.profile and wish.profile.on_bridge and not network_manager.serves(wish.bridge))
        or (wish.manager == IFUPDOWN and addressed and not _has_addresses({wish.bridge}))
    ]


def _is_there(step, nic):
    return (
        resolver_of(step.target) is not None if isinstance(step, ResolverStep) else _has_addresses({nic, step.target})
    )


def _has_addresses(links):
    with RouteSocket() as kernel:
        return any(address.configured for address in read_addresses(kernel, links))
