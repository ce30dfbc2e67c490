# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects one of each active where the databases are clustered: three real members, and the leader goes."""

from __future__ import annotations

import asyncio
import collections
import signal
import subprocess
import time

import pytest
from database_server import PROGRAMS, free_port, wait_for
from northbound import Northbound

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import Conflict, DatabaseError, Disconnected
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.tasks import end
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.connection import Connection
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.fence import Fence
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.replica import Replica

LOCK = "l"
TABLES = {"Load_Balancer_Group": ("name",)}


class Members:
    """The members of a cluster."""

    def __init__(self):
        self.all = []
        first = f"tcp:127.0.0.1:{free_port()}"
        try:
            self.all.append(Northbound(cluster=first))
            self.all += [Northbound(cluster=f"tcp:127.0.0.1:{free_port()}", join=first) for _ in range(2)]
            wait_for(lambda: all(map(_knows_all, self.all)), "the members to find each other")
        except BaseException:
            self.remove()
            raise
        self.remote = ",".join(member.tcp for member in self.all)

    def leader(self, but=None):
        """Return the member that leads; None while there is none, or only the one that is not asked."""
        alive = [member for member in self.all if member is not but and member.process.poll() is None]
        return next((one for one in alive if any(row["leader"] for row in one._database())), None)

    def remove(self):
        """End all members, also those that stand still."""
        for member in self.all:
            if member.process.poll() is None:
                member.process.send_signal(signal.SIGCONT)
            member.remove()


@pytest.fixture
def members():
    """Three of them."""
    made = Members()
    yield made
    made.remove()


def killed(leader):
    """No word is said."""
    leader.process.send_signal(signal.SIGKILL)
    leader.process.wait(10)


def stopped(leader):
    """In order."""
    leader.process.terminate()


def stands_still(leader):
    """It is there, and does nothing."""
    leader.process.send_signal(signal.SIGSTOP)


def _appctl(member, *command):
    control = [str(PROGRAMS / "bin" / "ovs-appctl"), "-t", str(member.directory / "ctl")]
    return subprocess.run([*control, *command], check=True, timeout=20, capture_output=True, text=True).stdout


def _knows_all(member):
    """Whether a member is connected to both others, in both directions."""
    said = _appctl(member, "cluster/status", member.database)
    return said.count(" at tcp:") == 3 and member.connected() and all(said.count(way) == 2 for way in (" ->", " <-"))


class Writer:
    """A program of which one acts: it writes a row after the other for as long as it has the lock."""

    def __init__(self, name, remote):
        self.name, self.times, self.number, self.sessions = name, [], 0, 0
        self.replica = Replica(remote, "OVN_Northbound", TABLES, lock=LOCK, on_state=self._changed)
        self._wake = asyncio.Event()

    def _changed(self):
        self._wake.set()

    async def run(self):
        """Write for ever."""
        while True:
            if not (self.replica.connected and self.replica.locked):
                self._wake.clear()
                self.sessions += 1
                await self._wake.wait()
                continue
            self.number += 1
            row = {"name": f"{self.name}-{self.sessions}-{self.number}"}
            try:
                await self.replica.transact(
                    [
                        {"op": "assert", "lock": LOCK},
                        {"op": "mutate", "table": "NB_Global", "where": [], "mutations": [["nb_cfg", "+=", 1]]},
                        {"op": "insert", "table": "Load_Balancer_Group", "row": row},
                    ]
                )
                self.times.append(time.monotonic())
            except DatabaseError:
                await asyncio.sleep(0.002)


@pytest.mark.parametrize(
    ("goes", "pause"), [(killed, 3.0), (stopped, 3.0), (stands_still, 10.0)], ids=["killed", "stopped", "stands still"]
)
def test_one_writes_and_the_other_takes_over(members, goes, pause):
    """Protects against two programs that act at the same time, and against a long pause when the leader goes."""

    async def main():
        writers = [Writer(name, members.remote) for name in ("a", "b")]
        tasks = [asyncio.ensure_future(work) for one in writers for work in (one.replica.run(), one.run())]

        await until(
            lambda: all(one.replica.connected for one in writers) and any(len(one.times) > 20 for one in writers)
        )
        leader = members.leader()
        began = time.monotonic()
        await asyncio.get_running_loop().run_in_executor(None, goes, leader)
        await until(lambda: any(one.times and one.times[-1] > began + pause for one in writers))
        await end(tasks)
        times = sorted(one for writer in writers for one in writer.times)
        return max(after - before for before, after in zip(times, times[1:]) if after > began)

    longest = asyncio.run(asyncio.wait_for(main(), 60))
    print(f"{goes.__name__}: {longest:.2f} s without a commit")
    assert longest < pause


