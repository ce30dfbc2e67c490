# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read what comes by itself a while after a start: services, readiness, the chassis, answers through the overlay."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .._central.cut_off import cut_off
from .._common import names
from .._common.errors import DatabaseError, FlowError, HostError
from .._host import units
from .._openflow.client import run_client
from .._ovsdb import access
from .._ovsdb.connection import Connection
from .._ovsdb.converge import read_rows
from .._ovsdb.rows import by_name
from . import echo
from .facts import NODE_SERVER, WATCHER, Passing
from .read import saved_settings, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .facts import Expected, Peer

    Run = Callable[[list[str]], "tuple[int, str, str]"]

TIMEOUT = 2.0  # seconds for one answer
FINDINGS_TIMEOUT = 5.0  # seconds for a node server's comparison of all its pods
LONGEST = 1 << 20  # bytes of an answer: findings of a hundred pods, each with four sentences of escaped characters


def read_passing(expected: Expected, run: Run, southbound: str, chassis: str | None) -> Passing:
    """Return how things are now; all of them are asked at the same time.

    :param run: runs systemctl.
    :param southbound: the Southbound database's remote; empty: not asked.
    :param chassis: this host's system-id.
    """
    with ThreadPoolExecutor(5) as pool:
        silent = pool.submit(_silent, expected)
        registered = pool.submit(_registered, southbound, chassis)
        programs = pool.submit(_programs, expected)
        steering = pool.submit(_flows, expected)
        health = pool.submit(_unhealthy, expected)
        statuses, silence = _statuses(expected, run)
        not_ready, reported, unreported = programs.result()
        flows, no_flows = steering.result()
        is_registered, problem = registered.result()
        quiet = silent.result()
    return Passing(
        statuses,
        silence,
        is_registered,
        problem,
        # A program that does not run is one finding, not two.
        {unit: text for unit, text in not_ready.items() if unit not in statuses or statuses[unit].running},
        text_of(names.CNI_CONFIGURATION) if expected.serves_pods else "",
        (saved_settings(names.NODE_SETTINGS) or {}).get("mtu"),
        reported,
        unreported,
        "" if not_ready else health.result(),
        flows,
        no_flows,
        tuple(peer for peer in expected.peers if peer.address in quiet),
        tuple(peer for peer in expected.routers if peer.address in quiet),
        cut_off=tuple(cut_off()),
    )


def _statuses(expected: Expected, run: Run) -> tuple[dict[str, units.Status], str]:
    """Return the units' states, and why systemd does not say them."""
    try:
        return units.read_all(run, expected.units), ""
    except HostError as error:
        return {}, str(error)


def _unhealthy(expected: Expected) -> str:
    """Return how the health checks of clouds' load balancers are answered, where nobody answers as kube-proxy does."""
    if not expected.serves_pods:
        return ""
    status, text = _get(f"http://127.0.0.1:{names.PROXY_HEALTH_PORT}/livez")
    if status == 0:
        return text
    return "" if '"lastUpdated"' in text else f"another program answers, with status {status}"


def _flows(expected: Expected) -> tuple[bool | None, str]:
    """Return whether the gateway helper has flows on the shared NIC's bridge, and why they can't be read; None where
    no NIC is shared.
    """
    bridge = (expected.gateway or {}).get("bridge") if expected.is_gateway else None
    if not bridge:
        return None, ""
    cookie = f"cookie={names.FLOW_COOKIE:#x}/-1"  # ovs-ofctl(8), dump-aggregate
    try:
        counted = asyncio.run(run_client("dump-aggregate", str(bridge), cookie))
    except FlowError as error:
        return None, str(error)
    return bool(re.search(r"flow_count=[1-9]", counted)), ""


def _silent(expected: Expected) -> set[str]:
    asked: list[Peer] = [*expected.peers, *expected.routers]
    return echo.silent([peer.address for peer in asked], TIMEOUT) if asked else set()


def _registered(southbound: str, chassis: str | None) -> tuple[bool | None, str]:
    """Return whether the Southbound database has the chassis, and why it can't be read."""
    if not southbound or not chassis:
        return None, ""
    try:
        found = access.chassis(southbound)
        connection = Connection(found.remote, names.SOUTHBOUND, TIMEOUT, found.tls, leader_only=False)
        try:
            return bool(read_rows(connection, [by_name("Chassis", chassis, ("name",))])), ""
        finally:
            connection.close()
    except DatabaseError as error:
        return None, str(error)


def _programs(expected: Expected) -> tuple[dict[str, str], tuple[Mapping[str, Any], ...], dict[str, str]]:
    """Return unit -> what its program says instead of "ready", the findings of node server and watcher, and unit -> why
    one of them that is ready does not say them.
    """
    not_ready: dict[str, str] = {}
    reported: tuple[Mapping[str, Any], ...] = ()
    unreported: dict[str, str] = {}
    for url, unit in expected.readiness.items():
        status, text = _get(url + "/readyz")
        if status != http.client.OK:
            not_ready[unit] = " ".join(text.split())[:300]
        if unit in (NODE_SERVER, WATCHER):
            found, problem = _findings(url + "/findings")
            reported += found
            if problem and status == http.client.OK:
                unreported[unit] = problem
    return not_ready, reported, unreported


def _findings(url: str) -> tuple[tuple[Mapping[str, Any], ...], str]:
    """Return the findings of a program, and why they are not all that it has found."""
    status, text = _get(url, FINDINGS_TIMEOUT)
    if status != http.client.OK:
        return (), " ".join((text if status == 0 else f"{url} answers with status {status}").split())
    if len(text) > LONGEST:
        return (), f"{url} answers with more than {LONGEST} bytes"
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, list):
        return (), f"{url} answers with something else than a list in JSON"
    found = tuple(one for one in content if isinstance(one, dict) and _has_words(one))
    return found, "" if len(found) == len(content) else f"{url} has findings without subject or without words"


def _has_words(found: Mapping[str, Any]) -> bool:
    return all(isinstance(found.get(key), str) and found[key].strip() for key in ("subject", "wrong"))


def _get(url: str, timeout: float = TIMEOUT) -> tuple[int, str]:
    """Return the status and the text of an answer; status 0 when there is none. No proxy is asked."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=timeout)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        return answer.status, answer.read(LONGEST + 1).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, f"no answer from {url}: {error}"
    finally:
        connection.close()
