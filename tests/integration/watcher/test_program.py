# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects how the watcher is run and monitored: the original's options, health and metrics."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile

import pytest
from database_server import wait_for
from northbound import Northbound

from ansible_collections.ovn.kubernetes.plugins.module_utils._kube import accounts


def test_options_of_the_original(world, tmp_path):
    """Protects existing scripts: --pidfile, --log-file, -v and --detach; the parent ends when the watcher knows
    everything, and a signal ends it well.
    """
    pid_file, log = tmp_path / "watcher.pid", tmp_path / "watcher.log"
    watcher = world.watcher(
        options=[f"--pidfile={pid_file}", f"--log-file={log}", "-vfile:info", "-vconsole:emer", "--detach"]
    )
    world.api.add_pod("web", "node1")
    watcher.start(wait=False)
    assert watcher.process.wait(30) == 0, watcher.text()
    pid = int(pid_file.read_text())
    try:
        assert watcher.get("/readyz")[0] == 200
        world.annotated("web")
        wait_for(lambda: "pod default/web: annotated" in log.read_text(), "the line in the log")
        assert watcher.text() == ""
    finally:
        os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not pid_file.exists(), "the watcher to end and take its pid file along")


def test_the_error_for_a_wrong_mode(world):
    """Protects users who start it by hand."""
    watcher = world.watcher()
    watcher._arguments.remove("--overlay")
    watcher.start(wait=False)
    assert watcher.process.wait(20) == 2
    assert watcher.text().splitlines()[-1] == "ovn-k8s-watcher: error: say --overlay: it is the only mode"


def test_systemd_is_notified(world, systemd):
    """Protects a master whose watcher hangs, or still runs with replaced files: ready when everything is known and not
    before, alive, and an end for new files.
    """
    world.api.pause()
    watcher = world.watcher()
    watcher.start(wait=False)
    wait_for(lambda: watcher.get("/healthz")[0] == 200, "the watcher to run")
    assert systemd.is_silent()
    world.api.resume()
    systemd.hears("READY=1")
    systemd.hears("WATCHDOG=1")
    systemd.hears("WATCHDOG=1")
    settings = watcher.directory / "kubernetes.json"
    (watcher.directory / "new").write_text(settings.read_text())
    (watcher.directory / "new").replace(settings)
    assert watcher.process.wait(30) == 0
    assert f"{settings} was replaced" in watcher.text()


def test_health_and_metrics(world):
    """Protects dashboards and probes (W29): names of ovn-kubernetes where it has them, and values that follow
    what happens.
    """
    watcher = world.watch()
    world.api.add_pod("web", "node1")
    world.api.add_pod("stuck", "nowhere")
    world.annotated("web")
    world.service("shop")
    wait_for(
        lambda: watcher.figure("ovnkube_controller_sync_service_latency_seconds_count") == 1,
        "the service to be counted",
    )
    wait_for(lambda: watcher.figure("ovn_k8s_watcher_failing_objects") == 1, "the pod that can't be made to be counted")
    # The watcher hears of its own annotation a moment after the API server has it.
    annotated = "ovn_k8s_watcher_pod_first_seen_annotated_duration_seconds_count"
    wait_for(lambda: watcher.figure(annotated) == 1, "the annotation to be counted")
    figures = watcher.figures()
    assert figures["ovnkube_controller_pod_first_seen_lsp_created_duration_seconds_count"] == 1
    assert figures["ovnkube_controller_northbound_database_connected"] == 1
    assert figures['ovn_k8s_watcher_cached_objects{resource="pods"}'] == 2
    assert watcher.get("/healthz")[0] == 200 and watcher.get("/readyz") == (200, "ok\n")
    assert next(line for line in watcher.text().splitlines() if "default/web" in line).startswith(
        "pod default/web: Logical_Switch_Port default_web: insert"
    )


