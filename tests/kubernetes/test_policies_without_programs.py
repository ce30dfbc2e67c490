# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Network policies while what makes them is away, and at the moment when they come: judged by packets alone.

All hosts of the lab have one clock, so that times of one can be compared with those of another.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab_hosts import on, on_masters, wait
from lab_kubernetes import GATEWAY, NODE_PORT, get, kubectl
from lab_running_pods import MASTER, NODE, delete, inside, make, running, sandbox

API, NORTHD, WATCHER = UNITS = ("kube-apiserver", "ovn-northd", "ovn-k8s-watcher")
OTHER = "ovn-node1"  # new pods run here: beside pods that ask from another host
HELD = 10  # seconds for which policies must hold without a program
LOAD = 8  # seconds of load, of which the policy comes after two
QUIET = 1.0  # seconds without an answer after which a policy counts as in force: load asks 50 times a second
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.56"  # as the web pods': it answers on UDP port 8081

# Asks each address again and again: once from a socket that stays, and once from a new one. Prints when answers came:
# [address, whether the socket stays] -> times.
ASK = """
import collections, json, selectors, socket, sys, time
addresses, until = sys.argv[2:], time.time() + float(sys.argv[1])
waiting, answers, fresh = selectors.DefaultSelector(), collections.defaultdict(list), collections.deque()

def make(address, stays):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.connect((address, 8081))
    waiting.register(made, selectors.EVENT_READ, (address, stays))
    return made

def send(one):
    try:
        one.send(b"hostname")
    except OSError:
        pass

staying = [make(address, True) for address in addresses]
while time.time() < until:
    for one in staying:
        send(one)
    for address in addresses:
        fresh.append(make(address, False))
        send(fresh[-1])
    while len(fresh) > 50 * len(addresses):
        old = fresh.popleft()
        waiting.unregister(old)
        old.close()
    turn = time.time() + 0.02
    while (left := turn - time.time()) > 0:
        for key, _events in waiting.select(left):
            try:
                key.fileobj.recv(100)
            except OSError:
                continue
            answers[json.dumps(key.data)].append(time.time())
print(json.dumps(answers))
"""
# Asks all addresses of a network for their names, and prints those that answered. A file ends it.
SCAN = """
import os, selectors, socket, sys, time
prefix, end = sys.argv[1:]
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.setblocking(False)
names = set()
while not os.path.exists(end):
    for last in range(3, 255):
        try:
            one.sendto(b"hostname", (f"{prefix}.{last}", 8081))
        except OSError:
            pass
    until = time.time() + 0.1
    while time.time() < until:
        try:
            names.add(one.recv(100).decode())
        except OSError:
            time.sleep(0.005)
print(" ".join(sorted(names)))
"""
# One connection to each address, which is asked again and again. Prints how many answers came; a connection that ends
# or is silent for 5 s is an error.
TALK = """
import http.client, sys, time
until = time.time() + float(sys.argv[1])
connections, count = [http.client.HTTPConnection(one, 8080, timeout=5) for one in sys.argv[2:]], 0
for one in connections:
    one.connect()
    one.auto_open = 0
while time.time() < until:
    for one in connections:
        one.request("GET", "/hostname")
        assert one.getresponse().read()
        count += 1
    time.sleep(0.02)
print(count)
"""


def policy(name, pods, **spec):
    """Put a policy into the namespace default."""
    body = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": {"matchLabels": pods}, **spec},
    }
    kubectl("apply", "--filename=-", content=json.dumps(body))


def no_policy(*names):
    """Delete policies."""
    kubectl("delete", "networkpolicy", "--ignore-not-found", *names)


def script(code, *arguments):
    """A shell command that runs a Python program."""
    return shlex.join(["python3", "-c", code, *map(str, arguments)])