@pytest.mark.parametrize("lost", ["it stands still", "the lock is stolen"])
def test_what_was_sent_before_another_took_over_is_refused(members, lost):
    """Protects rows from a transaction that is still on its way: a member that does not lead any more passes it on, and
    nobody would look for it any more.
    """
    members.leader().transact({"op": "insert", "table": "NB_Global", "row": {}})

    async def main():
        replicas = [Replica(members.remote, "OVN_Northbound", TABLES, lock=LOCK) for _ in range(2)]
        tasks = [asyncio.ensure_future(one.run()) for one in replicas]
        try:
            first, second = replicas
            await until(lambda: first.connected and second.connected and (first.locked or second.locked))
            first, second = (first, second) if first.locked else (second, first)
            fences = [Fence(LOCK), Fence(LOCK)]
            await first.transact(fences[0].take())
            leader = members.leader()
            if lost == "it stands still":
                stands_still(leader)
            late = [fences[0].guard(), {"op": "insert", "table": "Load_Balancer_Group", "row": {"name": "late"}}]
            sent = asyncio.ensure_future(first.transact(late)) if lost == "it stands still" else None
            await asyncio.sleep(0)
            if not sent:
                await second._channel.request("unlock", [LOCK], 5.0)
                await second._channel.request("steal", [LOCK], 5.0)
            else:
                first.want_lock(False)  # it is the other one's turn, whoever comes to the next leader first
                await until(lambda: second.connected and second.locked)
            await second.transact(fences[1].take())
            leader.process.send_signal(signal.SIGCONT)
            sent = sent or asyncio.ensure_future(first.transact(late))
            with pytest.raises((Conflict, Disconnected)):
                await sent
            await second.transact([fences[1].guard(), {"op": "comment", "comment": "still acts"}])
            assert not (await second.transact([fences[0].question()]))[0]["rows"]
            await until(lambda: members.all[0].connected())
        finally:
            await end(tasks)

    asyncio.run(asyncio.wait_for(main(), 60))
    wait_for(lambda: all(member.connected() for member in members.all), "the members to be whole again")
    assert not members.leader().rows("Load_Balancer_Group", ["name", "==", "late"])


async def until(condition):
    """Wait until the condition is true."""
    while not condition():
        await asyncio.sleep(0.005)


def test_a_connection_ends_with_the_lead_of_its_server(members):
    """Protects locks: what a server that leads no more says of them is of no account."""
    connection = Connection(members.remote, "OVN_Northbound")
    assert connection.lock(LOCK)
    before = members.leader()
    stands_still(before)
    wait_for(lambda: members.leader(before), "another member to lead")
    before.process.send_signal(signal.SIGCONT)
    wait_for(lambda: _ended(connection), "the connection to end")
    assert not connection.locks
    connection.reopen()
    assert connection.lock(LOCK)
    connection.close()


def _ended(connection):
    try:
        connection.transact([{"op": "select", "table": "NB_Global", "where": []}])
    except DatabaseError as error:
        return "leads no more" in str(error)
    return False


def test_a_module_call_waits_for_an_election(members):
    """Protects plays: the moment in which no member leads is no failure."""
    killed(members.leader())
    began = time.monotonic()
    assert members.all[1].master(northbound=members.remote)["changed"]
    print(f"a module's call after the kill: {time.monotonic() - began:.2f} s")


def test_who_only_reads_takes_any_member_or_a_relay(members, tmp_path):
    """Protects the programs of hosts, whose list may be one of relays, and masters from all hosts at the leader."""
    (follower, *_others) = [one for one in members.all if one is not members.leader()]
    path = tmp_path / "relay"
    command = [str(PROGRAMS / "bin" / "ovsdb-server"), f"--remote=punix:{path}", f"--unixctl={path}.ctl", "--no-chdir"]
    relay = subprocess.Popen(
        [*command, f"relay:OVN_Northbound:{members.remote}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"OVS_RUNDIR": str(tmp_path), "PATH": "/usr/bin"},
    )
    try:
        for remote in (follower.remote, f"unix:{path}"):
            wait_for(lambda remote=remote: _reads(remote, leader_only=False), f"{remote} to be read")
            assert not _reads(remote, leader_only=True)
            follow_once(remote)
    finally:
        relay.terminate()
        relay.wait(10)


def test_programs_of_hosts_are_spread_over_all_members(members):
    """Protects one member from the copies of all hosts, whose lists are the same; who must meet at the leader does."""

    async def main():
        replicas = [Replica(members.remote, "OVN_Northbound", TABLES, leader_only=False) for _ in range(40)]
        tasks = [asyncio.ensure_future(replica.run()) for replica in replicas]
        try:
            await asyncio.wait_for(asyncio.gather(*(replica.ready.wait() for replica in replicas)), 60)
            counts = collections.Counter(replica._channel.remote for replica in replicas)
            assert set(counts) == set(members.remote.split(",")) and max(counts.values()) < 30, counts
        finally:
            await end(tasks)

    asyncio.run(main())


def _reads(remote, leader_only):
    """Whether a connection can be used."""
    try:
        connection = Connection(remote, "OVN_Northbound", leader_only=leader_only)
    except DatabaseError:
        return False
    connection.transact([{"op": "select", "table": "NB_Global", "where": []}])
    connection.close()
    return True


def follow_once(remote):
    """A copy of it becomes complete."""

    async def main():
        replica = Replica(remote, "OVN_Northbound", TABLES, leader_only=False)
        task = asyncio.ensure_future(replica.run())
        try:
            await asyncio.wait_for(replica.ready.wait(), 20)
        finally:
            await end([task])

    asyncio.run(main())
