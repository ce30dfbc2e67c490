# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The proof that a host can still be reached after a change of its NICs: modules and commands have the same one.

An SSH session that another host began after the change is a proof. Where there is none (a connection plugin without a
network, a command at the console, a controller on the host itself), peers that answered before the change have to
answer again. A neighbour that the kernel does not ask, since its entry is permanent, proves nothing.
"""

from __future__ import annotations

import ipaddress
import os
from functools import partial
from typing import TYPE_CHECKING

from .._common.errors import HostError
from .._host import facts
from .._host.ssh import session_age, session_peer, ssh_clients
from .._netlink.constants import Rtn
from .._netlink.links import read_kind
from .._netlink.neighbours import neighbour_answers, neighbour_is_asked
from .._netlink.routes import look_up
from .._netlink.socket import RouteSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ANSWER_TIMEOUT = 2.0  # seconds for one answer; the first one after a move takes longer than others
INSIDE = ("veth", "tun")  # kinds of links, ip-link(8), by which containers and virtual machines are connected
MOST_CLIENTS = 4  # SSH clients that are asked
NO_PROOF = (
    "nothing answered before the change that could show now whether this host can still be reached, and the task's "
    "connection is no SSH session that another host began after the change: run it over ssh from another host, or "
    "confirm it in time with ovn-k8s-util confirm"
)


class ReachabilityCheck:
    """Peers that answer now: the routers of the default routes, the clients of SSH, and others.

    :param others: name of a peer -> whether it answers over a new connection.
    :ivar silent: the name of a peer that did not answer any more; None: all did.
    """

    def __init__(self, others: Mapping[str, Callable[[], bool]]) -> None:
        peers = {name: partial(_answers, address) for name, address in answering_peers().items()}
        self._peers: dict[str, Callable[[], bool]] = {
            **peers,
            **{name: answers_now for name, answers_now in others.items() if answers_now()},
        }
        self.silent: str | None = None

    def __bool__(self) -> bool:
        """Return whether there is a peer that can be asked."""
        return bool(self._peers)

    def passes(self) -> bool:
        """Return whether all peers answer now."""
        self.silent = next((name for name, answers_now in self._peers.items() if not answers_now()), None)
        return self.silent is None


def answering_peers() -> dict[str, str]:
    """Return the peers of this host that answer now: name -> address."""
    peers = {
        f"the router {router} of the default route": router
        for router in (default_router(version) for version in (4, 6))
        if router
    }
    asked = set(peers.values())
    for client in _clients()[:MOST_CLIENTS]:
        hop = _next_hop(client)
        if hop and hop[1] not in asked:
            asked.add(hop[1])
            peers[f"the SSH client {client}" if hop[1] == client else f"the router {hop[1]} to {client}"] = client
    return {name: address for name, address in peers.items() if _is_asked(address) and _answers(address)}


def why_unproven(peers: Mapping[str, str] | None, applied_at: float | None, now: float) -> str | None:
    """Return why it is not proven that this host can be reached with a change; None: it is.

    :param peers: those that answered before the change, as :func:`answering_peers` returns them.
    :param applied_at, now: when all was done, and now, in seconds of the same clock; None: not known.
    """
    age, client = session_age(), session_peer()
    if applied_at is not None and age is not None and client and age < now - applied_at and _next_hop(str(client)):
        return None
    silent = next((name for name, address in (peers or {}).items() if not _answers(address)), None)
    if silent:
        return f"{silent} answered before and did not any more"
    return None if peers else NO_PROOF


def default_router(version: int) -> str | None:
    """Return the address of the router of the default route; None: there is none."""
    link = facts.default_route_link(version)
    return facts.next_hop(link, version) if link else None


def _clients() -> list[str]:
    try:
        return ssh_clients()
    except HostError:
        return []


def _answers(address: str) -> bool:
    """Return whether the next hop to a peer answers on its link now."""
    hop = _next_hop(address)
    return hop is not None and neighbour_answers(*hop, ANSWER_TIMEOUT)


def _is_asked(address: str) -> bool:
    hop = _next_hop(address)
    return hop is not None and neighbour_is_asked(*hop)


def _next_hop(address: str) -> tuple[str, str] | None:
    """Return the link and the neighbour by which the kernel sends to a peer now; None: the peer is this host itself, or
    one of its containers or virtual machines, or there is no way to it."""
    if ipaddress.ip_address(address).is_link_local:  # of a router: its link is the default route's
        link = facts.default_route_link(6 if ":" in address else 4)
        return (link, address) if link else None
    try:
        with RouteSocket() as kernel:
            route = look_up(kernel, address)
            if route is None or route.type == Rtn.LOCAL or not route.nexthops:
                return None
            hop = route.nexthops[0]
            return None if _stays_inside(kernel, hop.link) else (hop.link, hop.via or address)
    except OSError:
        return None


def _stays_inside(kernel: RouteSocket, link: str) -> bool:
    """Return whether a link is a bridge whose ports lead to containers and virtual machines of this host only."""
    kind = read_kind(kernel, link)
    if kind is None or kind.kind != "bridge":
        return False
    ports = [read_kind(kernel, port) for port in os.listdir(f"/sys/class/net/{link}/brif")]
    return all(port is None or port.kind in INSIDE for port in ports)
