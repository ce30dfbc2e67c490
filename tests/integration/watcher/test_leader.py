# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Which of several watchers acts: only one that has the lock and hears the API server."""

from __future__ import annotations

import pytest
from database_server import Client, wait_for
from slow_path import SlowPath
from watcher_process import Watcher

PODS = "/api/v1/namespaces/default/pods"
LOCK = "ovn_kubernetes_watcher"


def test_a_lock_that_is_stolen_and_given_back_in_one_breath(world):
    """Protects against a watcher that never acts again and says that it is well: the loss, the refused transaction and
    the lock arrive in one piece, and the last of them decides.
    """
    path = SlowPath(world.nb)
    watcher = Watcher(path.remote, world.api)
    world.watchers.append(watcher)
    watcher.start()
    wait_for(watcher.acts, "the watcher to act")
    world.api.add_pod("before", "node1")
    world.annotated("before")
    wait_for(watcher.idle, "the watcher to be done")
    path.hold()
    thief = Client(world.nb.socket)
    thief.request("steal", [LOCK])
    world.api.add_pod("during", "node1")
    wait_for(lambda: path.heard(b"stolen", b"not owner"), "a transaction to be refused")
    thief.close()
    wait_for(lambda: path.heard(b'"locked"'), "the lock to be given back")
    path.release()
    world.api.add_pod("after", "node1")
    world.annotated("during", "after")
    assert watcher.acts()
    world.invariants(dict.fromkeys(("before", "during", "after"), "node1"))
    path.end()


@pytest.fixture
def pair(world):
    """Two watchers: one acts, the other has a way of its own to the API server, which can be cut."""
    first = world.watch()
    second = world.watcher(http=True).start()
    world.api.add_pod("old", "node1")
    world.annotated("old")
    yield first, second
    world.api.resume_http()


@pytest.mark.parametrize("noticed", [True, False], ids=["noticed", "at the same moment"])
def test_a_standby_that_is_cut_off_does_not_act(world, pair, noticed):
    """Protects pods that it has not heard of: it takes the lock only when it hears the API server again."""
    first, second = pair
    wait_for(lambda: second.figure('ovn_k8s_watcher_cached_objects{resource="pods"}') == 1, "both to know the pod")
    world.api.pause_http()
    names = [f"new{number}" for number in range(3)]
    for name in names:
        world.api.add_pod(name, "node1")
    world.annotated(*names)
    ports = world.ports()
    if noticed:
        wait_for(lambda: second.get("/readyz")[0] == 503, "the standby to notice", 60)
    first.kill()
    wait_for(lambda: second.get("/readyz")[0] == 503, "the standby to notice", 60)
    assert not second.acts() and world.ports() == ports
    world.api.resume_http()
    wait_for(second.acts, "the standby to act", 60)
    world.api.add_pod("later", "node1")
    world.annotated("later")
    world.invariants(dict.fromkeys(("old", *names, "later"), "node1"))
    assert "delete" not in second.text()


def test_a_leader_that_is_cut_off_makes_room(world, pair):
    """Protects new pods: the lock goes to a watcher that hears of them, and not back for nothing."""
    first, second = pair
    first.kill()
    wait_for(second.acts, "the second watcher to act")
    first.start()
    world.api.pause_http()
    world.api.add_pod("new", "node1")
    wait_for(first.acts, "the first watcher to act", 60)
    world.annotated("new")
    assert "standing by: the API server" in second.text() and not second.acts()
    world.api.resume_http()
    wait_for(second.ready, "the second watcher to be well", 60)
    assert first.acts() and not second.acts()
    world.invariants({"old": "node1", "new": "node1"})


def test_a_standby_keeps_no_queue(world, pair):
    """Protects its memory: whoever begins to act looks at everything, so nothing has to be kept until then."""
    first, second = pair
    for number in range(30):
        world.api.add_pod(f"job{number}", "node1")
        world.service(f"job{number}")
        world.api.delete(f"{PODS}/job{number}")
        world.api.delete(f"/api/v1/namespaces/default/services/job{number}")
    wait_for(lambda: list(world.ports()) == ["default_old"] and not world.balancers(), "everything to go")
    wait_for(first.idle, "the first watcher to be done")
    assert second.figure("ovn_k8s_watcher_queue_depth") == 0 and second.ready()


def mark(world):
    """Who writes under the lock, as the database has it."""
    (row,) = world.nb.rows("NB_Global")
    return dict(row["external_ids"][1]).get(f"k8s.ovn.org/writer-{LOCK}")


def test_who_acts_on_one_of_several_members_has_a_mark_in_the_database(world):
    """Protects clustered databases, where each member has locks of its own: who takes over leaves a mark, and whoever
    finds that of another one begins anew. With one server nothing is written.
    """
    world.nb.transact({"op": "insert", "table": "NB_Global", "row": {}})
    alone = world.watch()
    wait_for(alone.acts, "the watcher to act")
    assert mark(world) is None
    alone.kill()
    watcher = Watcher(f"{world.nb.remote},{world.nb.remote}", world.api)
    world.watchers.append(watcher)
    watcher.start()
    wait_for(watcher.acts, "the watcher to act")
    world.api.add_pod("before", "node1")
    world.annotated("before")
    first = mark(world)
    assert first
    other = ["external_ids", "insert", ["map", [[f"k8s.ovn.org/writer-{LOCK}", "another"]]]]
    key = ["external_ids", "delete", ["set", [f"k8s.ovn.org/writer-{LOCK}"]]]
    world.nb.transact({"op": "mutate", "table": "NB_Global", "where": [], "mutations": [key, other]})
    world.api.add_pod("after", "node1")
    world.annotated("after")
    assert mark(world) not in (None, first, "another")
    assert "another program has begun to act" in watcher.text()
    world.invariants(dict.fromkeys(("before", "after"), "node1"))
