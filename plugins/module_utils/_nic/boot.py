# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a bridge gets again after a boot, or after it was made again.

It gets it from this collection's unit, or from the network manager.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .._common.errors import HostError
from .._host.read import read_and_plan
from .._host.steps.moves import MoveStep
from .._netlink.constants import INFINITY
from .managers import registry
from .managers.base import has_addresses
from .managers.resolved import read_resolver
from .steps import HandoverStep, ResolverStep, address_move

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._host.steps.base import Step
    from .steps import Handover


def saved_steps(nic: str, bridge: str) -> tuple[Step, ...]:
    """Return steps that give the bridge what the NIC has now.

    What expires (from router advertisements) is left out: the router sends it again.

    :raises HostError: the NIC can't be read.
    """
    steps = read_and_plan(address_move(nic, bridge))
    moves = [
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
    return (*moves, *(replace(step, source=None) for step in steps if isinstance(step, ResolverStep)))


def missing_steps(saved: Iterable[Step], nic: str) -> list[Step]:
    """Return those of the saved steps that have to be done.

    None for addresses when the NIC or the bridge has some: then another program has given them.

    :raises HostError: NIC and bridge can't be read.
    """
    try:
        return [step for step in saved if not _is_done(step, nic)]
    except OSError as error:
        raise HostError(f"what {nic} and its bridge have can't be read: {error.strerror}") from error


def managers_to_restore(handovers: Iterable[Handover], had_addresses: bool) -> list[Step]:
    """Return steps by which a manager configures the bridge again that does so once only, and whose work was lost with
    an earlier bridge.

    They do not wait for addresses: that a DHCP server is slow, or away, is no reason to take back what works.

    :param had_addresses: whether the NIC had addresses when it was moved.
    """
    return [
        HandoverStep(handover.manager, handover.nic, handover.bridge, profile=handover.profile, waits=False)
        for handover in handovers
        if registry.manager(handover.manager).must_restore(handover, had_addresses)
    ]


def _is_done(step: Step, nic: str) -> bool:
    if isinstance(step, ResolverStep):
        return read_resolver(step.target) is not None
    return isinstance(step, MoveStep) and step.target is not None and has_addresses(nic, step.target)