class Askers:
    """Two pods of one host that ask the web pods: policies know one of them by its label."""

    def __init__(self, web):
        self.web, self.namespaces = web, {}
        for name in ("friend", "stranger"):
            make(name)
        kubectl("label", "--overwrite", "pod", "friend", "asks=web")
        for name in ("friend", "stranger"):
            wait(lambda one=name: running(one), 90, f"pod {name} to run")
            self.namespaces[name] = sandbox(name)[1]
        self.addresses = [pod["status"]["podIP"] for pod in get("pods", labelSelector="app=web")["items"]]

    def run(self, name, command, limit=60):
        """A command in the network of one of them."""
        return inside(NODE, self.namespaces[name], command, limit=limit)

    def reached(self, name):
        """The web pods that answer a pod."""
        tries = "; ".join(
            f"curl --silent --max-time 1 http://{one}:8080/hostname >/dev/null && echo {one} || :"
            for one in self.addresses
        )
        return self.run(name, tries).split()

    def outside_reaches(self):
        """Whether a node port answers a host that is none of the cluster's."""
        return bool(on("ovn-outside", f"curl --silent --max-time 1 http://{GATEWAY}:{NODE_PORT}/hostname || :"))

    def is_in_force(self):
        """Whether the policy lets the friend through, and nobody else."""
        return (
            len(self.reached("friend")) == len(self.addresses)
            and not self.reached("stranger")
            and not self.outside_reaches()
        )


@pytest.fixture(scope="module")
def askers(web):
    """The pods that ask."""
    made = Askers(web)
    yield made
    delete("friend", "stranger")


@pytest.fixture
def held(askers):
    """Only the friend reaches web pods, and everything whose label is app=web is one."""
    policy("held", {"app": "web"}, ingress=[{"from": [{"podSelector": {"matchLabels": {"asks": "web"}}}]}])
    wait(askers.is_in_force, 60, "the policy to be in force")
    yield askers
    no_policy("held")


@contextlib.contextmanager
def away(unit):
    """Without a program: the watcher is stopped, the others hang; on all masters that have it."""
    stop, start = ("stop", "start") if unit == WATCHER else ("kill --signal=STOP", "kill --signal=CONT")
    everywhere = on_masters if unit != API else lambda command: on(MASTER, command)
    everywhere(f"systemctl {stop} {unit}")
    try:
        yield
    finally:
        everywhere(f"systemctl {start} {unit}")


@pytest.mark.parametrize("unit", UNITS)
def test_policies_hold(held, unit):
    """Protects pods while the watcher, the API server or ovn-northd is away: whoever is let in stays so, in the
    connections that are there too, and nobody else gets in.
    """
    with away(unit), ThreadPoolExecutor(1) as beside:
        talking = beside.submit(held.run, "friend", script(TALK, HELD, *held.addresses))
        until, rounds = time.monotonic() + HELD, 0
        while time.monotonic() < until or not rounds:
            assert held.reached("stranger") == [] and not held.outside_reaches(), f"without {unit}"
            rounds += 1
        assert int(talking.result()) > HELD
        assert len(held.reached("friend")) == len(held.addresses)
    wait(held.is_in_force, 60, f"the policy to be in force with {unit}")


@pytest.mark.parametrize("unit", [NORTHD, WATCHER])
def test_a_new_pod_is_closed_until_it_is_known(held, unit):
    """Protects a pod that comes while the watcher or ovn-northd is away, from before it runs until long after: a pod
    that its policy does not let in asks all addresses of its host the whole time. A pod of another app answers it.
    """
    name, control = f"late-{unit.rpartition('-')[2]}", f"open-{unit.rpartition('-')[2]}"
    end, prefix = f"/run/ended-{name}", _prefix(OTHER)
    on(NODE, f"rm -f {end}")
    with ThreadPoolExecutor(1) as beside:
        scanning = beside.submit(held.run, "stranger", script(SCAN, prefix, end), 300)
        try:
            with away(unit):
                for pod, app in ((name, "web"), (control, "other")):
                    _answering_pod(pod, app)
                time.sleep(5)  # in which a network that does not wait would have made them
            for pod in (name, control):
                wait(lambda one=pod: running(one), 120, f"pod {pod} to run")
            address = running(name)
            friends = f"curl --silent --max-time 1 http://{address}:8080/hostname || :"
            wait(lambda: held.run("friend", friends) == name, 30, "the friend to reach it")
            time.sleep(2)  # some twenty more rounds of the stranger
        finally:
            on(NODE, f"touch {end}")
            found = scanning.result().split()
            on(NODE, f"rm -f {end}")
            delete(name, control)
    assert control in found and name not in found


