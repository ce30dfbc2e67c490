# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Addresses and routes of a node that may still cut its host off, and so need a confirmation like moves of NICs.

What a host is known to use is refused before (:mod:`.used_networks`). Nobody knows all that it uses by a wider route,
such as the other end of a VPN that the session comes through.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .._common import addressing, names
from .._host.desired import Address, HostState, Route
from .._host.read import read_and_plan
from .._host.used import Way, new_ways
from .._nic.plan import Change, acts
from .own_facts import saved_networks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


@dataclass(frozen=True)
class Held:
    """Addresses and routes that are held back until somebody confirms that the host can be reached with them."""

    link: str
    addresses: tuple[Address, ...]
    routes: tuple[Route, ...]

    def rest(self, state: HostState) -> HostState:
        """Return a node's state without them. What else the link has stays until they are there."""
        return replace(
            state,
            links=tuple(replace(link, owned=False) for link in state.links),
            addresses=tuple(one for one in state.addresses if one not in self.addresses),
            routes=tuple(one for one in state.routes if one not in self.routes),
        )

    def as_option(self) -> dict[str, Any]:
        """Return them for the controller, which passes them to the change that it confirms.

        ``installed`` says whether the programs are here that roll the change back.
        """
        return {
            "link": self.link,
            "addresses": [one.cidr for one in self.addresses],
            "routes": [{"destination": one.destination, "via": one.via} for one in self.routes],
            "replaces": sorted({link for one in self.routes for link in one.replaces or ()}),
            "installed": os.path.exists(names.ARCHIVE),
        }

    @classmethod
    def from_option(cls, option: Mapping[str, Any]) -> Held:
        """Return what :meth:`as_option` has made."""
        link, replaces = option["link"], frozenset(option["replaces"])
        return cls(
            link,
            tuple(Address(link, cidr) for cidr in option["addresses"]),
            tuple(Route(link, one["destination"], one["via"], replaces=replaces) for one in option["routes"]),
        )

    def change(self) -> Change:
        """Return the change of this host after which it has them; :raises HostError: it can't."""
        steps = read_and_plan(HostState(addresses=self.addresses, routes=self.routes))
        return Change(acts(steps), list(steps))


def held_back(state: HostState, link: str, own_links: frozenset[str]) -> Held | None:
    """Return what a node's state adds, if the host has another way now to a part of it; None: it hasn't.

    Networks that this host has saved were confirmed before: what is missing there is a repair.

    :param link: the management port's.
    :param own_links: the overlay's links on this host.
    :raises HostError: the host's network can't be read.
    """
    addresses = {one: Way(one.cidr, None) for one in state.addresses}
    routes = {one: Way(one.destination, one.via) for one in state.routes}
    ways, accepted = [*addresses.values(), *routes.values()], saved_networks()
    if all(_is_accepted(way, accepted) for way in ways):
        return None  # without a look at the routes, of which a host may have very many
    found = new_ways(ways, link, own_links)
    if not any(risks and not _is_accepted(way, accepted) for way, risks in found.items()):
        return None
    return Held(
        link,
        tuple(one for one, way in addresses.items() if way in found),
        tuple(one for one, way in routes.items() if way in found),
    )


def _is_accepted(way: Way, accepted: Sequence[str]) -> bool:
    """Return whether a way leads into one of the networks that were confirmed before."""
    return addressing.inside(str(addressing.interface(way.destination).network), accepted)
