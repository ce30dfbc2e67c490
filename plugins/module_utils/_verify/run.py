# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Verify this host: read, check, and give what comes by itself some time."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .._common import names
from . import central
from .checks import LASTING, PASSING
from .finding import ERROR
from .probe import read_passing
from .read import read_lasting

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .facts import Expected, Passing
    from .finding import Finding
    from .read import Run

PATIENCE = 12.0  # seconds for services, tunnels and answers where nothing else is wrong
SHORT = 3.0  # the same where something else is wrong already
PAUSE = 0.3  # seconds between two looks


@dataclass(frozen=True)
class Remotes:
    """Where the databases are."""

    open_vswitch: str = names.LOCAL_SOCKET
    northbound: str | None = None  # where this master finds it
    southbound: str | None = None


@dataclass(frozen=True)
class Report:
    """What was found.

    :ivar facts: what the controller compares between hosts.
    :ivar silent: names of hosts that did not answer through the overlay.
    """

    findings: tuple[Finding, ...]
    facts: dict[str, Any]
    silent: tuple[str, ...] = ()


def verify(expected: Expected, run: Run, remotes: Remotes = Remotes()) -> Report:
    """Return what is wrong on this host.

    :param run: runs a command of systemd or of the package manager.
    """
    lasting, facts = read_lasting(expected, run, remotes.open_vswitch)
    if expected.overlay:
        lasting = replace(lasting, overlay=central.compare_overlay(expected.overlay, remotes.northbound))
    findings = [finding for check in LASTING for finding in check(expected, lasting)]
    southbound = (expected.node or {}).get("southbound") or ""
    end = time.monotonic() + (SHORT if _has_errors(findings) else PATIENCE)
    asks = bool(expected.overlay) and not lasting.overlay.problem  # else it was said already
    misplaced, unknown = central.misplaced_ports(remotes.northbound, remotes.southbound) if asks else ((), "")
    while True:
        passing = read_passing(expected, run, southbound, facts.get("chassis"))
        passing = replace(passing, misplaced=misplaced, unknown_bindings=unknown)
        more = [finding for check in PASSING for finding in check(expected, passing)]
        silent = _silent(passing)
        if not (_has_errors(more) or silent) or time.monotonic() >= end:
            return Report(tuple(findings + more), facts, silent)
        time.sleep(PAUSE)
        if misplaced or unknown:  # the databases may have many ports: what was right once is not read again
            misplaced, unknown = central.misplaced_ports(remotes.northbound, remotes.southbound)


def _has_errors(findings: Iterable[Finding]) -> bool:
    return any(one.severity == ERROR for one in findings)


def _silent(passing: Passing) -> tuple[str, ...]:
    """Return the hosts that did not answer, each once."""
    return tuple(dict.fromkeys(peer.name for peer in passing.silent_peers))
