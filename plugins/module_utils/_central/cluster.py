# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decide upon a cluster that exists: who joins, who leaves, who is started. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import asked as do
from .asked import Decision, Step
from .database import CLUSTERED, FAILED, JOINING, LEADER, LEFT, MEMBER, NONE, SHORT, STANDALONE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .asked import Asked
    from .database import Database, Member
    from .places import Place

RECOVER = "ansible-playbook ovn.kubernetes.recover -e ovn_recover_from={host}"


@dataclass(frozen=True)
class Cluster:
    """A cluster, as far as hosts know it.

    :ivar identity: its cluster ID.
    :ivar known: the hosts that were asked, and their state.
    :ivar hosts: those of them that have a database of this cluster; not who is about to join it.
    :ivar unread: masters that were not reached.
    """

    asked: Asked
    place: Place
    identity: str
    known: Mapping[str, Database]
    hosts: tuple[str, ...]
    unread: tuple[str, ...]

    def step(self, host: str, action: str, **more: object) -> Step:
        """Return a step on a host."""
        return Step(host, self.place.key, action, **more)  # type: ignore[arg-type]

    @property
    def running(self) -> list[str]:
        """The hosts whose servers run and are members."""
        return [host for host in self.hosts if self.known[host].running and self.known[host].status == MEMBER]

    @property
    def source(self) -> str:
        """The host that knows the cluster best: its leader, else a member that has one; empty: nobody has."""
        led = [host for host in self.running if self.known[host].has_leader]
        return next((host for host in led if self.known[host].role == LEADER), led[0] if led else "")

    def owner(self, member: Member) -> str:
        """Return the host whose database this member of the cluster is; empty: none that was asked."""
        return next((host for host in self.hosts if self.known[host].server_id[:SHORT] == member.id), "")

    def desired(self, host: str) -> str:
        """Return the RAFT address that a master is to have."""
        return self.asked.raft_address(self.asked.master(host), self.place)


def next_steps(cluster: Cluster) -> Decision:
    """Return the next steps; each kind is done before the next one is thought of."""
    refusals = _refusals(cluster)
    if refusals:
        return Decision((), tuple(refusals))
    source = cluster.source
    if not source:
        return _without_leader(cluster)
    members = cluster.known[source].members
    for kind in (
        _stopped,
        _failed,
        _unwritten,
        _alone_elsewhere,
        _restarts,
        _gone,
        _joins,
        _leaves,
        _elsewhere,
        _settings,
    ):
        steps = list(kind(cluster, source, members))
        if isinstance(next(iter(steps), None), str):
            return Decision((), tuple(map(str, steps)))
        if steps:
            return Decision(tuple(step for step in steps if isinstance(step, Step)))
    return Decision()


def _refusals(cluster: Cluster) -> list[str]:
    """Return why nothing may be done: a standalone database with rows beside the cluster."""
    found = []
    for host, state in cluster.known.items():
        if state.model == STANDALONE and state.empty is not True:
            others = ", ".join(cluster.hosts)
            found.append(
                f"{host} has a standalone {cluster.place.database} database with rows, and {others} a cluster: stop the"
                f" server of {host}, move its file away, and run it again"
            )
    return found


def _without_leader(cluster: Cluster) -> Decision:
    """Start what is stopped; else wait for an election, or say that the majority is lost."""
    stopped = [host for host in cluster.hosts if not cluster.known[host].running and not _is_damaged(cluster, host)]
    failed = [host for host in cluster.hosts if cluster.known[host].status == FAILED and not _is_damaged(cluster, host)]
    if stopped:
        return Decision(tuple(cluster.step(host, do.START) for host in stopped))
    if failed:
        return Decision(tuple(cluster.step(host, do.RESTART, reason="its server has given up") for host in failed))
    running = cluster.running
    size = max((len(cluster.known[host].members) for host in running), default=0)
    needed = size // 2 + 1
    if len(running) + len(cluster.unread) >= needed and len(running) >= needed:
        return Decision((cluster.step(running[0], do.WAIT),))
    best = _latest(cluster, running)
    return Decision((), (lost_majority(cluster, running, size, needed, best),))


def _latest(cluster: Cluster, hosts: list[str]) -> str:
    """Return the host whose log is the last one; empty: there is none."""
    best = ""
    for host in hosts:
        if not best or cluster.known[best].is_behind(cluster.known[host]):
            best = host
    return best