def test_what_fails_for_long_is_no_health(world):
    """Protects whoever asks whether all is well: a host whose row the database refuses again and again; a pod that only
    waits for its node is counted as failing, but the watcher is well.
    """
    row = {"op": "insert", "table": "Chassis_Template_Var", "row": {"chassis": "id-1"}}
    ((taken),) = world.nb.transact(row)
    watcher = world.watch()
    world.api.add_pod("waits", "nowhere")
    wait_for(lambda: watcher.figure("ovn_k8s_watcher_stuck_objects") == 1, "the host to be counted")
    status, text = watcher.get("/readyz")
    assert status == 503 and text.startswith("host node1 fails for more than 2 s: OVN_Northbound refused")
    assert watcher.figure("ovn_k8s_watcher_failing_objects") == 2 and watcher.get("/healthz")[0] == 200
    world.nb.transact(
        {"op": "delete", "table": "Chassis_Template_Var", "where": [["_uuid", "==", ["uuid", taken["uuid"][1]]]]}
    )
    wait_for(lambda: watcher.get("/readyz")[0] == 200, "the host to have its row")
    assert watcher.figure("ovn_k8s_watcher_failing_objects") == 1


def test_annotations_that_are_refused_are_no_health(world):
    """Protects pods whose node is told nothing: the watcher may not write to them, and /readyz says so; with the right
    again all is well.
    """
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    rules = [{**rule, "verbs": ["list", "watch"]} for rule in accounts.WATCHER_RULES if "list" in rule["verbs"]]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"}
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "system:node:node16"}]
    world.api.create(f"{rbac}/clusterroles", {"metadata": {"name": "reader"}, "rules": rules})
    binding = {"metadata": {"name": "reader"}, "roleRef": role, "subjects": subjects}
    world.api.create(f"{rbac}/clusterrolebindings", binding)
    try:
        watcher = world.watcher()
        token = watcher.directory / "token"
        token.write_text(world.api.node_token("node16"))
        watcher.start()
        wait_for(watcher.acts, "the watcher to act")
        world.api.add_pod("web", "node1")
        wait_for(lambda: watcher.get("/readyz")[0] == 503, "the refusals to be told")
        assert watcher.get("/readyz")[1].startswith("pod default/web fails for more than 2 s: the API server refused")
        assert watcher.figure("ovn_k8s_watcher_stuck_objects") == 1
        token.write_text(world.api.admin)
        world.annotated("web")
        wait_for(lambda: watcher.get("/readyz")[0] == 200, "the watcher to be well")
    finally:
        world.api.delete(f"{rbac}/clusterrolebindings/reader")
        world.api.delete(f"{rbac}/clusterroles/reader")


@pytest.fixture
def small_disk():
    """A disk of 2 MiB."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="ovn-test-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(path)], check=True, timeout=10)
    yield path
    subprocess.run(["umount", str(path)], check=True, timeout=10)
    path.rmdir()


def test_a_full_disk_is_no_health(small_disk, world):
    """Protects pods on a master whose disk is full: the database refuses them, /readyz says it, and when there is room
    again all are served.
    """
    world.nb.remove()
    world.nb = Northbound(parent=small_disk)
    world.nb.build(nodes=(1, 2), gateways=(1,))
    watcher = world.watch()
    world.api.add_pod("before", "node1")
    world.annotated("before")
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        for size in (4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
    names = [f"p{number}" for number in range(20)]
    for name in names:
        world.api.add_pod(name, "node1")
    wait_for(lambda: watcher.get("/readyz")[0] == 503, "the failures to be told")
    assert "could not write its file" in watcher.get("/readyz")[1]
    assert watcher.figure("ovn_k8s_watcher_stuck_objects") > 0
    filler.unlink()
    world.annotated(*names)
    wait_for(watcher.ready, "the watcher to be well")


def test_a_signal_ends_the_watcher_without_failure(world):
    """Protects the unit against a failure at each stop."""
    watcher = world.watch()
    assert watcher.stop() == 0
    assert watcher.text().splitlines()[-1] == "ended in order"
