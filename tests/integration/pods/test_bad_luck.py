# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Servers that are away, programs that are killed, hosts that boot: no stale port, no forgotten link, and every pod
gets there in the end (W18, W20).
"""

from __future__ import annotations

import json
import os
import random
import signal
import time

import pytest
from database_server import wait_for
from node_server import answer, host_links, network, pod


def add(node, place, name="web", number=3, uid="uid-1"):
    """A pod that has its interface."""
    node.api.change("ADDED", pod(name, uid, annotation=network(number)))
    code, result = node.cni("ADD", container=f"c-{name}", netns=place.path, name=name, uid=uid)
    assert code == 0, result
    return result


def in_order(node, names):
    """These pods have ports whose links exist; no other pod has one."""
    ports = node.pod_ports()
    assert sorted(keys["iface-id"] for keys in ports.values()) == sorted(f"ns_{name}" for name in names)
    assert sorted(host_links()) == sorted(ports)


def test_w20_without_a_server(ready, sandbox):
    """Protects the deletion of pods while the server does not run: DEL is written down and succeeds; the others say to
    try again, in time.
    """
    place = sandbox()
    add(ready, place)
    ready.stop()
    impatient = ready.plugin.read_text().replace("ADD => 20", "ADD => 2")
    assert impatient != ready.plugin.read_text()
    ready.plugin.write_text(impatient)
    delete, again, status = (
        ready.call("DEL", container="c-web", netns=place.path),
        ready.call("ADD", container="c-2", netns=place.path),
        ready.call("STATUS", container=None, ifname=None, version="1.1.0"),
    )
    code, error = answer(status)
    assert (code, error["code"], error["cniVersion"]) == (1, 50, "1.1.0") and "ovn-k8s-node" in error["msg"]
    assert answer(delete) == (0, None)
    code, error = answer(again)
    assert (code, error["code"], error["cniVersion"]) == (1, 11, "1.0.0")
    in_order(ready, ["web"])
    ready.start(wait=False)
    wait_for(lambda: not ready.pod_ports() and not host_links(), "the deletion that was written down")
    wait_for(lambda: not list((ready.run / "cni-deletions").iterdir()), "it to be forgotten")


def test_systemd_is_notified(node, systemd):
    """Protects a node whose server hangs, or still runs with replaced files: ready when the plugin is served, alive,
    and an end when new files are there.
    """
    node.start()
    systemd.hears("READY=1")
    systemd.hears("WATCHDOG=1")
    settings = node.folder / "kubernetes.json"
    (node.folder / "new").write_text(settings.read_text())
    (node.folder / "new").replace(settings)
    assert node.server.wait(30) == 0
    assert f"{settings} was replaced" in node.text()


def test_w20_a_restart_is_not_noticed(ready, sandbox):
    """Protects pods that are created and deleted while the server restarts: the plugin connects again until it runs."""
    one, two = sandbox("one"), sandbox("two")
    add(ready, one)
    ready.api.change("ADDED", pod("two", annotation=network(4)))
    ready.stop()
    calls = [
        ready.call("DEL", container="c-web", netns=one.path),
        ready.call("ADD", container="c-two", netns=two.path, name="two"),
    ]
    ready.start()
    assert [answer(call)[0] for call in calls] == [0, 0]
    wait_for(lambda: len(ready.pod_ports()) == 1, "the deletion, which may have been written down")
    in_order(ready, ["two"])


def test_a_restart_with_nothing_changed_writes_nothing(ready, sandbox):
    """Protects the database: a start only reads. Each of our transactions has our name in the database's log."""
    add(ready, sandbox())
    before, configuration = (
        ready.database.file.read_text().count("ovn-k8s-node: "),
        ready.configuration.stat().st_mtime_ns,
    )
    assert before == 1
    ready.stop()
    ready.start()
    assert ready.cni("STATUS", container=None, ifname=None, version="1.1.0")[0] == 0
    assert (
        ready.database.file.read_text().count("ovn-k8s-node: ") == before
        and ready.configuration.stat().st_mtime_ns == configuration
    )


@pytest.mark.parametrize("seed", range(4))
def test_w20_kill_9_of_the_server_at_any_point(ready, sandbox, seed):
    """Protects against what a killed server leaves: after the runtime's DEL and its next try each pod has one port and
    one pair, and nothing else is there.
    """
    choose = random.Random(seed)
    places = {f"p{number}": sandbox(f"p{number}") for number in range(4)}
    for number, name in enumerate(places, start=3):
        ready.api.change("ADDED", pod(name, annotation=network(number)))
    calls = {
        name: ready.call("ADD", container=f"c-{name}", netns=place.path, name=name) for name, place in places.items()
    }
    time.sleep(choose.uniform(0.0, 0.15))
    ready.stop(signal.SIGKILL)
    ready.start()
    tried = 0
    while calls:
        results = {name: answer(call) for name, call in calls.items()}
        failed = [name for name, (code, _result) in results.items() if code]
        assert tried < 3, results
        assert all(
            ready.cni("DEL", container=f"c-{name}", netns=places[name].path, name=name) == (0, None) for name in failed
        )
        tried += 1
        calls = {
            name: ready.call("ADD", container=f"c-{name}-{tried}", netns=places[name].path, name=name)
            for name in failed
        }
    in_order(ready, places)