def _prefix(host):
    """The first three numbers of the addresses of a host's pods."""
    pods = get("pods", labelSelector="app=web", fieldSelector=f"spec.nodeName={host}")["items"]
    return pods[0]["status"]["podIP"].rpartition(".")[0]


def _answering_pod(name, app):
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": app}},
        "spec": {
            "nodeName": OTHER,
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {"name": "main", "image": AGNHOST, "args": ["netexec", "--http-port=8080", "--udp-port=8081"]}
            ],
        },
    }
    kubectl("apply", "--filename=-", content=json.dumps(body))


def test_a_policy_under_load(askers, capsys):
    """Protects pods from what is under way when a policy comes: once it is in force for a pod, not one packet is
    answered any more, neither on a connection that was there nor on a new one. The time is printed.
    """
    with ThreadPoolExecutor(1) as beside:
        asking = beside.submit(askers.run, "stranger", script(ASK, LOAD, *askers.addresses))
        time.sleep(2)
        began = time.time()
        try:
            policy("load", {"app": "web"}, ingress=[])
            applied = time.time()
            answers = {tuple(json.loads(key)): times for key, times in json.loads(asking.result()).items()}
        finally:
            no_policy("load")
    assert set(answers) == {(address, stays) for address in askers.addresses for stays in (True, False)}
    last = {}
    for key, times in answers.items():
        gap = next((one for one, after in zip(times, times[1:]) if one > began and after - one > QUIET), None)
        assert gap is None, f"{key} answered again after {QUIET} s of silence"
        assert sum(one < began for one in times) > 50, f"{key} was not under load"
        last[key] = times[-1]
    assert max(last.values()) < began + LOAD - 2 - QUIET, "the policy was never in force"
    with capsys.disabled():
        print(
            f"\na policy under load: the last answer of {len(askers.addresses)} pods came "
            f"{(max(last.values()) - applied) * 1000:.0f} ms after the API server had taken the policy, the last of "
            f"the first pod {(min(last.values()) - applied) * 1000:.0f} ms"
        )


def test_changes_of_other_policies_cut_nothing(held):
    """Protects connections that a policy allows: policies of the same pods, of others and of none come, change and go,
    and the one that allows gets more rules; not one connection ends or pauses.
    """
    ended = threading.Event()
    with ThreadPoolExecutor(1) as beside:
        talking = beside.submit(held.run, "friend", script(TALK, 25, *held.addresses))
        talking.add_done_callback(lambda _done: ended.set())
        rounds = 0
        while not ended.wait(0.2):
            number = rounds % 3
            friends = {"podSelector": {"matchLabels": {"asks": "web"}}}
            more = [{"from": [{"ipBlock": {"cidr": f"203.0.{number}.0/24"}}]}]
            policy("held", {"app": "web"}, ingress=[{"from": [friends]}, *more])
            policy("also", {"app": "web"}, ingress=more if number else [])
            policy("others", {"asks": "web"}, ingress=more)
            policy("nobody", {"app": "nobody"}, ingress=more, policyTypes=["Ingress", "Egress"])
            if number == 2:
                no_policy("also", "others", "nobody")
            rounds += 1
        try:
            assert int(talking.result()) > 100 and rounds > 3
        finally:
            no_policy("also", "others", "nobody")
