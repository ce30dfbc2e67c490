# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The lab's masters as a cluster: who leads, what it holds; what befalls one of them; and what goes on meanwhile.

What goes on are ports that are made one after another, and pods that ping each other.
"""

from __future__ import annotations

import json
import pathlib
import re
import shlex
import subprocess
import time
from dataclasses import dataclass

from lab_hosts import CONFIG, HOSTS, INVENTORY, ROOT, on, play, wait

MASTERS = HOSTS  # those that may be one; in the lab's own inventory the first alone is
ONE = (INVENTORY,)
THREE = (INVENTORY, INVENTORY.with_name("lab-masters"))
DATABASES = {"nb": "OVN_Northbound", "sb": "OVN_Southbound"}
UNITS = "ovn-ovsdb-server-nb ovn-ovsdb-server-sb"
PORTS = "6641-6644, 16642"  # of the databases and of their clusters
SWITCH = "drill"
STREAM = pathlib.Path(__file__).with_name("lab_stream.py")
PING_PAUSE = 0.05  # seconds
ADDRESS = {"ovn-master": "10.44.0.10", "ovn-node1": "10.44.0.11", "ovn-node2": "10.44.0.12"}


@dataclass(frozen=True)
class Member:
    """What a server says of its cluster (ovsdb-server(1), cluster/status).

    :ivar members: server id -> address, of all that are in its configuration.
    """

    cluster: str
    server: str
    status: str
    role: str
    term: int
    leader: str
    members: dict


def member(host, database="nb"):
    """The server of a host; None when it does not run, or its database is in no cluster."""
    done = on(
        host,
        f"ovs-appctl --timeout=3 -t /var/run/ovn/ovn{database}_db.ctl cluster/status {DATABASES[database]}",
        check=False,
    )
    if done.returncode:
        return None
    fields = dict(re.findall(r"^([A-Z][A-Za-z ]+): (.*)$", done.stdout, re.M))
    servers = dict(re.findall(r"^ +([0-9a-f]{4}) \([0-9a-f]{4} at ([^)]+)\)", done.stdout, re.M))
    return Member(
        fields["Cluster ID"].split()[-1].strip("()"),
        fields["Server ID"].split()[-1].strip("()"),
        fields["Status"],
        fields["Role"],
        int(fields["Term"]),
        fields["Leader"],
        servers,
    )


def members(database="nb", hosts=MASTERS):
    """Host -> its member, of all that answer."""
    found = {host: member(host, database) for host in hosts}
    return {host: one for host, one in found.items() if one}


def leader(database="nb", hosts=MASTERS):
    """The host whose server leads: of several that think so the one of the latest term; None when none does."""
    leading = {one.term: host for host, one in members(database, hosts).items() if one.role == "leader"}
    return leading[max(leading)] if leading else None


def is_whole(hosts=MASTERS):
    """Whether in both databases these hosts, and nobody else, are members of one cluster that has a leader."""
    for database in DATABASES:
        found = members(database, hosts)
        if set(found) != set(hosts) or any(one.status != "cluster member" for one in found.values()):
            return False
        if len({one.cluster for one in found.values()}) != 1 or any(one.leader == "unknown" for one in found.values()):
            return False
        known = {one.server[:4] for one in found.values()}
        if any(set(one.members) != known for one in found.values()) or leader(database, hosts) is None:
            return False
    return True


def whole(hosts=MASTERS, seconds=60):
    """Wait until the cluster is whole, and return (cluster id of NB, cluster id of SB)."""
    wait(lambda: is_whole(hosts), seconds, f"one cluster of {', '.join(hosts)}", 0.5)
    return tuple(next(iter(members(database, hosts).values())).cluster for database in DATABASES)


def counts(host=MASTERS[0]):
    """Table -> number of rows, of what the network has in the Northbound database, and of its chassis."""
    tables = ("Logical_Switch", "Logical_Switch_Port", "Logical_Router", "Logical_Router_Port", "NAT", "Load_Balancer")
    script = "; ".join(f"echo {table} $(ovn-nbctl --bare --columns=_uuid list {table} | grep -c .)" for table in tables)
    script += "; echo Chassis $(ovn-sbctl --bare --columns=_uuid list Chassis | grep -c .)"
    return dict(line.split() for line in on(host, script).splitlines())


def converge(name, *arguments, inventories=THREE):
    """Run a playbook of ours on the lab, with its Kubernetes where one runs."""
    kubernetes = ROOT / "molecule" / "kubernetes" / "inventory"
    runs = on(MASTERS[0], "systemctl is-active kube-apiserver", check=False).stdout.strip() == "active"
    return play(name, *arguments, only=[*inventories, *([kubernetes] if runs else [])])


# ---- what befalls a member


def signal(host, name):
    """A signal to both servers of a host."""
    on(host, f"systemctl kill --signal={name} {UNITS}")


def cut(host, both_ways=True):
    """Nothing of the databases reaches this host from the other masters any more; nor the other way, if both ways."""
    others = ", ".join(address for name, address in ADDRESS.items() if name != host and name in MASTERS)
    rules = [f"ip saddr {{ {others} }} tcp {side} {{ {PORTS} }} drop" for side in ("sport", "dport")]
    out = [f"ip daddr {{ {others} }} tcp {side} {{ {PORTS} }} drop" for side in ("sport", "dport")] * both_ways
    on(
        host,
        "nft -f - <<'X'\ntable inet lab_cut {\n"
        f"chain in {{ type filter hook input priority -300; {'; '.join(rules)}; }}\n"
        f"chain out {{ type filter hook output priority -300; {'; '.join(out)}{';' * bool(out)} }}\n}}\nX",
    )


def mend(host):
    """The end of :func:`cut`."""
    on(host, "nft delete table inet lab_cut", check=False)


def lose_disk(host):
    """The host's databases are gone, as with a new disk; its servers start again with the options that they have."""
    on(host, f"systemctl stop {UNITS}; rm -rf /var/lib/ovn/*; systemctl start {UNITS}", check=False)


