# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects how the watcher is run and monitored: the original's options, health and metrics."""

from __future__ import annotations

import os
import signal

from database_server import wait_for


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
        assert "pod default/web: annotated" in log.read_text()
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
    figures = watcher.figures()
    assert figures["ovnkube_controller_pod_first_seen_lsp_created_duration_seconds_count"] == 1
    assert figures["ovn_k8s_watcher_pod_first_seen_annotated_duration_seconds_count"] == 1
    assert figures["ovnkube_controller_northbound_database_connected"] == 1
    assert figures['ovn_k8s_watcher_cached_objects{resource="pods"}'] == 2
    assert watcher.get("/healthz")[0] == 200 and watcher.get("/readyz") == (200, "ok\n")
    assert next(line for line in watcher.text().splitlines() if "default/web" in line).startswith(
        "pod default/web: Logical_Switch_Port default_web: insert"
    )


def test_a_signal_ends_the_watcher_without_failure(world):
    """Protects the unit against a failure at each stop."""
    watcher = world.watch()
    assert watcher.stop() == 0
    assert watcher.text().splitlines()[-1] == "ended in order"
