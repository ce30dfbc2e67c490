# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Echo requests to gateways: to each gateway's router at its join address, and to its next hop at an address that the
gateway translates (RFC 792, RFC 4443).

They leave through the master's management port, so they take the way of pods' packets: a reply shows that the gateway's
Open vSwitch forwards, and that its uplink works. One lost packet says nothing, so who is silent is asked again.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

from .._common import addressing
from .._common.errors import DatabaseError
from .._common.icmp import IcmpType, Icmpv6Type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

ECHO_REPLIES = (IcmpType.ECHOREPLY, Icmpv6Type.ECHO_REPLY)
TRIES = 3  # requests to an address in one round, while it is silent
# An odd number: 65,536 rounds have different identifiers (Fibonacci hashing), and those of one minute are far apart.
SPREAD = 40503
READ_LIMIT = 1.0  # seconds to read what has come already, also on a socket that receives many packets of others


def library() -> Any:
    """Return icmplib; :raises DatabaseError: it is missing."""
    try:
        import icmplib
    except ImportError:
        raise DatabaseError("the Python library 'icmplib' is missing on this host: install python3-icmplib") from None
    return icmplib


def probe(addresses: Iterable[str], timeout: float, number: int) -> dict[str, int]:
    """Send echo requests to all addresses at once; return address -> which of its requests was answered within
    ``timeout`` seconds, from 1 to :data:`TRIES`; 0: none.

    It uses plain sockets of the library: what the library has for many hosts at once takes a second to end, however
    short the timeout is.

    :param number: the number of the round, which tells late replies to an earlier round apart.
    """
    icmp = library()
    answered = dict.fromkeys(addresses, 0)
    identifier, first = identifier_of(number), number * TRIES & 0xFFFF
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        sockets = {}
        for version, open_socket in ((4, icmp.ICMPv4Socket), (6, icmp.ICMPv6Socket)):
            targets = [address for address in answered if addressing.family(address) == version]
            if targets:
                socket = open_socket(privileged=True)
                stack.callback(socket.close)
                sockets[socket] = targets
        for attempt in range(TRIES):
            deadline = started + timeout * (attempt + 1) / TRIES
            waiting = {}
            for socket, targets in sockets.items():
                silent = [target for target in targets if not answered[target]]
                sequence = (first + attempt) & 0xFFFF
                requests = {target: icmp.ICMPRequest(target, identifier, sequence) for target in silent}
                waiting[socket] = {target for target, request in requests.items() if _send(socket, request)}
            for socket, sent in waiting.items():
                for address, sequence in _replies(socket, sent, identifier, deadline):
                    request_number = (sequence - first & 0xFFFF) + 1
                    if request_number <= TRIES:
                        answered[address] = request_number
    return answered


def identifier_of(number: int) -> int:
    """Return the identifier of a round's requests.

    Each round is a new connection for the gateway's conntrack: a lasting one would go where it went first, whatever the
    next hop is now. Conntrack in userspace gives echo requests no other identifier, so a pod's request to the same
    router with one of the last minute is lost. ping(8) takes the number of its process: of two programs that both
    count, all requests could be.
    """
    return (os.getpid() + number * SPREAD) & 0xFFFF


def _replies(socket: Any, addresses: set[str], identifier: int, deadline: float) -> Iterator[tuple[str, int]]:
    """Yield the addresses that have replied until the deadline, each with the sequence number of its request.

    What has come is read, however late this process gets to it.
    """
    waiting = set(addresses)
    limit = max(deadline, time.monotonic()) + READ_LIMIT
    while waiting and time.monotonic() < limit:
        reply = _receive(socket, deadline - time.monotonic())
        if reply is None:
            return
        if reply.source in waiting and reply.id == identifier and reply.type in ECHO_REPLIES:
            waiting.remove(reply.source)
            yield reply.source, reply.sequence


def _send(socket: Any, request: Any) -> bool:
    """Send a request; return whether there is a route for it."""
    try:
        socket.send(request)
    except library().ICMPLibError:
        return False
    return True


def _receive(socket: Any, timeout: float) -> Any:
    """Return the next ICMP packet; None when none comes in time. Packets that came before are still there."""
    try:
        return socket.receive(timeout=max(timeout, 0.01))
    except library().ICMPLibError:
        return None
