# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a bridge gets again after a boot, or after it was made again.

It gets it from this collection's unit, or from the network manager.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .._common.errors import HostError
from .._host.read import read_and_plan
from .._host.steps.moves import MoveStep
from .._host.steps.routes import NeighbourStep
from .._netlink.addresses import read_addresses
from .._netlink.neighbours import read_neighbours
from .._netlink.socket import RouteSocket
from .lasting import is_configuration, lasting, named_addresses
from .managers import registry
from .managers.resolved import read_resolver
from .steps import HandoverStep, ResolverStep, address_move

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._host.steps.base import Step
    from .._netlink.records import KernelNeighbour
    from .moved import MovedNic
    from .steps import Handover


@dataclass(frozen=True)
class Saved:
    """What a bridge gets again.

    :ivar steps: that give it addresses, routes, rules and name servers.
    :ivar neighbours: configured ones.
    :ivar left_out: addresses that it does not get, each with the reason in brackets.
    """

    steps: tuple[Step, ...] = ()
    neighbours: tuple[KernelNeighbour, ...] = ()
    left_out: tuple[str, ...] = ()


def save(nic: str, bridge: str, configured: Iterable[str] = ()) -> Saved:
    """Return what of the things that the NIC has now the bridge gets again: what is configuration (:mod:`.lasting`).

    :param configured: addresses that the NIC's network manager says.
    :raises HostError: the NIC can't be read.
    """
    steps = read_and_plan(address_move(nic, bridge))
    found = only_configuration([step for step in steps if isinstance(step, MoveStep)], configured)
    resolvers = (replace(step, source=None) for step in steps if isinstance(step, ResolverStep))
    return replace(found, steps=(*found.steps, *resolvers))


def only_configuration(steps: Iterable[Step], configured: Iterable[str] = ()) -> Saved:
    """Return what of saved steps is configuration."""
    named = named_addresses(configured)
    saved = Saved()
    for step in steps:
        if not isinstance(step, MoveStep):
            saved = replace(saved, steps=(*saved.steps, step))
            continue
        found = lasting(step, named)
        move = replace(found.move, given_neighbours=())
        saved = Saved(
            (*saved.steps, move) if move != MoveStep(None, move.target) else saved.steps,
            (*saved.neighbours, *found.move.given_neighbours),
            (*saved.left_out, *found.left_out),
        )
    return saved


def missing_steps(moved: MovedNic, nic: str, bridge: str) -> list[Step]:
    """Return what of the saved things has to be done.

    None for addresses when the NIC or the bridge has some that are no program's: then somebody else has given them.

    :raises HostError: NIC and bridge can't be read.
    """
    try:
        with RouteSocket() as kernel:
            present = [address for address in read_addresses(kernel, {nic, bridge}) if address.configured]
            neighbours = read_neighbours(kernel, {bridge})
    except OSError as error:
        raise HostError(f"what {nic} and its bridge have can't be read: {error.strerror}") from error
    steps: list[Step] = []
    for step in moved.saved_steps or ():
        if isinstance(step, MoveStep):
            given, left_out = step.given_addresses, moved.left_out or ()
            is_done = any(is_configuration(address, given, left_out) for address in present)
        else:
            is_done = isinstance(step, ResolverStep) and read_resolver(step.target) is not None
        steps += [] if is_done else [step]
    return [*steps, *(NeighbourStep(one, True) for one in moved.saved_neighbours if one not in neighbours)]


def managers_to_restore(handovers: Iterable[Handover], had_addresses: bool) -> list[Step]:
    """Return steps by which a manager configures the bridge again that does so once only, and whose work was lost with
    an earlier bridge.

    They do not wait for addresses: that a DHCP server is slow, or away, is no reason to roll back what works.

    :param had_addresses: whether the NIC had addresses when it was moved.
    """
    return [
        HandoverStep(handover.manager, handover.nic, handover.bridge, profile=handover.profile, waits=False)
        for handover in handovers
        if registry.manager(handover.manager).must_restore(handover, had_addresses)
    ]