@pytest.mark.parametrize("seed", range(4))
def test_w20_kill_9_of_the_plugin_at_any_point(ready, sandbox, seed):
    """Protects against results that no plugin waits for: an ADD whose plugin was killed is undone, or complete; after
    DEL nothing is left.
    """
    choose = random.Random(seed)
    place = sandbox()
    ready.controller.silent = seed % 2 == 1
    ready.api.change("ADDED", pod("web", annotation=network(3)))
    process = ready.call("ADD", netns=place.path)
    time.sleep(choose.uniform(0.0, 0.1))
    process.kill()
    process.wait(timeout=10)
    process.stdout.close()
    process.stderr.close()
    assert ready.cni("DEL", netns=place.path) == (0, None)
    wait_for(lambda: not ready.pod_ports() and not host_links(), "the ADD to be undone")
    ready.controller.silent = False
    assert ready.cni("ADD", container="c2", netns=place.path)[0] == 0
    in_order(ready, ["web"])


def test_an_add_whose_plugin_was_killed_is_undone(ready, sandbox):
    """Protects against an interface of a pod whose runtime was killed and forgot it."""
    place = sandbox()
    ready.controller.silent = True
    ready.api.change("ADDED", pod("web", annotation=network(3)))
    process = ready.call("ADD", netns=place.path)
    wait_for(ready.pod_ports, "the port")
    process.kill()
    process.communicate(timeout=10)
    wait_for(lambda: not ready.pod_ports() and not host_links(), "the ADD to be undone")


def test_w18_a_port_goes_with_its_sandbox(ready, sandbox):
    """Protects against ports that a runtime never deleted: Open vSwitch reports the lost link, and the port is removed;
    others stay.
    """
    one, two = sandbox("one"), sandbox("two")
    add(ready, one, "one", 3)
    add(ready, two, "two", 4)
    one.remove()
    wait_for(lambda: len(ready.pod_ports()) == 1, "the port of the sandbox that is gone to go")
    in_order(ready, ["two"])


def test_w18_stale_ports_go_at_the_first_start_after_a_boot(ready, sandbox):
    """Protects a host after a boot: its database still has the old pods' ports, the kernel has none of their links, and
    the runtime must not come too early.
    """
    place = sandbox()
    add(ready, place)
    ready.stop()
    place.remove()
    for path in (*(ready.run / "cni-deletions").iterdir(), ready.run / "cni-deletions"):
        path.rmdir() if path.is_dir() else path.unlink()
    ready.remove_flows()
    assert ready.configuration.exists()
    ready.start(wait=False)
    wait_for(lambda: not ready.configuration.exists(), "the configuration of before the boot to go")
    wait_for(lambda: not ready.pod_ports(), "the stale port to go")
    wait_for(ready.unavailable, "the condition, which is set at once after a boot")
    wait_for(ready.configuration.exists, "the configuration, for deletions, where the node stays broken")
    assert ready.unavailable() and json.loads(ready.configuration.read_text())["cniVersion"] == "1.0.0"
    ready.controller.silent = False
    wait_for(lambda: ready.unavailable() == "", "the node to take pods")


def test_the_runtimes_configuration_is_written_last(node):
    """Protects a node from being Ready too early: no configuration before Open vSwitch, ovn-controller and the API
    server are there (W20).
    """
    node.remove_flows()
    node.start(wait=False)
    wait_for(lambda: "ovn-controller has not installed" in node.text(), "the server to say for what it waits")
    assert not node.configuration.exists() and node.http_get("/readyz")[0] == 503
    node.controller.silent = False
    wait_for(node.configuration.exists, "the configuration")
    configuration = json.loads(node.configuration.read_text())
    assert (configuration["cniVersion"], configuration["name"], configuration["plugins"]) == (
        "1.0.0",
        "ovn-kubernetes",
        [{"type": "ovn-k8s-cni-overlay", "mtu": 1400}],
    )


def test_another_mtu_is_for_the_next_pods(ready, sandbox):
    """Protects a change of ovn_mtu: it needs no restart."""
    ready.database.transact(
        {"op": "update", "table": "Interface", "where": [["name", "==", "k8s-node1"]], "row": {"mtu_request": 1300}}
    )
    wait_for(lambda: '"mtu": 1300' in ready.configuration.read_text(), "the configuration to say so")
    place = sandbox()
    add(ready, place)
    assert place.ip("link show dev eth0")[0]["mtu"] == 1300


