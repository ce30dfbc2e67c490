# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A bare host of the lab with Open vSwitch and without any overlay.

All goes over ssh, on the very NIC that is moved.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tempfile
import time

import ansible_calls
import pytest
from lab_hosts import CONFIG, LAB, ROOT, lab, wait
from lab_hosts import inside as inside_host
from lab_hosts import on as on_shared

from . import managed
from .managed import DATABASE
from .on_host import HELD, PROGRAM, request

HOST, PEER = "ovn-node9", "ovn-node8"
ADDRESSES = ("10.44.0.19", "fd44::19")
PACKAGES = "openvswitch-switch python3-openvswitch python3-pyroute2 python3-nftables python3-jeepney systemd-resolved"
# What makes NICs hard to move: several addresses and default routes, other tables, rules, a NIC with IPv6 only,
# another MTU. No setting by which the host answers for addresses of other hosts of the lab (proxy_arp): to the
# NetworkManager of one that has such an address leased, this is a conflict (RFC 5227), and it takes the route to the
# network away.
FURNITURE = """
ip address add 10.44.0.119/24 dev eth0 label eth0:web
ip address add fd44::119/64 dev eth0 nodad
ip route add default via 10.44.0.2 metric 200
ip route add default via 10.44.0.3 dev eth0 metric 300 src 10.44.0.119 onlink
ip route add 198.51.100.0/24 via 10.44.0.1 table 100 mtu 1400
ip route add 198.51.101.0/24 nexthop via 10.44.0.1 weight 2 nexthop via 10.44.0.2
ip -6 route add default via fd44::2 metric 2000
ip rule add priority 500 oif eth0 to 203.0.113.0/24 lookup 100
ip -6 rule add priority 600 iif eth0 from fd00::/8 lookup 100
ip address add 10.44.0.120/24 dev eth0 preferred_lft 0 valid_lft forever
ip address add 10.44.0.100/32 dev eth0 label eth0:vip
ip neighbour add 10.44.0.3 lladdr 02:44:0a:2c:00:63 dev eth0 nud permanent
ip neighbour add proxy 10.66.0.1 dev eth0
ip -6 neighbour add fd44::2 lladdr 02:44:0a:2c:00:62 dev eth0 nud permanent router
sysctl -qw net.ipv4.conf.eth0.log_martians=1 net.ipv6.conf.eth0.proxy_ndp=1 net.ipv4.neigh.eth0.gc_stale_time=90
sysctl -qw net.ipv6.conf.eth1.accept_ra=0 net.ipv4.conf.eth1.arp_announce=2
ip address flush dev eth1 scope global
ip address add fd55::19/64 dev eth1 nodad
ip link set eth1 mtu 1400 promisc on
resolvectl dns eth0 10.44.0.1 fd44::1
resolvectl domain eth0 lab.example '~example.net'
resolvectl default-route eth0 yes
resolvectl llmnr eth0 no
resolvectl mdns eth0 resolve
resolvectl dnsovertls eth0 opportunistic
resolvectl dnssec eth0 allow-downgrade
resolvectl nta eth0 b.example a.example
resolvectl dns eth1 fd55::1
"""
SNAPSHOT = (
    r"""for one in $(seq 50); do ip -6 address | grep -q tentative || break; sleep .2; done
    for f in 4 6; do printf 'address\nrule\nroute show table all\n' | ip -$f -batch -; done
    ip -o link; cat /etc/resolv.conf
    ip neighbour show nud permanent; ip neighbour show proxy; ip -6 neighbour show proxy
    for key in log_martians arp_announce gc_stale_time proxy_ndp accept_ra; do
        grep -s . /proc/sys/net/ipv[46]/*/eth[01]/$key
    done
    for what in status llmnr mdns nta; do resolvectl $what; done
    nft list ruleset; find /etc/ovn-kubernetes -type f; grep ovn-kubernetes /proc/mounts
    for nic in eth0 eth1; do ethtool -k $nic | grep -E '^(tx-checksumming|tcp-segmentation-offload)'; done
    """
    + DATABASE
)
MOMENT = 180  # seconds that a command may take which waits on the host for a change to end
JOURNAL = "/var/lib/ovn-kubernetes/uplinks/change.json"
# The end of a change is waited for on the host, over one connection.
UNTIL_IT_ENDS = (
    f'for one in $(seq 800); do grep -Eq \'"state": "(undone|confirmed)\' {JOURNAL} && '
    f"break; sleep .05; done; cat {JOURNAL}"
)