def _is_damaged(cluster: Cluster, host: str) -> bool:
    """Whether no server can open the file of a host."""
    state = cluster.known[host]
    return not state.running and state.status == FAILED


def lost_majority(cluster: Cluster, running: list[str], size: int, needed: int, best: str) -> str:
    """Return the sentence about a cluster that can't go on by itself, with the command that helps."""
    unread = f"; {', '.join(cluster.unread)} not reached" if cluster.unread else ""
    return (
        f"{cluster.place.database} has lost its majority: of {size} members only {len(running)} run"
        f" ({', '.join(running) or 'none'}{unread}), and {needed} must: start the others again; if they are lost for "
        f"good, {RECOVER.format(host=best or 'MASTER')} makes a new cluster from the last state that {best or 'MASTER'}"
        " has"
    )


def _stopped(cluster: Cluster, _source: str, members: tuple[Member, ...]) -> Iterator[Step]:
    """Start servers of members that are stopped. Whose file is no member's any more joins anew later."""
    ids = {member.id for member in members}
    for host in cluster.hosts:
        state = cluster.known[host]
        if _is_damaged(cluster, host):
            continue
        if not state.running and state.server_id[:SHORT] in ids:
            yield cluster.step(host, do.START)


def _failed(cluster: Cluster, _source: str, _members: tuple[Member, ...]) -> Iterator[Step]:
    """Set the files aside of members that gave up, for example since their disk was full: they join anew.

    Such a file may have a gap, and then no server opens it; the others have all that it has.
    """
    for host in cluster.hosts:
        if cluster.known[host].status == FAILED:
            yield cluster.step(host, do.SET_ASIDE, reason="it could not be written, and may have a gap")


def _unwritten(cluster: Cluster, _source: str, _members: tuple[Member, ...]) -> Iterator[Step]:
    """Let servers write their files anew that could not be written for a while: they would be members without these
    entries after their next start, or none at all, since nobody opens a file with a gap."""
    for host in cluster.running:
        if cluster.known[host].unwritten:
            yield cluster.step(host, do.COMPACT, reason="its disk was full, and the file lacks changes")


def _alone_elsewhere(cluster: Cluster, source: str, members: tuple[Member, ...]) -> Iterator[Step]:
    """A cluster of one member gets another address by being made anew: it has nobody to join again."""
    if len(members) == 1 and cluster.asked.is_master(source) and members[0].address != cluster.desired(source):
        # Who is about to join it would join what is no more.
        joining = [host for host, state in cluster.known.items() if state.running and state.status == JOINING]
        for host in joining:
            yield cluster.step(host, do.SET_ASIDE, reason="it has not joined, and its cluster is made anew")
        if joining:
            return
        yield cluster.step(source, do.READDRESS, address=cluster.desired(source), timer=cluster.asked.timer)


def _restarts(cluster: Cluster, _source: str, _members: tuple[Member, ...]) -> Iterator[Step]:
    """Restart servers with other arguments than they must have, followers first."""
    asked = cluster.asked
    arguments = asked.ssl_arguments if any(map(has_ssl, cluster.known.values())) else asked.arguments
    wanted = arguments.get(cluster.place.key)
    if wanted is None:
        return
    found = [
        host
        for host in cluster.running
        if cluster.asked.is_master(host) and cluster.known[host].arguments != tuple(sorted(wanted))
    ]
    for host in sorted(found, key=lambda host: cluster.known[host].role == LEADER):
        yield cluster.step(host, do.RESTART)


def has_ssl(state: Database) -> bool:
    """Return whether a member of the database's cluster has an address with ``ssl``, as far as this host knows."""
    return any(address.startswith("ssl:") for address in (state.address, *(one.address for one in state.members)))


def _gone(cluster: Cluster, source: str, members: tuple[Member, ...]) -> Iterator[Step]:
    """Take out members that nobody has any more: of hosts that left the inventory, and of disks that were wiped.

    A member of a master that was only not reached stays, and so does one of another host that --limit leaves out. Where
    a master was not reached that has another address than all members, one that nobody knows may be its own.
    """
    known = [cluster.asked.at(member.address) for member in members]
    elsewhere = [host for host in cluster.unread if host not in known]
    for member in members:
        if cluster.owner(member):
            continue
        host = cluster.asked.at(member.address)
        if (
            (not host and elsewhere)
            or host in cluster.unread
            or (host in cluster.asked.limited and not cluster.asked.is_master(host))
        ):
            continue
        lost = f"{host} has lost its database" if cluster.asked.is_master(host) else f"{member.address} is no master's"
        yield cluster.step(source, do.KICK, server=member.id, reason=lost)


