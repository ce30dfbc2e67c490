# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What makes new pods fail, readiness says at once, and the condition NetworkUnavailable and STATUS after a while.

The runtime's configuration stays, since without it pods can't be deleted; what somebody removes of it is there again at
once.
"""

from __future__ import annotations

import json
import shutil
import subprocess

import preloaded
import pytest
from database_server import wait_for
from node_server import network, pod

PROMPT = 5.0  # seconds; on a machine with nothing else to do it is a hundredth


def says(node, words):
    """Whether readiness names this."""
    status, text = node.http_get("/readyz")
    return status == 503 and words in text


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("ovs-vswitchd", "systemctl start ovs-vswitchd"),
        ("ovn-controller", "systemctl start ovn-controller"),
    ],
)
def test_readiness_follows_the_daemons(ready, sandbox, name, command):
    """Protects new pods: with a daemon stopped the node said ok, and they hung. The scheduler and the runtime are told
    after a while, and pods can be deleted all the time.
    """
    place = sandbox()
    ready.api.change("ADDED", pod("web", annotation=network(3)))
    assert ready.cni("ADD", netns=place.path)[0] == 0
    wait_for(lambda: ready.unavailable() == "", "the condition of a node that serves pods")
    ready.daemons[name].stop()
    wait_for(lambda: says(ready, f"{name} does not run: {command}"), "readiness to say so", 2)
    assert status(ready) is None, "a daemon that restarts is not worth it"
    wait_for(lambda: ready.unavailable() == f"{name} does not run: {command}", "the condition")
    assert (status(ready)["code"], status(ready)["msg"]) == (50, ready.unavailable())
    ready.configuration.unlink()
    wait_for(ready.configuration.exists, "the configuration to be there again", PROMPT)
    assert ready.cni("DEL", netns=place.path) == (0, None) and ready.pod_ports() == {}
    ready.daemons[name].start()
    wait_for(lambda: ready.unavailable() == "" and status(ready) is None, "the node to take pods again")
    assert ready.http_get("/readyz") == (200, "ok\n")


def status(node):
    """The error of STATUS; None: the node takes pods."""
    return node.cni("STATUS", container=None, ifname=None, version="1.1.0")[1]


def test_the_configuration_stays_while_the_server_is_away(ready):
    """Protects the deletion of pods on a node whose server is stopped, or starts while something is broken: without the
    configuration containerd refuses it. The condition stays, whatever somebody else makes of it, until pods are served.
    """
    before = json.loads(ready.configuration.read_text())
    ready.daemons["ovn-controller"].stop()
    wait_for(ready.unavailable, "the condition")
    ready.stop()
    ready.configuration.unlink()
    ready.api.conditions.clear()
    ready.database.stop()
    ready.start(wait=False)
    wait_for(ready.unavailable, "the condition, also of a server that has just started")
    wait_for(ready.configuration.exists, "the configuration")
    assert {**before, "plugins": [{"type": "ovn-k8s-cni-overlay"}]} == json.loads(ready.configuration.read_text())
    assert status(ready)["code"] == 50
    ready.database.start()
    ready.daemons["ovn-controller"].start()
    wait_for(lambda: ready.unavailable() == "", "the node to take pods again")
    assert json.loads(ready.configuration.read_text()) == before
    ready.api.conditions.clear()
    wait_for(lambda: ready.unavailable() == "", "the condition to be there again")


def test_a_server_that_stays_away_keeps_new_pods_away(ready):
    """Protects new pods from a node whose server does not run: what its unit starts then says so, and the next server
    takes it back; the removal of the overlay takes the condition away, and not that of somebody else; and the Node's
    annotation.
    """

    def run(option):
        with (ready.folder / "once.log").open("a") as log:
            access = ["--kubernetes", str(ready.folder / "kubernetes.json"), "--run", str(ready.run)]
            program = preloaded.start("node_program:main", ["--node", "node1", *access, option], log)
        assert program.wait(timeout=30) == 0

    ready.stop()
    run("--say-stopped")
    assert "ovn-k8s-node does not run" in ready.unavailable()
    assert ready.api.conditions["NetworkUnavailable"]["reason"] == "OVNKubernetesStopped"
    ready.start()
    wait_for(lambda: ready.unavailable() == "", "the server to take it back")
    ready.stop()
    link_local = "ovn.kubernetes/link-local-addresses"
    ready.api.annotations[link_local] = "169.254.25.10"
    run("--clear")
    assert ready.unavailable() is None and ready.api.annotations == {link_local: None}
    ready.api.conditions["NetworkUnavailable"] = {"type": "NetworkUnavailable", "status": "True", "reason": "NoRoutes"}
    run("--clear")
    assert ready.api.conditions["NetworkUnavailable"]["reason"] == "NoRoutes"


def test_readiness_follows_the_southbound_database(ready):
    """Protects new pods on a node that is cut off from the databases: ovn-controller runs, and learns of nothing."""
    ready.daemons["ovn-controller"].answer = "not connected"
    wait_for(lambda: says(ready, "is not connected to the Southbound database"), "readiness to say so")
    ready.daemons["ovn-controller"].answer = "connected"
    wait_for(lambda: ready.http_get("/readyz")[0] == 200, "readiness")


def test_a_daemon_that_hangs(ready):
    """Protects against a daemon whose process is there and does nothing."""
    ready.daemons["ovs-vswitchd"].answer = None
    wait_for(lambda: says(ready, "ovs-vswitchd does not answer"), "readiness to say so")
    ready.daemons["ovs-vswitchd"].answer = "3.5"
    wait_for(lambda: ready.http_get("/readyz")[0] == 200, "readiness")


def test_readiness_follows_the_tunnels(ready):
    """Protects pods from a node whose tunnels have lost their address, or whose NIC has left its bridge."""
    subprocess.run(["ip", "link", "add", "breth0", "type", "veth", "peer", "name", "eth0"], check=True, timeout=10)
    subprocess.run(["ip", "address", "add", "10.9.9.1/24", "dev", "breth0"], check=True, timeout=10)
    encap = {"external_ids": ["map", [["ovn-encap-ip", "10.9.9.1"]]]}
    ready.database.transact(
        {
            "op": "insert",
            "table": "Bridge",
            "uuid-name": "b",
            "row": {"name": "breth0", "external_ids": ["map", [["bridge-uplink", "eth0"]]]},
        },
        {"op": "update", "table": "Open_vSwitch", "where": [], "row": encap},
        {
            "op": "mutate",
            "table": "Open_vSwitch",
            "where": [],
            "mutations": [["bridges", "insert", ["set", [["named-uuid", "b"]]]]],
        },
    )
    wait_for(lambda: says(ready, "eth0 is not in its bridge breth0"), "readiness to say so")
    ready.database.transact(
        {"op": "insert", "table": "Interface", "uuid-name": "i", "row": {"name": "eth0"}},
        {"op": "insert", "table": "Port", "uuid-name": "p", "row": {"name": "eth0", "interfaces": ["named-uuid", "i"]}},
        {
            "op": "mutate",
            "table": "Bridge",
            "where": [["name", "==", "breth0"]],
            "mutations": [["ports", "insert", ["set", [["named-uuid", "p"]]]]],
        },
    )
    wait_for(lambda: ready.http_get("/readyz")[0] == 200, "readiness")
    subprocess.run(["ip", "address", "flush", "dev", "breth0"], check=True, timeout=10)
    wait_for(lambda: says(ready, "no link of this host has the tunnels' address 10.9.9.1"), "readiness to say so")


def vanish(folder):
    """A folder is gone at once, before anything can be written there again."""
    away = folder.with_name("away")
    folder.rename(away)
    shutil.rmtree(away)


def remove(path):
    """The file is gone."""
    path.unlink()


def spoil(path):
    """The file says something else."""
    path.write_text("{}")


def remove_folder(path):
    """The folder is gone, and the one above it."""
    vanish(path.parents[1])


@pytest.mark.parametrize("damage", [remove, spoil, remove_folder], ids=lambda damage: damage.__name__)
def test_the_configuration_comes_back(node, damage):
    """Protects a node from being NotReady for ever: nothing but a restart of the server brought the file back."""
    node.configuration = node.folder / "etc" / "cni" / "net.d" / "10-ovn-kubernetes.conflist"
    node.start()
    before = node.configuration.read_text()
    for _time in range(2):
        damage(node.configuration)
        wait_for(
            lambda: node.configuration.exists() and node.configuration.read_text() == before,
            "the configuration",
            PROMPT,
        )


def test_a_configuration_that_can_not_be_written_is_said(ready):
    """Protects against "ok" while the runtime has no configuration."""
    ready.configuration.unlink()
    ready.configuration.mkdir()
    wait_for(lambda: says(ready, str(ready.configuration)), "readiness to say so")
    ready.configuration.rmdir()
    wait_for(lambda: ready.http_get("/readyz")[0] == 200 and ready.configuration.is_file(), "the configuration")


def test_readiness_follows_the_plugin(ready):
    """Protects new pods on a host whose plugin was removed: the runtime can't start it."""
    plugin = ready.plugin.rename(ready.folder / "away")
    wait_for(lambda: says(ready, f"{ready.plugin} is missing"), "readiness to say so", 2)
    plugin.rename(ready.plugin)
    wait_for(lambda: ready.http_get("/readyz")[0] == 200, "readiness", 2)


def test_the_socket_comes_back(ready, sandbox):
    """Protects all pods of a node whose server's socket was removed: the plugin found nobody."""
    for _time in range(2):
        (ready.run / "cni.sock").unlink()
        wait_for((ready.run / "cni.sock").is_socket, "the socket", PROMPT)
    vanish(ready.run)
    wait_for((ready.run / "cni.sock").is_socket, "the socket, with its folder", PROMPT)
    ready.api.change("ADDED", pod("web", annotation=network(3)))
    code, result = ready.cni("ADD", netns=sandbox().path)
    assert code == 0, result


def test_a_socket_that_can_not_be_opened_is_said(ready):
    """Protects against "ok" while the plugin finds nobody: it is tried until it works."""
    path = ready.run / "cni.sock"
    path.unlink()
    path.mkdir()
    wait_for(lambda: says(ready, f"{path} can't be opened"), "readiness to say so")
    path.rmdir()
    wait_for(lambda: path.is_socket() and ready.http_get("/readyz")[0] == 200, "the socket")
