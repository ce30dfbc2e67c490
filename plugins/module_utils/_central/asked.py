# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is asked of the masters, and the steps that lead there. Values only, no I/O."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from .._common.remotes import addresses, with_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .database import Listener
    from .places import Place

# Milliseconds until a follower that hears nothing begins an election; Open vSwitch adds up to a second of chance. Its
# own default, 1000, is as short as a server may be kept waiting by two busy processors (a snapshot, a northd that
# computes all anew); 3000 and more would make changes wait longer than three seconds after the death of a leader.
ELECTION_TIMER = 1500

BOOTSTRAP = "bootstrap"  # make the cluster, of one member, without a row
CONVERT = "convert"  # make the cluster from a standalone database, with its rows
READDRESS = "readdress"  # make a cluster of one member anew, with its rows, at another address
JOIN = "join"
LEAVE = "leave"
KICK = "kick"
START = "start"
RESTART = "restart"  # with other arguments
WAIT = "wait"  # until the cluster has a leader
TIMER = "timer"
UPGRADE = "upgrade"  # the schema
LISTEN = "listen"
COMPACT = "compact"  # write the file anew, from what the server has
SET_ASIDE = "set_aside"  # stop the server, and give its file another name
TEXTS = {
    BOOTSTRAP: "make a new cluster of one member",
    CONVERT: "make the standalone database a cluster of one member, with all rows",
    READDRESS: "make the cluster of one member anew at {address}, with all rows",
    JOIN: "join the cluster",
    LEAVE: "leave the cluster",
    KICK: "take the member {server} out of the cluster",
    START: "start the server",
    RESTART: "restart the server with its options as they are now",
    WAIT: "wait until the cluster has a leader",
    TIMER: "set the election timer to {timer} ms",
    UPGRADE: "bring the schema to the version of the installed package",
    LISTEN: "set where the servers listen",
    COMPACT: "write the file anew from what the server has",
    SET_ASIDE: "stop the server, and set its file aside",
}


@dataclass(frozen=True)
class Master:
    """A host that has, or is to have, the databases.

    :ivar host: its name in the inventory.
    :ivar address: its tunnel address, at which the others find it; empty: not known.
    """

    host: str
    address: str


@dataclass(frozen=True)
class Asked:
    """What is asked of the masters.

    :ivar masters: in the order of the inventory.
    :ivar former: other hosts of the inventory, which may have been masters.
    :ivar protocol: ``ssl`` or ``tcp``.
    :ivar arguments: key of a database to the arguments that its server must have, see :func:`.database.
        server_arguments`; without the key any are right.
    :ivar ssl_arguments: the same, while a member of its cluster has an address with ``ssl``: on the way from there to
        ``tcp`` keys are needed until the last one has another address.
    :ivar listeners: key of a database, or of the relay, to the listeners that it must have; without the key any are
        right, and without those of the relay there are no relays.
    :ivar limited: hosts that the play leaves out, and must not change.
    :ivar away: other hosts of the inventory that were not asked: one that was a master may have the databases.
    :ivar elsewhere: addresses at which hosts look for the databases, while none that was asked has them.
    """

    masters: tuple[Master, ...]
    former: tuple[Master, ...] = ()
    protocol: str = "tcp"
    timer: int = ELECTION_TIMER
    arguments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ssl_arguments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    listeners: Mapping[str, tuple[Listener, ...]] = field(default_factory=dict)
    limited: tuple[str, ...] = ()
    away: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()

    def raft_address(self, master: Master, place: Place) -> str:
        """Return the address at which a master's member of a cluster is to be."""
        return f"{self.protocol}:{with_port(master.address, place.raft_port)}"

    def master(self, host: str) -> Master:
        """Return the master, or former master, of this name."""
        return next(master for master in (*self.masters, *self.former) if master.host == host)

    def is_master(self, host: str) -> bool:
        """Return whether the host is to have the databases."""
        return any(master.host == host for master in self.masters)

    def at(self, raft_address: str) -> str:
        """Return the host that has the address of a member, whatever its protocol; empty: none that is known."""
        found = addresses(raft_address)
        return next((one.host for one in (*self.masters, *self.former) if one.address in found), "")


@dataclass(frozen=True)
class Step:
    """One change of one database on one host.

    :ivar address: the RAFT address of the host's member.
    :ivar remotes: RAFT addresses of members that are known to be alive, for a join.
    :ivar cluster: the ID of the cluster that is joined.
    :ivar server: of a kick: what names the member, digits of its server ID.
    :ivar listeners: of :data:`LISTEN`.
    :ivar reason: why, in words; empty: the action says it.
    """

    host: str
    database: str
    action: str
    address: str = ""
    remotes: tuple[str, ...] = ()
    cluster: str = ""
    server: str = ""
    timer: int = 0
    listeners: tuple[Listener, ...] = ()
    reason: str = ""

    def text(self) -> str:
        """Return the step as one line of a plan."""
        what = TEXTS[self.action].format(address=self.address, server=self.server, timer=self.timer)
        return f"{self.database} on {self.host}: {what}{f' ({self.reason})' if self.reason else ''}"

    def as_dict(self) -> dict[str, Any]:
        """Return the step as JSON values."""
        return {**asdict(self), "remotes": list(self.remotes), "listeners": self._listeners(), "text": self.text()}

    def _listeners(self) -> list[dict[str, Any]]:
        return [{"target": one.target, "role": one.role, "probe": one.probe} for one in self.listeners]


@dataclass(frozen=True)
class Decision:
    """The next steps, after which the state is read and decided upon again; none: nothing is left to do.

    :ivar refusals: why nothing may be done, one sentence each. With one of them there are no steps.
    """

    steps: tuple[Step, ...] = ()
    refusals: tuple[str, ...] = ()