def _joins(cluster: Cluster, _source: str, members: tuple[Member, ...]) -> Iterator[Step]:
    """Let masters join that are no members: without a database, with one that has left, or with an empty one."""
    ids = {member.id for member in members}
    alive = [member.address for member in members if cluster.owner(member) in cluster.running]
    for master in cluster.asked.masters:
        state = cluster.known.get(master.host)
        if state is None:
            continue
        is_member = state.model == CLUSTERED and state.status not in (LEFT, JOINING) and state.server_id[:SHORT] in ids
        if not is_member:
            address = cluster.desired(master.host)
            reason = "" if state.model == NONE else f"its file, which is {_what(state)}, is set aside"
            remotes = tuple(one for one in alive if one != address)
            yield cluster.step(
                master.host, do.JOIN, address=address, remotes=remotes, cluster=cluster.identity, reason=reason
            )


def _what(state: Database) -> str:
    if state.model == STANDALONE:
        return "standalone and empty"
    return "one that never finished to join" if state.status == JOINING else "no member's any more"


def _leaves(cluster: Cluster, _source: str, members: tuple[Member, ...]) -> Iterator[Step]:
    """Let hosts leave that are no masters any more, the leader last, and set aside what is left of those that have, or
    that were taken out while nobody reached them."""
    former = [host for host in map(cluster.owner, members) if host and not cluster.asked.is_master(host)]
    for host in sorted(former, key=lambda host: cluster.known[host].role == LEADER):
        yield cluster.step(host, do.LEAVE, reason="it is no master any more")
    ids = {member.id for member in members}
    for host, state in cluster.known.items():
        is_member = state.status not in (LEFT, JOINING) and state.server_id[:SHORT] in ids
        # One that has just been taken out may not know it yet.
        if state.model == CLUSTERED and not (cluster.asked.is_master(host) or is_member or state.has_leader):
            yield cluster.step(host, do.SET_ASIDE, reason="it is no master any more, and no member")


def _elsewhere(cluster: Cluster, _source: str, members: tuple[Member, ...]) -> Iterator[Step | str]:
    """Let one member leave whose address must be another one; it joins again in the next round. The leader is last."""
    found = []
    for member in members:
        host = cluster.owner(member)
        if host and cluster.asked.is_master(host) and member.address != cluster.desired(host):
            found.append((cluster.known[host].role == LEADER, host, member.address))
    if not found:
        return
    if cluster.unread or len(cluster.running) < len(members):
        down = [*cluster.unread, *(host for host in cluster.hosts if host not in cluster.running)]
        yield (
            f"the members of {cluster.place.database} must change their addresses one after the other, which needs all "
            f"masters, and {', '.join(dict.fromkeys(down)) or 'one'} was not reached or does not run: bring it up, and "
            "run it again"
        )
        return
    _is_leader, host, address = min(found, key=lambda one: one[0])
    yield cluster.step(host, do.LEAVE, reason=f"it joins again as {cluster.desired(host)} instead of {address}")


def _settings(cluster: Cluster, source: str, _members: tuple[Member, ...]) -> Iterator[Step]:
    """What is the whole cluster's: its election timer, its schema, and where its servers listen."""
    state = cluster.known[source]
    if state.timer and state.timer != cluster.asked.timer and state.role == LEADER:
        yield cluster.step(source, do.TIMER, timer=cluster.asked.timer)
    if state.schema and newer(state.package_schema, state.schema):
        yield cluster.step(source, do.UPGRADE, reason=f"{state.schema} to {state.package_schema}")
    wanted = cluster.asked.listeners.get(cluster.place.key)
    if wanted is not None and state.listeners is not None and listeners_differ(wanted, state):
        yield cluster.step(source, do.LISTEN, listeners=wanted)


def listeners_differ(wanted: tuple[object, ...], state: Database) -> bool:
    """Return whether the rows that are ours, or have a target of ours, are others than those that are wanted."""
    targets = {getattr(one, "target", "") for one in wanted}
    found = [one for one in state.listeners or () if one.ours or one.target in targets]
    return sorted(map(repr, found)) != sorted(map(repr, wanted))


def newer(one: str, other: str) -> bool:
    """Return whether a schema's version is newer than another one."""
    try:
        return [int(part) for part in one.split(".")] > [int(part) for part in other.split(".")]
    except ValueError:
        return False
