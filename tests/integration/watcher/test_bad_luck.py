# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects against outages and sudden ends: after any of them the database is what the API server wants, without a
human.
"""

from __future__ import annotations

import contextlib
import random
import time

import pytest
from database_server import wait_for
from kubernetes_server import Refused

PODS = "/api/v1/namespaces/default/pods"


def test_a_restart_with_nothing_changed_writes_nothing(world):
    """Protects the cluster from replays (W4): no write to the database, no patch of a pod, not even a touched
    version."""
    watcher = world.watch()
    for number in range(20):
        world.api.add_pod(f"p{number}", f"node{number % 2 + 1}")
    world.service("web", type="NodePort")
    world.slice("web", "192.168.1.3")
    world.annotated(*(f"p{number}" for number in range(20)))
    wait_for(watcher.idle, "the watcher to be done")

    def versions():
        return {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in world.api.items(PODS)}

    before = world.nb.everything(), world.nb.transactions(), versions()
    for end in (watcher.kill, watcher.stop):
        end()
        watcher.start()
        wait_for(watcher.idle, "the watcher to be done")
        assert (
            watcher.figure("ovn_k8s_watcher_annotations"),
            watcher.figure("ovn_k8s_watcher_transaction_duration_seconds_count"),
        ) == (0, 0)
    assert (world.nb.everything(), world.nb.transactions(), versions()) == before


@pytest.mark.parametrize("outage", ["restart", "death", "silence"])
def test_the_api_server_goes_away(world, outage):
    """Protects against watchers that miss events (W2, F2): the server restarts, dies, or hangs; what happened meanwhile
    is made up for, and /readyz says how it is.

    Connections to one that has hung may lead nowhere (a balancer keeps them): they are not relied on.
    """
    watcher = world.watch()
    world.api.add_pod("before", "node1")
    world.annotated("before")
    if outage == "silence":
        world.api.pause()
        wait_for(lambda: "does not answer" in watcher.get("/readyz")[1], "the silence to be noticed", 60)
        assert watcher.get("/readyz")[0] == 503 and watcher.get("/healthz")[0] == 200
        world.api.resume()
        wait_for(lambda: "all watches begin again" in watcher.text(), "the watches to begin again", 60)
    else:
        (world.api.stop if outage == "restart" else world.api.kill)()
        wait_for(lambda: watcher.get("/readyz")[0] == 503, "the outage to be noticed")
        assert "interrupted" in watcher.get("/readyz")[1] and watcher.get("/healthz")[0] == 200
        wait_for(lambda: watcher.figure('ovn_k8s_watcher_watch_current{resource="nodes"}') == 0, "the outage to count")
        world.api.start()
    world.api.delete(f"{PODS}/before")
    world.api.add_pod("after", "node2")
    world.annotated("after")
    wait_for(watcher.ready, "the watcher to be well again")
    wait_for(lambda: list(world.ports()) == ["default_after"], "the port of before to go")
    world.invariants({"after": "node2"})


def test_the_northbound_database_goes_away(world):
    """Protects against pods that are forgotten (W3): a change while the database is unreachable is written when it is
    back."""
    watcher = world.watch()
    world.api.add_pod("before", "node1")
    world.annotated("before")
    world.nb.stop()
    wait_for(lambda: watcher.get("/readyz")[0] == 503, "the outage to be noticed")
    world.api.add_pod("during", "node1")
    world.api.delete(f"{PODS}/before")
    world.nb.start()
    world.annotated("during")
    wait_for(lambda: list(world.ports()) == ["default_during"], "the port of before to go")
    world.invariants({"during": "node1"})


def test_one_of_two_acts_and_the_other_takes_over(world):
    """Protects a cluster of several masters (W12): two watchers write as one, and the second goes on where the first
    died.
    """
    first = world.watch()
    second = world.watcher().start()
    assert not second.acts()
    world.api.add_pod("a", "node1")
    world.annotated("a")
    first.kill()
    world.api.add_pod("b", "node1")
    world.annotated("b")
    assert second.acts() and second.figure("ovn_k8s_watcher_annotations") == 1
    first.start()
    world.api.add_pod("c", "node1")
    world.annotated("c")
    assert not first.acts()
    world.invariants(dict.fromkeys("abc", "node1"))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_at_any_moment(world, seed):
    """Protects against half-done work: killed again and again at seeded moments of a seeded load, the end is as if
    nothing had happened (W19, F8).
    """
    chance, watcher, pods = random.Random(seed), world.watch(), {}
    for _round in range(6):
        for _change in range(12):
            name = f"p{chance.randrange(20)}"
            if name in pods:
                with contextlib.suppress(Refused):  # see there()
                    world.api.delete(f"{PODS}/{name}")
                del pods[name]
            if chance.random() < 0.7:
                pods[name] = chance.choice(["node1", "node2"])
                world.api.add_pod(name, pods[name])
        time.sleep(chance.uniform(0, 0.03))  # the seeded moment
        watcher.kill()
        watcher.start(wait=False)

    def there():
        """The pods that the API server has.

        One or two may be missing. An API server deletes a pod by force in two steps; a PATCH between them makes it
        delete the name, whatever pod has it by then (kubernetes, generic/registry/store.go, deleteWithoutFinalizers).
        """
        return {one["metadata"]["name"]: one["spec"]["nodeName"] for one in world.api.items(PODS)}

    wait_for(lambda: all(world.annotation(name) for name in there()), "the pods to be annotated")
    wait_for(watcher.ready, "the watcher to be ready")
    wait_for(watcher.idle, "the watcher to be done")
    assert there().items() <= pods.items() and len(there()) > len(pods) - 3
    pods = there()
    world.invariants(pods)
    addresses = [world.annotation(name)["ip_address"] for name in pods]
    assert len(set(addresses)) == len(pods)


def test_errors_for_wrong_settings(world):
    """Protects administrators: without an API server, without a file or with a broken one the error says so."""
    watcher = world.watcher()
    (watcher.directory / "kubernetes.json").write_text('{"server": "host:6443"}')
    watcher.start(wait=False)
    assert watcher.process.wait(20) == 1
    assert watcher.text() == "the API server 'host:6443' is not a URL: write it like https://10.33.74.1:6443\n"


def test_a_refused_token_is_reported_until_it_is_replaced(world):
    """Protects against a token that is replaced late: the watcher waits, logs why, and never logs the token."""
    watcher = world.watcher()
    token = watcher.directory / "token"
    right = token.read_text()
    token.write_text("wr0ng-t0ken")
    watcher.start(wait=False)
    wait_for(lambda: "is not accepted" in watcher.text(), "the reason to be logged")
    assert watcher.get("/readyz")[0] == 503 and "wr0ng" not in watcher.text()
    token.write_text(right)
    world.api.add_pod("web", "node1")
    world.annotated("web")


def test_removal_takes_pods_and_services_with_it(world):
    """Protects the removal of the overlay: no row of ours is left, and foreign rows stay."""
    watcher = world.watch()
    world.api.add_pod("web", "node1")
    world.service("web", type="NodePort")
    world.api.add_node("node1", "10.0.0.1")
    world.annotated("web")
    wait_for(lambda: len(world.balancers()) == 2 and world.nb.rows("Chassis_Template_Var"), "the rows")
    world.nb.transact({"op": "insert", "table": "Load_Balancer", "row": {"name": "foreign"}})
    watcher.stop()
    world.nb.master(state="absent")
    assert {
        table: [row.get("name") for row in rows] for table, rows in world.nb.content().items() if table != "NB_Global"
    } == {"Load_Balancer": ["foreign"]}
