# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the cluster from users without rights: whatever they write into their objects, the pods and services of
others are served at once, and keep what they have, also when the watcher starts anew.

What the users write follows from a seed, which the test's name has. ``HOSTILE_SEEDS=1-200`` runs so many, and
``HOSTILE_SEEDS=17`` repeats one.
"""

from __future__ import annotations

import os
import time

import pytest
from database_server import wait_for
from hostile_objects import Hostile

NAMESPACE = "hostile"
OTHERS = f"/api/v1/namespaces/{NAMESPACE}"
COLLECTIONS = (
    f"{OTHERS}/pods",
    f"{OTHERS}/services",
    f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices",
    "/api/v1/nodes",
)
ROUNDS, OBJECTS = 4, 12  # of one seed
SERVED = 1.0  # seconds until a good pod has its port and its annotation, a good service its load balancer
BLOCKED = 0.5  # processor seconds for which the watcher's loop may do nothing else; systemd waits for 30 s
MEMORY = 120.0  # MiB beside those of a watcher without hostile objects
LEFT = 40.0  # MiB that may remain: Python keeps some of what it had


def seeds():
    """The seeds to run."""
    first, _dash, last = os.environ.get("HOSTILE_SEEDS", "1-2").partition("-")
    return range(int(first), int(last or first) + 1)


class Watched:
    """A watcher between good and hostile objects."""

    def __init__(self, world):
        self.world, self.api = world, world.api
        self.watcher = world.watch(program="watcher_program:measured")
        self.good = {}  # name of a pod -> its port's addresses
        self.slowest = 0.0
        self.memory = self.watcher.memory()

    def served(self, condition, what):
        """Wait for the condition, which must come soon.

        Other programs may have the processors; so what counts is the watcher's own time, when that is all it took.
        """
        began, used = time.monotonic(), self.watcher.cpu()
        wait_for(condition, f"{what}\n{self.world.logs()}", 60)
        waited, worked = time.monotonic() - began, self.watcher.cpu() - used
        self.slowest = max(self.slowest, waited)
        assert waited < SERVED or (waited < 10 * SERVED and worked < SERVED / 2), (
            f"{what} took {waited:.1f} s, of which the watcher worked {worked:.1f} s"
        )

    def add_good_pod(self, number):
        """A pod of somebody else; it is served within a second."""
        name = f"good-{number}"
        self.api.add_pod(name, f"node{number % 2 + 1}")
        self.served(lambda: self.world.annotation(name), f"pod {name}")
        (row,) = self.world.nb.rows("Logical_Switch_Port", ["name", "==", f"default_{name}"])
        self.good[name] = row["addresses"]

    def add_good_service(self, number):
        """A service of somebody else; it is served within a second."""
        name = f"good-{number}"
        self.world.service(name)
        self.world.slice(name, f"192.168.1.{100 + number}")
        balancer = f"Service_default/{name}_TCP_cluster"
        self.served(lambda: any(self.world.vips(balancer).values()), f"service {name}")

    def restart(self):
        """The watcher is killed and comes back."""
        self.watcher.kill()
        self.watcher.start()

    def check(self):
        """:raises AssertionError: unless others kept what they have, and the watcher is well."""
        rows = {row["name"]: row["addresses"] for row in self.world.nb.rows("Logical_Switch_Port")}
        assert {name: rows.get(f"default_{name}") for name in self.good} == self.good
        taken = [address for line in map(str, rows.values()) for address in line.split()[1:]]
        assert len(taken) == len(set(taken)), "an address is on two ports"
        balancers = [
            vip
            for row in self.world.nb.rows("Load_Balancer")
            if row["name"].endswith("_cluster") and "_TCP" in row["name"]
            for vip, _backends in row["vips"][1]
        ]
        assert len(balancers) == len(set(balancers)), "an address and port of one service is another's too"
        assert self.watcher.running() and self.watcher.get("/healthz")[0] == 200
        assert self.watcher.figure("test_loop_longest_seconds") < BLOCKED, self.figures()
        assert self.watcher.memory() < self.memory + MEMORY
        # Whoever asks is told the truth: what users do wrong is theirs to mend, and all others are served.
        assert self.watcher.get("/readyz") == (200, "ok\n")

    def figures(self):
        """What was measured, in words."""
        blocked, memory = self.watcher.figure("test_loop_longest_seconds"), self.watcher.memory() - self.memory
        return f"the slowest of others took {self.slowest:.2f} s, the loop {blocked:.2f} s, memory {memory:+.0f} MiB"

    def check_the_end(self):
        """:raises AssertionError: unless nothing is left of the hostile objects."""
        wait_for(self.watcher.idle, "the watcher to have nothing to do")
        names = {f"default_{name}" for name in self.good}
        wait_for(lambda: set(self.world.ports()) == names, "the ports of hostile pods to go")
        wait_for(self.watcher.ready, "the watcher to be ready")
        assert self.watcher.figure("ovn_k8s_watcher_failing_objects") == 0
        assert self.watcher.memory() < self.memory + LEFT
        assert "Traceback" not in self.watcher.text()


@pytest.fixture
def watched(dual_world):
    """The watcher, and a namespace of hostile users, which is emptied."""
    api = dual_world.api
    api.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    one = Watched(dual_world)
    yield one
    remove(api)
    api.delete(OTHERS)
    # No controller runs that does this.
    api.request("PUT", f"{OTHERS}/finalize", {"metadata": {"name": NAMESPACE}, "spec": {"finalizers": []}})


def remove(api):
    """Delete all hostile objects."""
    for path in COLLECTIONS:
        for item in api.items(path):
            meta = item["metadata"]
            if meta.get("finalizers"):
                api.patch(f"{path}/{meta['name']}", {"metadata": {"finalizers": None}})
        api.delete(path)


@pytest.mark.parametrize("seed", seeds())
def test_hostile_objects_beside_good_ones(watched, seed):
    """Protects everybody else from objects of every kind, with any field and of any size: they come in rounds, and
    change; between two of them a pod and a service of somebody else come.
    """
    hostile = Hostile(watched.api, seed, NAMESPACE)
    watched.add_good_pod(0)
    watched.add_good_service(0)
    made = []
    for number in range(1, ROUNDS + 1):
        made += filter(None, (hostile.make() for _object in range(OBJECTS)))
        if number == ROUNDS // 2:
            watched.restart()
        watched.add_good_pod(number)
        for one in hostile.chance.sample(made, min(len(made), OBJECTS // 2)):
            hostile.change(one)
        watched.add_good_service(number)
        watched.check()
    assert len(made) > ROUNDS * OBJECTS / 3, "the API server refuses nearly all: the test says nothing"
    print(f"{len(made)} objects, {hostile.refused} refused; {watched.figures()}")
    remove(watched.api)
    watched.check_the_end()


def test_every_known_shape_at_once(watched):
    """Protects everybody else from each of the shapes that have done harm, in full size."""
    hostile = Hostile(watched.api, 0, NAMESPACE)
    watched.add_good_pod(0)
    made = list(hostile.every())
    hostile.widest(slices=4)
    watched.add_good_pod(1)
    watched.add_good_service(1)
    watched.check()
    watched.restart()
    watched.add_good_pod(2)
    watched.check()
    assert len(made) >= 10, "the API server refuses what it took before"
    print(watched.figures())
    remove(watched.api)
    watched.check_the_end()
