# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Outages of what the network's programs depend on: API server, Northbound database and ovn-northd hang or die.

Each fails alone and all together. Pods come and go in each outage (W2, W3, F2, F5); afterwards all is as the API server
wants it, without help. Running pods notice nothing, and the network's own programs outlive it: none ends to be
restarted.
"""

from __future__ import annotations

import time

import pytest
from lab_hosts import HOSTS, MASTERS, on, on_masters, wait
from lab_kubernetes import get, kubectl
from lab_running_pods import MASTER, NODE, WATCHER, delete, inside, make, northbound, sandbox, settle

API, NB, NORTHD = UNITS = ("kube-apiserver", "ovn-ovsdb-server-nb", "ovn-northd")
# Seconds. A long outage outlasts the watcher's WatchdogSec (30 s), its probes of the database (10 s) and the pause in
# which a node reports no problem (30 s). The API server's also outlasts by far what notices it (33 s, health.py).
SHORT, LONG, LONGEST = 2, 35, 50
PROMPT = 30  # seconds for what is to be done in an outage


def signal(name, *units):
    """Send a signal to the units' programs on all masters; the API server runs on one of them."""
    everywhere = [unit for unit in units if unit != API]
    if API in units:
        on(MASTER, f"systemctl kill --signal={name} {API}")
    if everywhere:
        on_masters(f"systemctl kill --signal={name} {' '.join(everywhere)}")


def programs():
    """The main processes of watcher and nodes' servers."""
    return [on(host, "systemctl show --property MainPID ovn-k8s-watcher") for host in MASTERS] + [
        on(host, "systemctl show --property MainPID ovn-k8s-node") for host in HOSTS
    ]


class Pods:
    """Pods that come and go, and the web pods that stay and are spoken with."""

    def __init__(self, web):
        self.names = []
        _id, self._client = sandbox("client")
        addresses = " ".join(pod["status"]["podIP"] for pod in get("pods", labelSelector="app=web")["items"])
        self._ask = (
            f"for to in {addresses}; do ping -c 1 -W 5 $to >/dev/null || echo $to; done;"
            f"curl --silent --show-error --fail --max-time 5 http://{web.address}/; sleep 1"
        )

    def come(self, name, host):
        """One more."""
        self.names.append(make(name, host))

    def go(self):
        """The oldest one less, at once."""
        name = self.names.pop(0)
        kubectl("delete", "pod", name, "--wait=false")
        return name

    def talk(self, seconds):
        """A pod connects to all web pods and to their service, each time anew, and always gets an answer."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            said = inside(NODE, self._client, self._ask)
            assert said.startswith("NOW: "), f"the pod client was not answered: {said}"

    def frozen(self, seconds, *units, meanwhile=None):
        """The units' programs hang for so long."""
        signal("STOP", *units)
        try:
            until = time.monotonic() + seconds
            if meanwhile is not None:
                meanwhile()
            self.talk(until - time.monotonic())
        finally:
            signal("CONT", *units)

    def settle(self, what):
        """Wait until all is in order, and has been so for the pods that were there all the time."""
        settle(what, *self.names)
        self.talk(0.1)


@pytest.fixture(scope="module")
def pods(web):
    """A pod on each host that comes and goes, and web pods; at the end our programs are still the same processes."""
    made = Pods(web)
    try:
        for number, host in enumerate(HOSTS):
            made.come(f"o{number}", host)
        made.settle("the first pods")
        before = programs()
        yield made
        assert programs() == before
    finally:
        signal("CONT", *UNITS)
        delete(*made.names)


@pytest.mark.parametrize("unit", UNITS)
def test_one_hangs_for_a_moment(pods, unit):
    """Protects what is just being done: pods that come and go in it are as wanted."""
    pods.go()
    pods.come(f"short-{unit[-2:]}", HOSTS[UNITS.index(unit)])
    pods.frozen(SHORT, unit)
    pods.settle(f"all to be in order after {unit} had hung for {SHORT} s")


def test_the_api_server_hangs_for_long(pods):
    """Protects against a network that needs the API server's answers.

    What the watcher knows it keeps as it should be during the outage.
    """
    pods.go()
    pods.come("long-api", HOSTS[2])
    kept = f"default_{pods.names[0]}"

    def meanwhile():
        on(MASTER, f"ovn-nbctl lsp-del {kept}")
        wait(lambda: kept in northbound(), PROMPT, "a port that somebody took away to be made again")

    pods.frozen(LONGEST, API, meanwhile=meanwhile)
    pods.settle("all to be in order after the API server had hung")


def test_the_northbound_database_hangs_for_long(pods):
    """Protects pods that come and go meanwhile from being forgotten; the watcher says what it lacks."""

    def meanwhile():
        pods.go()
        pods.come("long-nb", HOSTS[0])
        wait(
            lambda: "Northbound" in on_masters(f"curl --silent http://{WATCHER}/readyz"),
            PROMPT,
            "the watcher to say what it lacks",
        )

    pods.frozen(LONG, NB, meanwhile=meanwhile)
    pods.settle("all to be in order after the Northbound database had hung")


def test_northd_hangs_for_long(pods):
    """Protects the watcher against waiting for ovn-northd (F5): it writes ports and annotations meanwhile.

    Only the flows come later.
    """

    def meanwhile():
        gone = pods.go()
        pods.come("long-northd", HOSTS[1])
        wait(
            lambda: "ovn" in get("pods", "long-northd")["metadata"].get("annotations", {}),
            PROMPT,
            "the pod's annotation",
        )
        wait(lambda: f"default_{gone}" not in northbound(), PROMPT, "the port of the pod that went to go")

    pods.frozen(LONG, NORTHD, meanwhile=meanwhile)
    pods.settle("all to be in order after ovn-northd had hung")


def test_all_hang_together_and_die(pods):
    """Protects what was just begun when everything stops.

    First all hang before any of it is done, then all are killed.
    """
    signal("STOP", NB, NORTHD)
    pods.go()
    pods.come("together", HOSTS[2])
    pods.frozen(SHORT, *UNITS)
    pods.come("after", HOSTS[1])
    pods.settle("all to be in order after all three had hung")
    signal("KILL", *UNITS)
    pods.talk(SHORT)
    wait(lambda: kubectl("get", "--raw", "/readyz", check=False).returncode == 0, 60, "the API server to be back")
    pods.go()
    pods.come("killed", HOSTS[0])
    pods.settle("all to be in order after all three were killed")