def test_a_short_outage_of_the_database(ready, sandbox):
    """Protects pods from a restart of Open vSwitch's database: requests wait for it, and nothing is made twice."""
    one, two = sandbox("one"), sandbox("two")
    add(ready, one, "one", 3)
    ready.api.change("ADDED", pod("two", annotation=network(4)))
    ready.database.stop()
    calls = [
        ready.call("DEL", container="c-one", netns=one.path),
        ready.call("ADD", container="c-two", netns=two.path, name="two"),
    ]
    wait_for(ready.has_request, "the requests to reach the server")
    ready.database.start()
    assert [answer(call)[0] for call in calls] == [0, 0]
    in_order(ready, ["two"])


def test_w2_a_short_outage_of_the_api_server(ready, sandbox):
    """Protects pods that are known from an outage of the API server, and those that come in it from being forgotten
    (W2, F2).
    """
    one, two = sandbox("one"), sandbox("two")
    ready.api.change("ADDED", pod("one", annotation=network(3)))
    assert ready.cni("ADD", container="c-one", netns=one.path, name="one")[0] == 0
    ready.api.set_away(True)
    assert (
        ready.cni("ADD", container="c-one", netns=one.path, name="one")[0] == 0 and ready.http_get("/readyz")[0] == 200
    )
    ready.api.change("ADDED", pod("two", annotation=network(4)))
    call = ready.call("ADD", container="c-two", netns=two.path, name="two")
    wait_for(ready.has_request, "the request to reach the server")
    ready.api.set_away(False)
    assert answer(call)[0] == 0
    in_order(ready, ["one", "two"])


DEEP = '{"cniVersion": "1.0.0", "name": "n", "x": ' + "[" * 100_000 + "]" * 100_000 + "}"


def test_a_left_deletion_that_can_not_be_read_blocks_no_other(ready, sandbox):
    """Protects the node from one bad file: all deletions after it stayed undone, and no port was ever swept again. It
    is carried out as far as it can be understood, said, and out of the way.
    """
    places = {name: sandbox(name) for name in ("deep", "two", "lost")}
    for number, name in enumerate(places, start=3):
        add(ready, places[name], name, number)
    ready.stop()
    assert ready.cni("DEL", container="c-deep", name="deep", stdin=DEEP) == (0, None)
    assert ready.cni("DEL", container="c-two", name="two") == (0, None)
    folder = ready.run / "cni-deletions"
    (folder / "00-not-utf-8").write_bytes(b"CNI_COMMAND=DEL\0CNI_CONTAINERID=\xff\xfe\0CNI_IFNAME=eth0\0\0\xff")
    (folder / "00-no-request").write_bytes(b"\0" * 100)
    (folder / "00-folder").mkdir()
    os.mkfifo(folder / "00-fifo")
    places["lost"].remove()
    ready.start()
    wait_for(lambda: not list(folder.iterdir()), "the deletions to be out of the way")
    wait_for(lambda: not ready.pod_ports() and not host_links(), "all ports to go")
    said = ready.text().count("a deletion that was left can't be read")
    refused = sorted(path.name for path in (ready.run / "cni-refused").iterdir())
    assert said == len(refused) == 5 and len([name for name in refused if name.startswith("00-")]) == 4


def test_a_deletion_that_was_left_is_not_for_the_next_add(ready, sandbox):
    """Protects a sandbox that is made again under its old ID from the deletion of what it was before."""
    place = sandbox()
    add(ready, place)
    ready.stop()
    assert ready.cni("DEL", container="c-web", netns=place.path) == (0, None)
    call = ready.call("ADD", container="c-web", netns=place.path)
    ready.start()
    assert answer(call)[0] == 0
    wait_for(lambda: not list((ready.run / "cni-deletions").iterdir()), "the deletion to be forgotten")
    in_order(ready, ["web"])


@pytest.mark.parametrize(
    "text",
    [
        "[" * 60_000,
        '{"attachment": ["c-web", "eth0"]}',
        '{"attachment": ["c-web", "eth0"], "netns": 1, "namespace": "ns", "pod": "web", "uid": "u", "mtu": "x", '
        '"userspace": 1, "network": {"mac": 1, "addresses": "x", "gateways": [], "routes": []}}',
    ],
    ids=["deep", "parts", "types"],
)
def test_a_record_that_can_not_be_read_stops_nothing(ready, sandbox, text):
    """Protects a node whose server ended at each start because of one file that it had written itself."""
    add(ready, sandbox())
    ready.stop()
    (record,) = (ready.run / "cni-attachments").iterdir()
    good = record.read_text()
    record.write_text(text)
    ready.start()
    assert f"the record {record} can't be used and is removed" in ready.text()
    wait_for(record.exists, "the record to be made again from the port")
    wait_for(lambda: json.loads(record.read_text()) == json.loads(good), "it to be as before")
    in_order(ready, ["web"])
