# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A cluster whose etcd is restored from a backup, while the watcher runs on."""

from __future__ import annotations

from database_server import wait_for

PODS = "/api/v1/namespaces/default/pods"


def test_a_restored_cluster_is_followed(world):
    """Protects against a watcher that waits for versions of a lost history, and says that all is well: new pods are
    served at once, what the backup does not have goes, and the port of a pod that it has is never touched.

    Only few changes are lost: the server's versions have passed those of the lost history when the watcher is back.
    """
    watcher = world.watch()
    world.api.add_pod("kept", "node1")
    world.api.add_pod("deleted", "node1")
    world.service("kept")
    world.annotated("kept", "deleted")
    wait_for(watcher.idle, "the watcher to be done")
    world.api.backup()
    wait_for(watcher.ready, "the watcher to hear again")
    port = world.ports()["default_kept"][0]
    names = [f"lost{number}" for number in range(3)]
    for name in names:
        world.api.add_pod(name, "node1")
    world.annotated(*names)
    world.api.delete(f"{PODS}/deleted")
    wait_for(lambda: "default_deleted" not in world.ports(), "the port of the deleted pod to go")
    world.api.restore()
    world.api.add_pod("new", "node2")
    world.annotated("new", "deleted")
    wait_for(lambda: set(world.ports()) == {"default_kept", "default_deleted", "default_new"}, "what was lost to go")
    wait_for(watcher.ready, "the watcher to be well")
    world.invariants({"kept": "node1", "deleted": "node1", "new": "node2"})
    assert world.ports()["default_kept"][0] == port
    changes = [line for line in watcher.text().splitlines() if "Logical_Switch_Port default_kept: " in line]
    assert len(changes) == 1 and changes[0].endswith("insert")
