# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The check that a host can still be reached after a change of its NICs, where no other host checks it.

Peers that answered this host before the change have to answer it again.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .._host import facts
from .._netlink.neighbours import neighbour_answers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROUTER_TIMEOUT = 2.0  # seconds for one answer; the first one after a move takes longer than others


class ReachabilityCheck:
    """The routers of the default routes and other peers, as far as they answer now.

    :param others: name of a peer -> whether it answers over a new connection.
    :ivar silent: the name of a peer that did not answer any more; None: all did.
    """

    def __init__(self, others: Mapping[str, Callable[[], bool]]) -> None:
        routers = {
            f"the router {router} of the default route": partial(_router_answers, version, router)
            for version, router in ((version, default_router(version)) for version in (4, 6))
            if router
        }
        peers: dict[str, Callable[[], bool]] = {**routers, **others}
        self._peers = {name: answers_now for name, answers_now in peers.items() if answers_now()}
        self.silent: str | None = None

    def __bool__(self) -> bool:
        """Return whether there is a peer that can be asked."""
        return bool(self._peers)

    def passes(self) -> bool:
        """Return whether all peers answer now."""
        self.silent = next((name for name, answers_now in self._peers.items() if not answers_now()), None)
        return self.silent is None


def default_router(version: int) -> str | None:
    """Return the address of the router of the default route; None: there is none."""
    link = facts.default_route_link(version)
    return facts.next_hop(link, version) if link else None


def _router_answers(version: int, router: str) -> bool:
    """Return whether the router answers on the link of the default route now."""
    link = facts.default_route_link(version)
    return link is not None and neighbour_answers(link, router, ROUTER_TIMEOUT)