@pytest.fixture(scope="session")
def machine():
    """The host, with what the module needs."""
    lab("up", "--fresh", HOST, PEER, limit=600)
    on(
        HOST,
        "DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends "
        f"{PACKAGES} >/dev/null 2>&1 && "
        "systemctl unmask systemd-resolved && systemctl enable --now systemd-resolved",
        limit=300,
    )
    # The first change lays down the programs, which the tests that begin changes by themselves need.
    assert nics("eth1").good
    assert nics("eth1", state="absent").good
    yield HOST
    lab("down", HOST, PEER)


@pytest.fixture(scope="session")
def machines():
    """All machines whose NICs a manager configures, with the NICs bare; whoever moves them moves them back."""
    managed.switched_on()
    yield managed.MACHINES
    managed.stop_serving()
    lab("down", *managed.NAMES)


@pytest.fixture(scope="session")
def installed(machines):
    """The programs are there, which the tests that begin changes by themselves need."""
    subprocess.run(
        [ROOT / "tests" / "tools" / "build-archive", ROOT / "ovn_kubernetes.pyz"],
        check=True,
        capture_output=True,
        timeout=120,
    )

    def install(machine):
        with (ROOT / "ovn_kubernetes.pyz").open("rb") as archive:
            subprocess.run(
                [LAB, "exec", machine.name, "sh", "-c", "cat >/root/a.pyz && python3 /root/a.pyz install"],
                stdin=archive,
                check=True,
                capture_output=True,
                timeout=60,
            )

    managed.together(install)
    return machines


@pytest.fixture(scope="session")
def furnished(machine):
    """What the host was seen to have when it was furnished: empty before."""
    return []


@pytest.fixture
def host(machine, furnished):
    """The host, furnished and without uplinks.

    A boot is the dearest part of many tests: it comes only where the test before has left something else.
    """
    if not furnished or snapshot() != furnished:
        restart()
        on(machine, "set -e" + FURNITURE)
        furnished[:] = snapshot()
    return machine


@pytest.fixture
def bare(machine, furnished):
    """The host as a boot leaves it, without uplinks."""
    restart()
    furnished.clear()
    return machine


def restart():
    """Switch the host off and on, without uplinks: what comes next finds it as a boot leaves it."""
    inside(
        (
            "rm -rf /etc/ovn-kubernetes/uplinks /var/lib/ovn-kubernetes; "
            "ovs-vsctl --if-exists del-br breth0 -- --if-exists del-br breth1"
        ),
        check=False,
    )
    lab("restart", HOST)


class Call:
    """What a call of the module has answered."""

    def __init__(self, code, output, answer):
        self.code, self.output, self.answer = code, output, answer
        self.good = code == 0
        self.plan = [operation["text"] for operation in answer.get("plan", ())]


def nics(*names, **options):
    """One call of nics_to_bridge over ssh."""
    return call("nics_to_bridge", nics=list(names), **options)


def call(module, limit=300, source=None, **options):
    """One call of a module over ssh.

    :param source: the controller's address, for a connection of its own; None: any.
    """
    way = f" -o BindAddress={source} -o ControlPath=none" if source else ""
    check = ["--check"] if options.pop("check", False) else []
    with tempfile.TemporaryDirectory() as folder:
        code, output = ansible_calls.run(
            "ansible",
            HOST,
            "-i",
            HOST + ",",
            "-e",
            "ansible_python_interpreter=/usr/bin/python3",
            "--tree",
            folder,
            *check,
            f"--ssh-common-args=-F {CONFIG}{way}",
            "-m",
            "ovn.kubernetes." + module,
            "-a",
            json.dumps(options),
            limit=limit,
        )
        try:
            with open(f"{folder}/{HOST}", encoding="utf-8") as result:
                answer = json.load(result)
        except FileNotFoundError:
            answer = {}
    return Call(code, output, answer)


def begin(*names, **asked):
    """Begin a change over ssh, without anybody who confirms it; the kinds of its steps.

    :param asked: as :func:`.on_host.request` has it.
    """
    return json.loads(_begin(names, asked, True))


def begin_and_die(*names):
    """The same, but whoever begins it is killed once it is on disk, before systemd has taken it over."""
    assert _begin(names, {"killed": True}, False).returncode != 0
    assert state() == "planned"


def _begin(names, asked, check):
    return on(HOST, f"python3 -c {shlex.quote(PROGRAM)} {shlex.quote(request(nics=names, **asked))}", check)


# A step that waits so for the test, and whose way back does nothing, or waits in the same way.
WAITS = {
    "step": {"is": "SysctlStep", "key": "held", "parts_of_key": [HELD], "link": None, "value": "there", "found": None}
}
WAITS_BOTH_WAYS = {"step": {**WAITS["step"], "found": "back"}}
STATE_OF_UNIT = "systemctl show --property LoadState --property SubState ovn-k8s-uplinks"
DROP_IN = "/run/systemd/system/ovn-k8s-uplinks.service.d"


