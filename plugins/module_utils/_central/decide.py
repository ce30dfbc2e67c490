# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decide what leads from the masters' databases as they are to those that are asked for. No I/O.

A decision has only steps that are certain to be right now. Afterwards the state is read again, and decided upon again,
until nothing is left: so a run that was interrupted is completed by the next one, wherever it ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import asked as do
from .asked import Decision, Step
from .cluster import Cluster, next_steps
from .database import CLUSTERED, JOINING, LEFT, NONE, STANDALONE, Database
from .places import PLACES, RELAY
from .relays import SOUTHBOUND, with_relays

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Optional

    from .asked import Asked
    from .places import Place

    Facts = Mapping[
        str, Optional[Mapping[str, Any]]
    ]  # host -> what ovn_facts says of its databases; None: nobody asked

# Since these versions servers write what older ones can't read, to their files and to each other (ovsdb(7), "Upgrading
# from version 2.14 and earlier to 2.15 and later", "Upgrading from version 3.1 and earlier to 3.2 and later").
FORMATS = ((2, 15), (3, 2))
NAMED = 3  # hosts of a sentence; --limit may leave out hundreds


def decide(asked: Asked, facts: Facts) -> Decision:
    """Return the next steps for both databases, or why there are none.

    :param facts: of masters and former masters.
    """
    refusals: list[str] = _versions(asked, facts)
    steps: list[Step] = []
    for place in PLACES:
        states = {
            host: None if found is None else Database.from_dict(found.get(place.key) or {})
            for host, found in facts.items()
        }
        decision = _decide_one(asked, place, states)
        refusals += decision.refusals
        steps += decision.steps
    steps = with_relays(asked, facts, steps)
    if not refusals:
        refusals += _left_out(asked, steps)
    return Decision((), tuple(dict.fromkeys(refusals))) if refusals else Decision(tuple(steps))


def _versions(asked: Asked, facts: Facts) -> list[str]:
    """Refuse masters whose servers can't understand each other."""
    kinds: dict[int, list[str]] = {}
    for master in asked.masters:
        version = str((facts.get(master.host) or {}).get("version") or "")
        if version:
            kinds.setdefault(_format(version), []).append(f"{master.host} ({version})")
    if len(kinds) < 2:
        return []
    sides = " and ".join(", ".join(hosts) for _kind, hosts in sorted(kinds.items()))
    return [
        f"the masters have versions of Open vSwitch whose database servers can't understand each other: {sides}: bring "
        "all masters to the same release before they are masters together"
    ]


def _format(version: str) -> int:
    """Return which format of database files a version of Open vSwitch writes."""
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    return sum(numbers >= first for first in FORMATS)


def _left_out(asked: Asked, steps: list[Step]) -> list[str]:
    """Refuse a --limit that leaves out masters which must be changed."""
    hosts = {step.host for step in steps}
    missing = [master.host for master in (*asked.masters, *asked.former) if master.host in hosts]
    missing = [host for host in missing if host in asked.limited]
    if not missing:
        return []
    texts = "; ".join(step.text() for step in steps if step.host in missing)
    return [
        f"--limit leaves out {', '.join(missing)}, whose databases must change too ({texts}): limit the run to hosts"
        " that are no masters, or not at all"
    ]


def _decide_one(asked: Asked, place: Place, states: Mapping[str, Database | None]) -> Decision:
    """Decide upon one database."""
    unread = [master.host for master in asked.masters if states.get(master.host) is None]
    known = {host: state for host, state in states.items() if state is not None}
    broken = [f"{host}: {state.problem}" for host, state in known.items() if state.problem and state.model == NONE]
    if broken:
        return Decision((), tuple(f"{text}; look at the file, and move it away if nothing needs it" for text in broken))
    clustered = {host: state for host, state in known.items() if state.model == CLUSTERED and state.status != LEFT}
    identities: dict[str, list[str]] = {}
    for host, state in clustered.items():
        if state.cluster_id and state.status != JOINING:  # which has nothing of it yet
            identities.setdefault(state.cluster_id, []).append(host)
    if len(identities) > 1:
        return _two_clusters(place, identities)
    if identities:
        identity, hosts = next(iter(identities.items()))
        return next_steps(Cluster(asked, place, identity, known, tuple(hosts), tuple(unread)))
    return _without_cluster(asked, place, known, unread)


def _two_clusters(place: Place, identities: Mapping[str, list[str]]) -> Decision:
    sides = "; ".join(f"{', '.join(hosts)}: {identity}" for identity, hosts in identities.items())
    return Decision(
        (),
        (
            f"the masters' {place.database} databases are of different clusters ({sides}): stop the servers of those "
            "that are not wanted, move their files away, and run it again",
        ),
    )


def _without_cluster(asked: Asked, place: Place, known: Mapping[str, Database], unread: list[str]) -> Decision:
    """Make the cluster: exactly once, from the standalone database where there is one."""
    standalone = [host for host, state in known.items() if state.model == STANDALONE]
    with_rows = [host for host in standalone if known[host].empty is not True]
    if unread:
        were = "was" if len(unread) == 1 else "were"
        return Decision(
            (),
            (
                # The same words for both databases, so that it is said once.
                f"{', '.join(unread)} {were} not reached, and may have databases that no other master has, so that no "
                "cluster of them can be made: bring all masters up, and run it again",
            ),
        )
    lost = _may_be_elsewhere(asked, place, known, bool(with_rows))
    if lost:
        return Decision((), (lost,))
    if len(with_rows) > 1:
        return Decision(
            (),
            (
                f"{' and '.join(with_rows)} have a standalone {place.database} database with rows each, and there can "
                "be only one: stop the server of the one that is not wanted, move its file away, and run it again",
            ),
        )
    (host,) = (*with_rows, *standalone, asked.masters[0].host)[:1]
    if asked.protocol == "ssl" and not asked.is_master(host):
        return Decision(
            (),
            (
                f"{host} has the standalone {place.database} database and is no master any more, so that it has no key "
                "by which others could join it: let ovn_masters be that host alone in one run, and change it then",
            ),
        )
    action = do.CONVERT if standalone else do.BOOTSTRAP
    address = asked.raft_address(asked.master(host), place)
    listeners = asked.listeners.get(place.key, ())
    if standalone and place.key == SOUTHBOUND.key:
        # It has the port of chassis until all relays are there, which come when all masters have joined.
        listeners = (*listeners, *asked.listeners.get(RELAY.key, ()))
    return Decision((Step(host, place.key, action, address, timer=asked.timer, listeners=listeners),))


def _may_be_elsewhere(asked: Asked, place: Place, known: Mapping[str, Database], has_rows: bool) -> str:
    """Return why no cluster may be made: there was one, and a host that nobody asked may have it; empty: it may.

    :param has_rows: whether there is a standalone database with rows: then they are what hosts look for.
    """
    if not asked.away:
        return ""
    joining = [host for host, state in known.items() if state.status == JOINING]
    if joining:
        sign, which = f"{joining[0]} was about to join a cluster of {place.database}", "it"
    elif asked.elsewhere and not has_rows:
        sign = f"hosts look for the databases at {', '.join(asked.elsewhere)}, where no host is that was asked"
        which = "them"
    else:
        return ""
    more = len(asked.away) - NAMED
    away = ", ".join(asked.away[:NAMED]) + (f" and {more} more" if more > 0 else "")
    were = "was" if len(asked.away) == 1 else "were"
    return (
        f"{sign}, and {away} {were} not asked and may have {which}, so that no cluster of {which} can be made: run "
        "it for all hosts, without --limit, when all are up; take a host that is lost for good out of the inventory"
    )
