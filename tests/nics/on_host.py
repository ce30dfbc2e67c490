# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Changes of a host's NICs that nobody confirms, begun on the host itself, one after another.

A program on the host forks a process for each change, which begins it as the module does: a Python that starts anew for
each one costs more than the change. What carries the change out and rolls it back is started by systemd as ever.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess

from lab_hosts import LAB

# A pipe that somebody opens for writing: that waits until somebody else reads from it (fifo(7)).
HELD = "/run/held"
# On the host. Requests are lines of JSON, in its arguments or else in its input. It prints a line of JSON for each: the
# kinds of the change's steps; and another one when it is to wait until the change was rolled back.
PROGRAM = """
import json, os, subprocess, sys, time
sys.path.insert(0, "/usr/local/lib/ovn_kubernetes.pyz")
from ovn_kubernetes._topology.host import Host
from ovn_kubernetes._nic import checkpoint
JOURNAL = checkpoint.host_journal()
FINAL = tuple(f'"state": "{state}"' for state in ("undone", "confirmed"))

def wait(answer, seconds=60, pause=0.005):
    until = time.monotonic() + seconds
    while not answer():
        if time.monotonic() > until:
            change = JOURNAL.read()
            sys.exit(f"the change does not go on: {change.state}, {change.reason}, {change.left}, {JOURNAL.begun()}")
        time.sleep(pause)

def shell(command):
    return subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, text=True, check=True).stdout

def worker():
    return int(shell("systemctl show --property=MainPID --value ovn-k8s-uplinks"))

def begin(asked):
    def plan():
        change = Host().plan_uplinks(asked["nics"], asked["present"], "request")
        if asked["at"] is not None:
            change.acts[asked["at"]:asked["at"]] = asked["acts"]
        return change
    if asked["killed"]:
        checkpoint.start_unit = lambda *arguments: os.kill(os.getpid(), 9)
    acts = checkpoint.begin(plan, asked["nics"], asked["identity"], asked["timeout"]).acts
    print(json.dumps([act["step"]["is"] if "step" in act else "rows" for act in acts]), flush=True)

def kill(asked):
    wait(lambda: JOURNAL.begun() > asked["die_at"] or ended())
    if JOURNAL.begun() <= asked["die_at"]:
        sys.exit(f"the change has ended before: {JOURNAL.read().reason}")
    time.sleep(asked["later"])
    victims = asked["victims"]
    if asked["command"]:
        shell(asked["command"])
        open(asked["held"]).read()
    if "worker" in victims:
        os.kill(worker(), 9)
    if "sshd" in victims:
        shell("pkill -9 sshd; systemctl reset-failed ssh; systemctl restart ssh")
        if "worker" not in victims:
            open(asked["held"]).read()

def ended():
    with open(JOURNAL.path) as stream:
        text = stream.read()
    return any(state in text for state in FINAL)

for line in sys.argv[1:] or sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if not child:
        begin(asked)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit("the change was not begun")
    if asked["die_at"] is not None:
        kill(asked)
    if asked["then"] is not None:
        wait(ended, 150, 0.02)
        change = JOURNAL.read()
        print(json.dumps([change.state, change.reason, shell(asked["then"])]), flush=True)
"""


def places(kinds):
    """Return the places of a change's steps, given their kinds, where each of them can fail, and the end.

    Of several of one kind in a row the first one; EVERY_PLACE in the environment asks for all.
    """
    every = "EVERY_PLACE" in os.environ
    first = (place for place, kind in enumerate(kinds) if every or place == 0 or kinds[place - 1] != kind)
    return [*first, len(kinds)]


def every_other(chosen, second=False):
    """Return half of some places, where two faults or two ways of a change share them: each place has one of the two.

    EVERY_PLACE in the environment gives all to both.
    """
    return list(chosen) if "EVERY_PLACE" in os.environ else list(chosen)[int(second) :: 2]


def place_of_each_kind(kinds):
    """Return the place of the first step of each kind, and the end: where it does not matter which of them fails."""
    return sorted({*map(kinds.index, kinds), len(kinds)})


def request(**asked):
    """A request for that program.

    :param at, acts: a place in the plan and what is put in there.
    :param killed: whoever begins the change is killed once it is on disk, before systemd has taken it over.
    :param die_at, later, victims: so many seconds after the act of this number has begun, the worker or the ssh server
        is killed; a worker that is left, and waits for the test, goes on.
    :param command: a shell command for that moment; a worker that waits for the test goes on afterwards.
    :param then: a shell command for the time when the change was rolled back; None: nobody waits for that.
    """
    unset = {
        "present": True,
        "at": None,
        "acts": [],
        "timeout": 20,
        "identity": "test",
        "killed": False,
        "die_at": None,
        "later": 0,
        "victims": ["worker"],
        "command": None,
        "held": HELD,
        "then": None,
    }
    return json.dumps({**unset, **asked})


class Changes:
    """The program on a host, for several changes; it is reached without any network."""

    def __init__(self, host, addresses):
        self._addresses = addresses
        command = [str(LAB), "exec", host, "python3", "-c", PROGRAM]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self._process.communicate(timeout=20)

    def rolled_back(self, *names, then, **asked):
        """Begin a change that does not complete, and wait until it is rolled back.

        The host answers new connections to its old addresses.

        :returns: (its steps, why it was rolled back, what the shell command ``then`` says afterwards).
        """
        self._process.stdin.write(request(nics=names, then=then, **asked) + "\n")
        self._process.stdin.flush()
        acts = json.loads(self._process.stdout.readline())
        state, reason, after = json.loads(self._process.stdout.readline())
        assert state == "undone"
        for address in self._addresses:
            with socket.create_connection((address, 22), 20) as connection:
                assert connection.recv(4) == b"SSH-"
        return acts, reason, after
