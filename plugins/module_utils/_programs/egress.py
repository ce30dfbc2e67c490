# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``ovn-k8s-egress``: keeps the cluster's default routes on gateways that are alive.

It runs on every master; an OVSDB lock elects the one that acts. Each gateway router is asked for an echo (RFC 792, RFC 4443)
at its join address, and its next hop at an address that the gateway translates, through the master's own management port: that is the way
that pods' packets take, so an answer shows that the gateway's Open vSwitch forwards, and that its uplink works. State is the database itself: a gateway
that is down is marked there.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import logging
import os
import time

from .._common import addressing, names
from .._common.errors import DatabaseError, DatabaseUnreachable, Disconnected
from .._ovsdb.connection import Connection
from .._ovsdb.converge import converge_rows, plan_rows, read_rows
from .._topology.egress import QUERIES, Egress, Health, candidates, usable
from .daemon import notifier

LOCK = "ovn_kubernetes_egress"
ECHO_REPLIES = (0, 129)  # RFC 792, RFC 4443
LOG = logging.getLogger("ovn-k8s-egress")


def library():
    """icmplib; :raises DatabaseError: when it is missing."""
    try:
        import icmplib
    except ImportError:
        raise DatabaseError("the Python library 'icmplib' is missing on this host: install python3-icmplib") from None
    return icmplib


def probe(addresses, timeout, number):
    """Address -> whether it answered an echo request within ``timeout`` seconds; all are asked at once.

    Over plain sockets of the library: what it offers for many hosts at once takes a second to end, however short the timeout.

    :param number: of the round, by which late answers to the one before are told apart.
    """
    icmp = library()
    # Each round is a connection of its own for the gateway's conntrack: one that lives on would go where it went first, whatever the next hop is now.
    mark = ((os.getpid() + number) & 0xFFFF, number & 0xFFFF)
    answered, until = dict.fromkeys(addresses, False), time.monotonic() + timeout
    with contextlib.ExitStack() as sockets:
        asked = []
        for version, open_socket in ((4, icmp.ICMPv4Socket), (6, icmp.ICMPv6Socket)):
            family = [address for address in addresses if addressing.family(address) == version]
            if family:
                socket = open_socket(privileged=True)
                sockets.callback(socket.close)
                asked.append(
                    (socket, {address for address in family if _sent(socket, icmp.ICMPRequest(address, *mark))})
                )
        for socket, waiting in asked:
            # What has come is read, however late this process gets to it; the limit is for a socket into which others' packets pour.
            limit = max(until, time.monotonic()) + 1
            while waiting and time.monotonic() < limit:
                reply = _received(socket, until - time.monotonic())
                if reply is None:
                    break
                if reply.source in waiting and (reply.id, reply.sequence) == mark and reply.type in ECHO_REPLIES:
                    waiting.remove(reply.source)
                    answered[reply.source] = True
    return answered


def _sent(socket, request):
    try:
        socket.send(request)
    except library().ICMPLibError:  # there is no way to it now
        return False
    return True


def _received(socket, patience):
    """The next ICMP packet, None when none comes in time; what came while another socket was read is still there."""
    try:
        return socket.receive(timeout=max(patience, 0.01))
    except library().ICMPLibError:
        return None


def judge(found, health, answers):
    """The health of each address after one more round.

    :param found: name -> (candidate, families that it is marked as down for).
    :param health: address -> :class:`Health` so far.
    :param answers: address -> whether it answered.
    """
    now = {}
    for candidate, down in found.values():
        for address in (*candidate.routers, *candidate.probes):
            out = (
                addressing.family(address) in down
                if address in candidate.probes
                else bool(down) and down >= candidate.versions
            )
            now[address] = (health.get(address) or Health(not out)).after(answers.get(address, False))
    return now


def tell(found, health, before, now):
    """Log what has become of gateways; ``before``, ``now``: name -> families whose default traffic goes through it."""
    for name, versions in now.items():
        for version in sorted(versions ^ before.get(name, versions)):
            if version in versions:
                LOG.warning("gateway %s answers again: its IPv%d default route returns", name, version)
            else:
                silent = (
                    "its next hop outside" if any(health[address].alive for address in found[name][0].routers) else "it"
                )
                LOG.warning("gateway %s: %s does not answer: its IPv%d default route goes", name, silent, version)


def write(connect, connection, wanted):
    """Converge the routes and marks; a gateway that went meanwhile shows in the next round."""
    try:
        if plan_rows(connection, wanted).changes:
            for item in converge_rows(connect, wanted, "ovn-k8s-egress").plan:
                LOG.info("%s", item.describe())
    except (Disconnected, DatabaseUnreachable):
        raise
    except DatabaseError as exc:
        LOG.warning("not this time: %s", exc)


def watch(connect, interval, timeout, notify):
    """Probe and write for as long as the connection lasts; :raises DatabaseError: when it ends."""
    connection, health, out = connect(), {}, {}
    connection.lock(LOCK)
    notify("READY=1")
    try:
        for number in itertools.count():
            started = time.monotonic()
            found = candidates(read_rows(connection, QUERIES))
            if LOCK in connection.locks:
                addresses = [
                    address
                    for candidate, _down in found.values()
                    for address in (*candidate.routers, *candidate.probes)
                ]
                health = judge(found, health, probe(addresses, timeout, number))
                before, out = out, usable([candidate for candidate, _down in found.values()], health)
                tell(found, health, before, out)
                write(connect, connection, Egress(tuple((found[name][0], versions) for name, versions in out.items())))
            notify("WATCHDOG=1")
            time.sleep(max(0.0, started + interval - time.monotonic()))
    finally:
        connection.close()


def main(arguments=None):
    """The program; exits when the database is gone, and systemd starts it again."""
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
