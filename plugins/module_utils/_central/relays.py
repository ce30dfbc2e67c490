# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decide upon the relays of the Southbound database, one on each master (ovsdb(7), "Relay Service Model"). No I/O.

A relay and the member on the same master want the same port. Whoever comes second asks for it again and again, until
the other one has left it. So first all relays are there, and then the members leave the port to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import asked as do
from .asked import Step
from .database import Database
from .places import PLACES, RELAY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from .asked import Asked

SOUTHBOUND = PLACES[1]


def with_relays(asked: Asked, facts: Mapping[str, Mapping[str, Any] | None], steps: Sequence[Step]) -> list[Step]:
    """Return the steps with those of relays. As long as there are any, the members listen for chassis as they do.

    :param facts: as :func:`.decide.decide` has them.
    :param steps: those of the databases. Relays come after a Southbound database that is as it should be.
    """
    found = []
    if not any(step.database == SOUTHBOUND.key and step.action != do.LISTEN for step in steps):
        found = _steps(asked, facts)
    if not found:
        return list(steps)
    return [*found, *(step for step in steps if step.database != SOUTHBOUND.key)]


def _steps(asked: Asked, facts: Mapping[str, Mapping[str, Any] | None]) -> list[Step]:
    wanted = asked.listeners.get(RELAY.key)
    found: list[Step] = []
    if not wanted:
        return found
    # A relay that has seen a later entry of a cluster that is gone takes what the new one says for old news. So
    # one that is not connected, and serves nobody, is started anew. One that was too busy to answer serves everybody.
    has_source = _has_source(asked, facts)
    for master in asked.masters:
        said = facts.get(master.host)
        if said is None:  # it was not reached
            continue
        state = Database.from_dict(said.get(RELAY.key) or {})
        if not state.running:
            found.append(Step(master.host, RELAY.key, do.START))
        elif state.listeners is not None and sorted(map(repr, wanted)) != sorted(map(repr, state.listeners)):
            found.append(Step(master.host, RELAY.key, do.LISTEN, listeners=wanted))
        elif state.listeners is not None and not state.connected and has_source:
            found.append(
                Step(master.host, RELAY.key, do.RESTART, reason="it is connected to no member that has a leader")
            )
    return found


def _has_source(asked: Asked, facts: Mapping[str, Mapping[str, Any] | None]) -> bool:
    """Whether the members listen for relays already. One member that speaks tcp does so for nobody else."""
    targets = {one.target for one in asked.listeners.get(SOUTHBOUND.key, ())}
    states = (Database.from_dict((said or {}).get(SOUTHBOUND.key) or {}) for said in facts.values())
    return any(targets.issubset(one.target for one in state.listeners or ()) for state in states)