def hold(host=HOST):
    """Make the pipe for steps that wait."""
    inside(f"rm -f {HELD}; mkfifo {HELD}", host=host)


def hold_worker(host=HOST):
    """Let the next change wait for the test before its first step, once it has begun for everybody else."""
    # Where a worker was killed, systemd starts it once more after the change has ended: that one must not be held.
    wait(lambda: "LoadState=not-found" in inside(STATE_OF_UNIT, host=host), 60, f"the last worker's end on {host}")
    hold(host)
    text = f"[Service]\\nExecStartPre=/bin/sh -c 'echo >{HELD}'\\n"
    inside(f'mkdir -p {DROP_IN}; printf "{text}" >{DROP_IN}/held.conf; systemctl daemon-reload', host=host)


def worker_is_held(host=HOST, seconds=180):
    """Wait until it does."""
    wait(lambda: "SubState=start-pre" in inside(STATE_OF_UNIT, host=host), seconds, "a change that waits")


def let_go(host=HOST):
    """Let the step or the worker that waits go on, and no other one wait."""
    inside(f"rm -rf {DROP_IN}; systemctl daemon-reload; timeout 30 cat {HELD}", host=host)


def on(host, command, check=True, limit=60):
    """A shell command on a host, over a new connection."""
    return on_shared(host, command, check, limit, anew=True)


def inside(command, check=True, host=HOST):
    """A command on the host without any network."""
    return inside_host(host, command, check)


def state(host=HOST):
    """How far the last change has got, seen from inside."""
    text = inside(f"cat {JOURNAL} 2>/dev/null || echo '{{}}'", host=host)
    return json.loads(text).get("state")


def ended(seconds=40):
    """Wait, over new connections to the old address, until the last change was rolled back; why it was."""

    def look():
        done = on(HOST, UNTIL_IT_ENDS, check=False, limit=MOMENT)
        change = json.loads(done.stdout or "{}") if done.returncode == 0 else {}
        return change.get("state") in ("undone", "confirmed") and change

    change = wait(look, seconds, "the end of the change")
    assert change["state"] == "undone"
    return change["reason"]


def snapshot():
    """All that the host has of addresses, routes, rules, drops, offloads, resolvers, OVSDB rows and our files.

    What changes by itself, like lifetimes, is left out.
    """
    return constant(on(HOST, SNAPSHOT))


def constant(text):
    """The lines of such a snapshot."""
    for volatile in (
        r"valid_lft \d+sec",
        r"preferred_lft \d+sec",
        r"expires \d+sec",
        r"@if\d+",
        r"^\d+: ",
        r"qdisc \S+",
        r"link-netnsid \d+",
        r" pref medium",
        r"^Link \d+",
        r"^ *Current (DNS Server|Scopes):.*$",
        r"/(un)?supported",
    ):
        text = re.sub(volatile, "", text, flags=re.M)
    # The link-local address may come back at another position of the list. ovs-netdev, the userspace datapath's own, is
    # made anew with its first bridge.
    return sorted(line.strip() for line in text.splitlines() if line.strip() and "ovs-netdev" not in line)


class Ping:
    """Asks for an echo every 10 ms, and keeps the times of the answers."""

    def __init__(self, address):
        self._address, self.times, self.sent = address, [], 0
        self._process = subprocess.Popen(
            [str(LAB), "exec", PEER, "ping", "-D", "-n", "-i", "0.01", address], stdout=subprocess.PIPE, text=True
        )

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        subprocess.run(
            [str(LAB), "exec", PEER, "pkill", "-INT", "-f", f"ping.* {self._address}$"], check=True, timeout=60
        )
        output = self._process.communicate(timeout=20)[0]
        self.times = [float(stamp) for stamp in re.findall(r"^\[([\d.]+)\] \d+ bytes(?!.*DUP)", output, re.M)]
        self.sent = int(re.search(r"(\d+) packets transmitted", output).group(1))

    @property
    def lost(self):
        """Echoes that did not come."""
        return self.sent - len(self.times)

    @property
    def gap(self):
        """The longest time without an answer, in milliseconds."""
        return max((later - sooner) * 1000 for sooner, later in zip(self.times, self.times[1:]))


class Session:
    """An ssh session that says something every 20 ms, from before to after."""

    def __enter__(self):
        self._process = subprocess.Popen(
            ["ssh", "-F", str(CONFIG), "-o", "ControlPath=none", HOST, "while sleep 0.02; do date +%s.%N; done"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout.readline()
        return self

    def __exit__(self, *exc_info):
        self._process.terminate()

    def alive(self):
        """Whether it still says what the time is now."""
        until = time.time() + 10
        while self._process.poll() is None and time.time() < until:
            line = self._process.stdout.readline()
            if line and time.time() - float(line) < 1:
                return True
        return False
