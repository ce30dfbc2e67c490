# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``ovn-k8s-egress``: keep the cluster's default routes on gateways that are alive.

It runs on every master; an OVSDB lock elects the one that acts. It probes the gateways (:mod:`.gateway_probe`), decides
which of them carry traffic (:mod:`.._topology.egress_health`), and writes that (:mod:`.._topology.egress`). The
database keeps the state: a gateway that is down has a mark there, and each gateway's row has its share of the pods.

Beside that it deletes chassis of hosts that have come back with another system-id (:mod:`.stale_chassis`), and raises
an alarm for ports that are bound to a chassis that is not theirs (:mod:`.binding_watch`).
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import logging
import threading
import time
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import DatabaseError, Disconnected, LockLost
from .._ovsdb import access
from .._ovsdb.connection import Connection
from .._ovsdb.converge import plan_rows, read_rows
from .._ovsdb.fence import Fence
from .._ovsdb.transaction import operations
from .._topology.egress import QUERIES, Egress, EgressGateway, Selected, egress_gateways, rebalance
from .._topology.egress_health import ROUTER, Liveness, kinds
from . import log
from .binding_watch import BindingWatch
from .daemon import notifier, stamp
from .egress_metrics import EgressMetrics, serve
from .gateway_probe import library, probe
from .stale_chassis import StaleChassis
from .version import add_option as add_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .._topology.egress_health import Health

LOCK = "ovn_kubernetes_egress"
# Seconds until slots are dealt for the first time although no next hop has answered, or not all gateways have.
BEGIN_WITHOUT_HOPS, BEGIN_AFTER = 2.0, 10.0
LOG = logging.getLogger("ovn-k8s-egress")


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


def log_waits(gateways: Iterable[EgressGateway], liveness: Liveness, now: float) -> None:
    """Log which gateways have begun to answer and must go on doing so before they get their default routes back."""
    for gateway in gateways:
        for version in sorted(gateway.versions - liveness.selected.get(gateway.name, frozenset())):
            presence = liveness.presence[gateway.name, version]
            if presence.good_since == now and presence.hold:
                LOG.warning(
                    "gateway %s answers again: its IPv%d default route returns after %.0f s of answers, since it went "
                    "%d times",
                    gateway.name,
                    version,
                    presence.hold,
                    presence.flaps,
                )


def begin(connection: Connection) -> Fence | None:
    """Let nothing be committed any more that another master has sent; None: the database has one server only.

    :raises DatabaseError: the lock is not ours, or the database is away.
    """
    if "," not in connection.remote:
        return None
    fence = Fence(LOCK)
    _lock, marked, *_others = connection.transact(fence.take())
    return fence if marked["count"] else None


def write(connection: Connection, desired: Egress, fence: Fence | None = None) -> None:
    """Converge the routes and marks, if this master still acts: the server commits only what comes with the lock.

    What another client changes meanwhile, and a gateway that is removed, show in the next round. So does whether a
    change was committed whose reply was lost: each round reads before it writes.
    """
    try:
        plan = plan_rows(connection, desired)
        if plan.changes and LOCK in connection.locks:
            # Beside the guards, not in their place: the site play writes such rows too, without the lock.
            guards = [{"op": "assert", "lock": LOCK}, *([fence.guard()] if fence else [])]
            connection.transact([*guards, *operations(plan, "ovn-k8s-egress")])
            for change in plan.changes:
                LOG.info("%s", change.describe())
    except Disconnected:
        raise
    except DatabaseError as exc:
        LOG.warning("trying again: %s", exc)
        if fence and not connection.transact([fence.question()])[0]["rows"]:
            connection.close()  # another master has begun to act: the next round begins anew


class Round:
    """The rounds of one program, while it is the one that acts.

    :param metrics: takes in what the rounds show.
    """

    def __init__(self, metrics: EgressMetrics) -> None:
        self._metrics = metrics
        self._liveness = _new_liveness()
        self._began = 0.0
        self._known: frozenset[str] = frozenset()

    def forget(self) -> None:
        """Forget what was seen: it is old when this master acts again."""
        self._liveness, self._known = _new_liveness(), frozenset()
        self._metrics.forget()

    def desired(self, gateways: Sequence[EgressGateway], replies: Mapping[str, int], now: float) -> Egress:
        """Return what the database must hold after the replies of a round.

        :param replies: address -> which of its requests was answered; 0: none.
        :param now: the time of a monotonic clock, in seconds.
        """
        liveness = self._liveness
        old = liveness.selected
        liveness.take_in(gateways, replies, now)
        log_changes(gateways, liveness.health, old, liveness.selected)
        log_waits(gateways, liveness, now)
        self._metrics.take_in(gateways, replies, liveness)
        known = frozenset(gateway.name for gateway in gateways)
        if known != self._known:  # new ones have their time to answer, however long the program has run
            self._known, self._began = known, now
        return Egress(
            tuple(
                Selected(gateway, liveness.selected[gateway.name], liveness.flaps(gateway.name, now))
                for gateway in gateways
            ),
            begins=self._is_complete(gateways, now - self._began),
        )

    def _is_complete(self, gateways: Iterable[EgressGateway], waited: float) -> bool:
        """Return whether all gateways that are likely to answer have done so, and carry traffic.

        :param waited: seconds since these gateways are known.
        """
        if waited >= BEGIN_AFTER:
            return True
        gateways = list(gateways)
        if any(gateway.versions - self._liveness.selected[gateway.name] for gateway in gateways):
            return False
        answered: dict[str, set[bool]] = {}
        for gateway in gateways:
            for kind, address in kinds(gateway):
                answered.setdefault(kind, set()).add(self._liveness.health[address].answered)
        if all(some == {True} for some in answered.values()):
            return True
        some_hops = any(len(some) > 1 for some in answered.values())
        return waited >= BEGIN_WITHOUT_HOPS and answered.get(ROUTER) == {True} and not some_hops


