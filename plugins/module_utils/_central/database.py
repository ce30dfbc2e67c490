# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known of one of OVN's databases on one master, and how an ovsdb-server's own words say it. Values only, no
I/O.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

NONE, STANDALONE, CLUSTERED, RELAYED = "none", "standalone", "clustered", "relay"  # Database.model
MEMBER, JOINING, LEAVING, LEFT, FAILED = "member", "joining", "leaving", "left", "failed"  # Database.status
# How "Status:" of cluster/status begins (ovsdb-server(1)) -> ours.
STATUS_WORDS = {
    "cluster member": MEMBER,
    "disconnected from the cluster": MEMBER,
    "joining cluster": JOINING,
    "leaving cluster": LEAVING,
    "left cluster": LEFT,
    "failed": FAILED,
}
LEADER = "leader"  # Database.role
SHORT = 4  # digits of a server ID that cluster/status shows of the others
SERVER_LINE = re.compile(r"\s+([0-9a-f]{4,}) \(\S+ at (\S+?)\)( \(self\))?")
LAST_MESSAGE = re.compile(r"last msg (\d+) ms ago")
LONG_ID = re.compile(r"\(([0-9a-f-]{36})\)")


@dataclass(frozen=True)
class Member:
    """A server in the list of a cluster's members.

    :ivar id: the first digits of its server ID.
    :ivar address: its RAFT address, for example ``ssl:10.0.0.1:6643``.
    :ivar silent: milliseconds since its last message; None: not known.
    """

    id: str
    address: str
    silent: int | None = None


@dataclass(frozen=True)
class Listener:
    """A row of the table Connection.

    :ivar role: of the Southbound database, ovn-sb(5).
    :ivar probe: inactivity_probe, milliseconds; None: the server's default.
    :ivar ours: the row has our owner keys.
    """

    target: str
    role: str = ""
    probe: int | None = None
    ours: bool = True


@dataclass(frozen=True)
class Database:
    """One database on one master, or its relay.

    :ivar model: ``none`` without a file, ``standalone``, ``clustered``; ``relay``.
    :ivar running: its server answers.
    :ivar status: of a clustered one: ``member``, ``joining``, ``leaving``, ``left``, ``failed``.
    :ivar role: ``leader``, ``follower``, ``candidate``; empty while the server does not run.
    :ivar leader: the first digits of the leader's server ID, ``self`` or ``unknown``.
    :ivar timer: the election timer, milliseconds.
    :ivar last, last_term: the index of the last entry in its log, and that entry's term; term 0: not known.
    :ivar unwritten: its file lacks entries of the log that its server has.
    :ivar empty: it has no row that anybody would miss; None: not known.
    :ivar schema, package_schema: the version of its schema, and that of the installed package.
    :ivar arguments: those of the running server that matter to us, see :func:`server_arguments`.
    :ivar listeners: rows of the table Connection; None: they could not be read.
    :ivar chassis: of the Northbound database: node to the system-id in its row; None: not read.
    :ivar users: port to the addresses that are connected to it.
    :ivar connected: of a relay: to a member of the cluster that has a leader.
    :ivar problem: why something could not be read, one sentence; empty: nothing.
    """

    model: str = NONE
    running: bool = False
    status: str = ""
    cluster_id: str = ""
    server_id: str = ""
    address: str = ""
    role: str = ""
    leader: str = ""
    members: tuple[Member, ...] = ()
    timer: int = 0
    last: int = 0
    last_term: int = 0
    unwritten: bool = False
    empty: bool | None = None
    schema: str = ""
    package_schema: str = ""
    arguments: tuple[str, ...] = ()
    listeners: tuple[Listener, ...] | None = None
    chassis: Mapping[str, str] | None = None
    users: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    connected: bool = False
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the same as JSON values, for facts."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Database:
        """Return what facts say; what they lack is as it is without a database."""
        known = {one.name for one in fields(cls)}
        given = {name: value for name, value in values.items() if name in known}
        given["members"] = tuple(Member(**member) for member in given.get("members") or ())
        if given.get("listeners") is not None:
            given["listeners"] = tuple(Listener(**listener) for listener in given["listeners"])
        given["arguments"] = tuple(given.get("arguments") or ())
        given["users"] = {str(port): tuple(found) for port, found in (given.get("users") or {}).items()}
        return cls(**given)

    def is_behind(self, other: Database) -> bool:
        """Return whether another member's log is more up to date ("In Search of an Understandable Consensus Algorithm",
        5.4.1): the later term of the last entries decides, and in one term the longer log; the length alone where a
        term is not known."""
        if self.last_term and other.last_term:
            return (self.last_term, self.last) < (other.last_term, other.last)
        return self.last < other.last

    @property
    def has_leader(self) -> bool:
        """Whether this member knows who leads its cluster, or this relay is connected to one that does."""
        if self.model == RELAYED:
            return self.running and self.connected
        return self.running and self.status == MEMBER and self.leader not in ("", "unknown")


def parse_status(text: str) -> dict[str, Any]:
    """Return what ``cluster/status`` says, as values of :class:`Database`."""
    found: dict[str, Any] = {"model": CLUSTERED, "running": True}
    members = []
    for line in text.splitlines():
        name, _colon, value = line.partition(":")
        value = value.strip()
        server = SERVER_LINE.match(line)
        if server is not None:
            silent = LAST_MESSAGE.search(line)
            members.append(Member(server[1][:SHORT], server[2], int(silent[1]) if silent else None))
        elif name in ("Cluster ID", "Server ID"):
            whole = LONG_ID.search(value)
            found["cluster_id" if name == "Cluster ID" else "server_id"] = whole[1] if whole else ""
        elif name == "Status":
            found["status"] = next((ours for word, ours in STATUS_WORDS.items() if value.startswith(word)), value)
            if value.startswith("disconnected"):
                found["problem"] = value
        elif name in ("Address", "Role", "Leader"):
            found[name.lower()] = value.split(" ")[0]
        elif name == "Election timer":
            found["timer"] = int(value) if value.isdigit() else 0
        elif name == "Log":
            # [FIRST, END): the entries from the first to the one before the end.
            ends = re.findall(r"\d+", value)
            found["last"] = int(ends[1]) - 1 if len(ends) > 1 else 0
    found["members"] = tuple(members)
    return found


def server_arguments(command_line: list[str]) -> tuple[str, ...]:
    """Return those arguments of an ovsdb-server by which it listens, and by which it knows keys and certificates.

    Remotes in its database and its unix socket are the same at all times, and left out.
    """
    ours = ("--private-key=", "--certificate=", "--ca-cert=", "--remote=p")
    found = [one for one in command_line if one.startswith(ours) and not one.startswith("--remote=punix:")]
    return tuple(sorted(found))
