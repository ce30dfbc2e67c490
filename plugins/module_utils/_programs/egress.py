# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``ovn-k8s-egress``: keep the cluster's default routes on gateways that are alive.

It runs on every master; an OVSDB lock elects the one that acts. It sends each gateway router an echo request (RFC 792,
RFC 4443) to its join address, and each next hop one to an address that the gateway translates. The requests leave
through the master's management port, so they take the way of pods' packets: a reply shows that the gateway's Open
vSwitch forwards, and that its uplink works. The database keeps the state: a gateway that is down has a mark there.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import logging
import os
import time
from typing import TYPE_CHECKING

from .._common import addressing, names
from .._common.errors import DatabaseError, DatabaseUnreachable, Disconnected
from .._common.icmp import IcmpType, Icmpv6Type
from .._ovsdb.connection import Connection
from .._ovsdb.converge import converge_rows, plan_rows, read_rows
from .._topology.egress import QUERIES, Egress, EgressGateway, Health, Selected, egress_gateways, select
from .daemon import notifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

LOCK = "ovn_kubernetes_egress"
ECHO_REPLIES = (IcmpType.ECHOREPLY, Icmpv6Type.ECHO_REPLY)
READ_LIMIT = 1.0  # seconds to read what has come already, also on a socket that receives many packets of others
LOG = logging.getLogger("ovn-k8s-egress")


def library() -> Any:
    """Return icmplib; :raises DatabaseError: it is missing."""
    try:
        import icmplib
    except ImportError:
        raise DatabaseError("the Python library 'icmplib' is missing on this host: install python3-icmplib") from None
    return icmplib


def probe(addresses: Iterable[str], timeout: float, number: int) -> dict[str, bool]:
    """Send an echo request to all addresses at once; return address -> whether it replied within ``timeout`` seconds.

    It uses plain sockets of the library: what the library has for many hosts at once takes a second to end, however
    short the timeout is.

    :param number: the number of the round, which tells late replies to an earlier round apart.
    """
    addresses = list(addresses)
    icmp = library()
    # Each round is a new connection for the gateway's conntrack: a lasting one would go where it went first,
    # whatever the next hop is now.
    identifier = ((os.getpid() + number) & 0xFFFF, number & 0xFFFF)
    replied = dict.fromkeys(addresses, False)
    deadline = time.monotonic() + timeout
    with contextlib.ExitStack() as sockets:
        waiting = []
        for version, open_socket in ((4, icmp.ICMPv4Socket), (6, icmp.ICMPv6Socket)):
            targets = [address for address in addresses if addressing.family(address) == version]
            if targets:
                socket = open_socket(privileged=True)
                sockets.callback(socket.close)
                sent = {target for target in targets if _send(socket, icmp.ICMPRequest(target, *identifier))}
                waiting.append((socket, sent))
        for socket, sent in waiting:
            for address in _replies(socket, sent, identifier, deadline):
                replied[address] = True
    return replied


def _replies(socket: Any, addresses: set[str], identifier: tuple[int, int], deadline: float) -> Iterable[str]:
    """Yield the addresses that have replied until the deadline.

    What has come is read, however late this process gets to it.
    """
    waiting = set(addresses)
    limit = max(deadline, time.monotonic()) + READ_LIMIT
    while waiting and time.monotonic() < limit:
        reply = _receive(socket, deadline - time.monotonic())
        if reply is None:
            return
        if reply.source in waiting and (reply.id, reply.sequence) == identifier and reply.type in ECHO_REPLIES:
            waiting.remove(reply.source)
            yield reply.source


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


def judge(
    gateways: Iterable[EgressGateway], health: Mapping[str, Health], replies: Mapping[str, bool]
) -> dict[str, Health]:
    """Return the health of each address after one more round.

    An address without a health yet starts with the mark in the database.

    :param health: of the earlier rounds.
    :param replies: address -> whether it replied.
    """
    judged = {}
    for gateway in gateways:
        for address in gateway.all_ips():
            is_probe = address in gateway.probe_ips
            is_down = addressing.family(address) in gateway.down if is_probe else _is_router_down(gateway)
            judged[address] = (health.get(address) or Health(not is_down)).after(replies.get(address, False))
    return judged


def _is_router_down(gateway: EgressGateway) -> bool:
    """Return whether the mark says that the whole gateway is down."""
    return bool(gateway.down) and gateway.down >= gateway.versions


def log_changes(
    gateways: Iterable[EgressGateway],
    health: Mapping[str, Health],
    old: Mapping[str, frozenset[int]],
    new: Mapping[str, frozenset[int]],
) -> None:
    """Log which gateways lose their default routes, or get them back.

    :param old: gateway's name -> the IP versions whose default traffic went through it before.
    :param new: the same, now.
    """
    for gateway in gateways:
        versions = new.get(gateway.name, frozenset())
        for version in sorted(versions ^ old.get(gateway.name, versions)):
            if version in versions:
                LOG.warning("gateway %s answers again: its IPv%d default route returns", gateway.name, version)
            else:
                router_alive = any(health[address].alive for address in gateway.router_ips)
                silent = "its next hop" if router_alive else "it"
                LOG.warning(
                    "gateway %s: %s does not answer: its IPv%d default route goes", gateway.name, silent, version
                )


def write(connect: Callable[[], Connection], connection: Connection, desired: Egress) -> None:
    """Converge the routes and marks. A gateway that is removed meanwhile shows in the next round."""
    try:
        if plan_rows(connection, desired).changes:
            for operation in converge_rows(connect, desired, "ovn-k8s-egress").plan:
                LOG.info("%s", operation.describe())
    except (Disconnected, DatabaseUnreachable):
        raise
    except DatabaseError as exc:
        LOG.warning("trying again: %s", exc)


def watch(connect: Callable[[], Connection], interval: float, timeout: float, notify: Callable[[str], object]) -> None:
    """Probe and write for as long as the connection lasts; :raises DatabaseError: it has ended."""
    connection = connect()
    health: dict[str, Health] = {}
    selected: dict[str, frozenset[int]] = {}
    connection.lock(LOCK)
    notify("READY=1")
    try:
        for number in itertools.count():
            started = time.monotonic()
            gateways = egress_gateways(read_rows(connection, QUERIES))
            if LOCK in connection.locks:
                addresses = [address for gateway in gateways for address in gateway.all_ips()]
                health = judge(gateways, health, probe(addresses, timeout, number))
                old, selected = selected, select(gateways, health)
                log_changes(gateways, health, old, selected)
                desired = Egress(tuple(Selected(gateway, selected[gateway.name]) for gateway in gateways))
                write(connect, connection, desired)
            notify("WATCHDOG=1")
            time.sleep(max(0.0, started + interval - time.monotonic()))
    finally:
        connection.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return 1 when the database is gone, so that systemd starts it again."""
    parser = argparse.ArgumentParser(
        prog="ovn-k8s-egress", description="Keep the default routes of the overlay on gateways that are alive."
    )
    parser.add_argument(
        "--northbound", default=names.NORTHBOUND_SOCKET, help="where the Northbound database is (default: %(default)s)"
    )
    parser.add_argument(
        "--interval", type=float, default=0.3, help="seconds between two probes of a gateway (default: %(default)s)"
    )
    parser.add_argument(
        "--timeout", type=float, default=0.25, help="seconds to wait for an answer (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("icmplib").setLevel(logging.WARNING)
    try:
        library()
        watch(lambda: Connection(options.northbound, names.NORTHBOUND), options.interval, options.timeout, notifier())
    except DatabaseError as exc:
        LOG.error("%s", exc)
        return 1
    return 0