def _new_liveness() -> Liveness:
    return Liveness(epoch=time.time() - time.monotonic())


def watch(
    connect: Callable[[], Connection],
    interval: float,
    timeout: float,
    notify: Callable[[str], object],
    acts: threading.Event,
    metrics: EgressMetrics,
) -> None:
    """Probe and write for as long as there is a database, or until it is to be found elsewhere.

    :param acts: set while this master is the one that acts.
    :raises DatabaseError: no server of the database can be used.
    """
    said = stamp(names.CENTRAL_ACCESS)
    connection = connect()
    rounds = Round(metrics)
    fence: Fence | None = None
    connection.lock(LOCK)
    notify("READY=1")
    try:
        for number in itertools.count():
            started = time.monotonic()
            if stamp(names.CENTRAL_ACCESS) != said:
                LOG.info("%s was replaced: ending, to be started anew", names.CENTRAL_ACCESS)
                return
            try:
                gateways = egress_gateways(read_rows(connection, QUERIES))
                if LOCK in connection.locks and not acts.is_set():
                    fence = begin(connection)
            except LockLost:  # at this moment: the next read says so
                continue
            except Disconnected as exc:  # another member leads, with the lock in its hand
                LOG.warning("%s", exc)
                acts.clear()
                rounds.forget()
                connection.reopen()
                connection.lock(LOCK)
                continue
            if LOCK not in connection.locks:
                acts.clear()
                rounds.forget()
            else:
                acts.set()
                addresses = [address for gateway in gateways for address in gateway.all_ips()]
                replies = probe(addresses, timeout, number)
                silent = [address for address in addresses if not replies.get(address)]
                if silent:
                    LOG.debug("no answer from %s", ", ".join(silent))
                with contextlib.suppress(Disconnected):  # the next round connects again
                    write(connection, rounds.desired(gateways, replies, time.monotonic()), fence)
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
        "--northbound",
        help=f"where the Northbound database is (default: as {names.CENTRAL_ACCESS} says, or else "
        f"{names.NORTHBOUND_SOCKET})",
    )
    parser.add_argument(
        "--southbound",
        help=f"where the Southbound database is (default: as {names.CENTRAL_ACCESS} says, or else "
        f"{names.SOUTHBOUND_SOCKET})",
    )
    parser.add_argument(
        "--interval", type=float, default=0.3, help="seconds between two probes of a gateway (default: %(default)s)"
    )
    parser.add_argument(
        "--timeout", type=float, default=0.25, help="seconds to wait for an answer (default: %(default)s)"
    )
    parser.add_argument(
        "--listen",
        metavar="ADDRESS:PORT",
        default=names.EGRESS_LISTEN,
        help="where /metrics and /healthz are (default: %(default)s)",
    )
    parser.add_argument(
        "--rebalance",
        action="store_true",
        help="only divide the pods equally among gateways that carry traffic, and end; connections that move are cut",
    )
    add_version(parser)
    options = parser.parse_args(arguments)
    log.begin()
    logging.getLogger("icmplib").setLevel(logging.WARNING)
    try:
        north, south = access.northbound(options.northbound), access.southbound(options.southbound)
        connect = functools.partial(Connection, north.remote, names.NORTHBOUND, tls=north.tls)
        if options.rebalance:
            for operation in rebalance(connect, "ovn-k8s-egress --rebalance").plan:
                LOG.info("%s", operation.describe())
            return 0
        library()
        notify = notifier()
        acts = threading.Event()
        StaleChassis(north.remote, south.remote, acts.is_set, tls=north.tls or south.tls).start()
        metrics = EgressMetrics()
        BindingWatch(north, south, acts.is_set, metrics.take_in_bindings).start()
        serve(options.listen, metrics)
        watch(connect, options.interval, options.timeout, notify, acts, metrics)
    except DatabaseError as exc:
        LOG.error("%s", exc)
        return 1
    return 0