# ---- what goes on meanwhile


class _Beside:
    """A command on a host that ends when its input does, and tells then what it saw."""

    def __init__(self, host, command):
        self._process = subprocess.Popen(
            ["ssh", "-F", str(CONFIG), host, command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def line(self):
        """The next line of its output."""
        return self._process.stdout.readline()

    def end(self, limit=90):
        """The rest of its output."""
        try:
            return self._process.communicate(timeout=limit)[0]
        finally:
            self._process.kill()


class Pings(_Beside):
    """A pod that pings another one all the time."""

    def __init__(self, pod, address):
        echo = f"ip netns exec {pod.name} ping -i {PING_PAUSE} {address}"
        super().__init__(pod.host, f"{echo} & cat >/dev/null; kill -INT $!; wait $!")
        self.began = time.monotonic()

    def lost(self):
        """(packets that were lost, packets sent) so far; the pings end. :attr:`longest`: how many in a row."""
        text = self.end()
        sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+)(?: packets)? received", text).groups())
        answered = sorted({0, sent + 1, *map(int, re.findall(r"icmp_seq=(\d+) ttl", text))})
        self.longest = max(after - before - 1 for before, after in zip(answered, answered[1:]))
        return sent - received, sent


class Watched:
    """Pings of two pods in both directions, around what is done."""

    def __init__(self, pods):
        self._pods = pods

    def __enter__(self):
        first, second = self._pods
        self._pings = [Pings(first, second.ip), Pings(second, first.ip)]
        self.began = time.monotonic()
        return self

    def __exit__(self, *_failure):
        self.seconds = time.monotonic() - self.began
        found = [one.lost() for one in self._pings]
        self.lost, self.sent = (sum(column) for column in zip(*found))
        self.longest = max(one.longest for one in self._pings)


class Stream(_Beside):
    """Ports that are made one after another, through the engine, by a program on a host."""

    def __init__(self, host):
        self.host = host
        on(MASTERS[0], f"ovn-nbctl --if-exists ls-del {SWITCH} -- ls-add {SWITCH}")
        super().__init__(host, f"exec python3 -I -c {shlex.quote(STREAM.read_text(encoding='utf-8'))}")
        said = self.line()
        assert said == "ready\n", said + self.end()

    def made(self):
        """The end of the stream: what it made."""
        *said, last = self.end().splitlines()
        assert last.startswith("{"), [*said, last]
        return Made(**json.loads(last), said=said)


@dataclass
class Made:
    """What a stream has made.

    :ivar made: (name, time) of each port.
    :ivar refused: (time, name, words) of what a server refused.
    :ivar said: the engine's log: its connections that were lost.
    """

    made: list
    refused: list
    said: list

    def pause(self, since):
        """The longest time without a new port from this time on, in seconds."""
        times = [since, *(when for _name, when in self.made if when > since)]
        return max(after - before for before, after in zip(times, times[1:]))

    def check(self, host=MASTERS[0]):
        """Nothing was lost, and nothing is there twice: the database has exactly what the stream was told is there."""
        names = on(host, f"ovn-nbctl --timeout=10 lsp-list {SWITCH} | sed 's/.*(//; s/)$//'").split()
        wanted = [name for name, _when in self.made]
        assert len(names) == len(set(names)), f"twice: {sorted({one for one in names if names.count(one) > 1})}"
        # The last one may have been under way when the stream ended.
        assert set(wanted) == set(names), f"{sorted(set(wanted) ^ set(names))} of {len(wanted)}"
