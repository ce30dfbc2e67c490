# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with the masters' databases, for verify: what a run would do to them. Private to the collection."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Sequence

from ..module_utils._central import asked as do
from ..module_utils._central.places import PLACES, RELAY
from ..module_utils._verify.finding import ERROR, SITE, WARNING
from ._central import Central
from ._inventory import Inventory

if t.TYPE_CHECKING:
    from ..module_utils._central.asked import Step

FEWER = "the loss of fewer masters stops all changes"
# Step to what is wrong before it, and what that causes.
WRONG = {
    do.BOOTSTRAP: ("{database} is on no master", "nothing in the overlay can change"),
    do.CONVERT: (
        "{database} is standalone, as an earlier version made it, until the next run of ovn.kubernetes.site makes it a"
        " cluster of one member",
        "no other master can have it too",
    ),
    do.READDRESS: ("the member of {database} has another address than the inventory: {address}", "no master can join"),
    do.JOIN: ("it is no member of the cluster of {database}", FEWER),
    do.LEAVE: ("it is a member of the cluster of {database}, and should not be, or at another address", FEWER),
    do.KICK: ("the cluster of {database} has the member {server}, which no master is: {reason}", FEWER),
    do.START: ("its server of {database} does not run", FEWER),
    do.RESTART: (
        "its server of {database} runs with other options, or has given up",
        "it may listen for the wrong ones",
    ),
    do.WAIT: ("{database} has no leader", "nothing in the overlay can change"),
    do.TIMER: ("the election timer of {database} is another one", "elections are early or late"),
    do.UPGRADE: ("the schema of {database} is older than the package: {reason}", "what is new in OVN is missing"),
    do.COMPACT: (
        "the file of {database} lacks changes that its server has, since its disk was full",
        "they are lost here when the server starts again, and this member with them",
    ),
    do.SET_ASIDE: ("its server of {database} can't go on with its file: {reason}", FEWER),
    do.LISTEN: ("{database} listens in other places than it should", "who should connect can't, or who should not can"),
}
# The same of a master's relay of the Southbound database.
WRONG_RELAY = {
    do.START: ("its relay of OVN_Southbound does not run", "hosts have the relays of fewer masters"),
    do.RESTART: (
        "its relay of OVN_Southbound is connected to no member that has a leader",
        "hosts that are connected to it learn of no change",
    ),
    do.LISTEN: ("its relay of OVN_Southbound listens in other places than it should", WRONG[do.LISTEN][1]),
}


class CentralFinding(t.NamedTuple):
    """What is wrong on a master, or with all of them (an empty host), as a row of verify's table has it."""

    host: str
    wrong: str
    causes: str
    mend: str = SITE
    severity: str = ERROR


def central_findings(inventory: Inventory, hosts: Iterable[str]) -> list[CentralFinding]:
    """Return what is wrong with the masters' databases.

    :param hosts: those of the play; of masters alone that the play leaves out nothing is said.
    """
    central = Central(inventory)
    if not central.masters or not set(central.masters) & set(hosts):
        return []
    decision = central.decide()
    found = [CentralFinding("", text, "a site run stops here", "see the sentence") for text in decision.refusals]
    found += (_finding(step, len(central.masters)) for step in decision.steps)
    return [*found, *_left_over(central, decision.steps)]


def _finding(step: Step, masters: int) -> CentralFinding:
    """Return what is wrong before a step. One master works with a standalone database as it did."""
    place = next(place for place in (*PLACES, RELAY) if place.key == step.database)
    wrong, causes = (WRONG_RELAY if place is RELAY else WRONG)[step.action]
    texts = {"address": step.address, "server": step.server, "reason": step.reason}
    severity = WARNING if step.action == do.CONVERT and masters == 1 else ERROR
    return CentralFinding(step.host, wrong.format(database=place.database, **texts), causes, severity=severity)


def _left_over(central: Central, _steps: Sequence[Step]) -> Iterator[CentralFinding]:
    """Yield a listener of the protocol that the inventory does not ask for."""
    if central.switching():
        method = "plain tcp" if central.tls else "ssl"
        users = ", ".join(central.users())
        text = f"the Southbound database still listens for chassis by {method}{f', which {users} use' if users else ''}"
        causes = "who reaches the port can change the overlay" if central.tls else "hosts speak two protocols"
        yield CentralFinding("", text, causes, severity=ERROR if central.tls else WARNING)
