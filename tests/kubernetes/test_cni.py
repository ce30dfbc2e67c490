# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Pods' interfaces through a kubelet and containerd's CRI, on hosts that run the whole overlay (W18, W20).

Runtime, server and host end and come back.
"""

from __future__ import annotations

import base64
import json
import struct

import pytest
from lab_hosts import lab, on, on_masters, wait
from lab_kubernetes import get, kubectl
from lab_running_pods import NODE, delete, interfaces, left, make, ports, reaches, running, sandbox


@pytest.fixture
def pods():
    """Makes pods that are ready and reached; they go at the end."""
    made = []

    def add(name, node=NODE):
        made.append(make(name, node))
        address = wait(lambda: running(name), 120, f"pod {name} to be ready")
        wait(lambda: reaches(address), 30, f"{name} at {address} to be reached")
        return address

    yield add
    delete(*made)
    wait(lambda: not {f"default_{name}" for name in made} & set(ports()[0]), 60, "the ports of deleted pods to go")


def cri(method, container):
    """Ask the runtime about one sandbox, as a kubelet does; its status, 0 is success.

    gRPC is HTTP/2 with a length, and a protobuf with one string.
    """
    message = b"\x0a" + bytes([len(container)]) + container.encode()
    body = base64.b64encode(b"\0" + struct.pack(">I", len(message)) + message).decode()
    headers = on(
        NODE,
        f"echo {body} | base64 --decode | curl --silent --show-error --http2-prior-knowledge --unix-socket "
        "/run/containerd/containerd.sock "
        "--header 'Content-Type: application/grpc' --header 'TE: "
        "trailers' --data-binary @- --dump-header - --output /dev/null "
        f"http://cri/runtime.v1.RuntimeService/{method}",
    )
    return int(dict(line.split(": ", 1) for line in headers.splitlines() if ": " in line)["grpc-status"])


def calls(command):
    """How often the plugin was called on the node, and successfully so, since its server was started."""
    name = f'ovnkube_node_cni_request_duration_seconds_count{{command="{command}",err="false"}} '
    return sum(
        float(line.split()[-1])
        for line in on(NODE, "curl --silent http://127.0.0.1:9410/metrics").splitlines()
        if line.startswith(name)
    )


def test_a_pod_through_the_runtime(pods):
    """Protects the whole way: kubelet, containerd, the plugin's result (which containerd reads), annotation, flows."""
    address = pods("one")
    annotation = json.loads(get("pods", "one")["metadata"]["annotations"]["ovn"])
    assert annotation["ip_address"].split("/")[0] == address and "default_one" in ports()[0]


def test_w18_the_runtime_starts_again(pods):
    """Protects pods from a restart of containerd: they stay reached, new ones come, and nothing stale is left."""
    address = pods("stays")
    on(NODE, "systemctl restart containerd")
    wait(lambda: reaches(address), 10, "the pod to answer")
    pods("comes")
    names, dead = ports()
    assert {"default_stays", "default_comes"} <= set(names) and len(names) == len(set(names)) and dead == 0


def test_w20_a_pod_ends_while_the_server_is_away(pods):
    """Protects the end of pods: it does not wait for our server, which does the rest when it is back."""
    pods("ends")
    on(NODE, "systemctl stop ovn-k8s-node")
    try:
        delete("ends", limit=90)
        wait(lambda: left()[1], 30, "the deletion to be written down")
    finally:
        on(NODE, "systemctl start ovn-k8s-node")
    wait(lambda: "default_ends" not in ports()[0] and not left()[1], 30, "the port to go")


def test_an_add_that_fails_says_why(pods):
    """Protects users who look for a reason: the plugin's error is in the pod's events.

    Nothing is left behind, and the next attempt succeeds when it can.
    """
    on_masters("systemctl stop ovn-k8s-watcher")
    try:
        uid = get("pods", make("spoiled"))["metadata"]["uid"]
        kubectl("annotate", "pod", "spoiled", f"ovn.kubernetes/pod-uid={uid}", "ovn=no JSON")

        def said():
            events = get("events", fieldSelector="involvedObject.name=spoiled,reason=FailedCreatePodSandBox")["items"]
            return [event["message"] for event in events if event["involvedObject"]["uid"] == uid]

        words = wait(said, 60, "an event of the pod")
        assert "pod default/spoiled: annotation ovn can't be used" in words[0], words
        assert "default_spoiled" not in ports()[0] and left() == (sorted(interfaces()), [])
    finally:
        on_masters("systemctl start ovn-k8s-watcher")
    pods("spoiled")


def test_a_sandbox_is_stopped_again_and_without_its_namespace(pods):
    """Protects the end of sandboxes: the kubelet stops and removes them again and again.

    It does so also when the namespace is gone (DEL without one).
    """
    names = {name: pods(name) for name in ("twice", "bare")}
    found = {name: sandbox(name) for name in names}
    on(NODE, "systemctl stop kubelet")
    try:
        before = calls("DEL")
        on(NODE, f"ip netns delete {found['bare'][1].rsplit('/', 1)[1]}")
        assert [cri("StopPodSandbox", container) for _time in range(2) for container, _netns in found.values()] == [
            0
        ] * 4
        assert [
            cri("StopPodSandbox", found["twice"][0]),
            cri("RemovePodSandbox", found["twice"][0]),
            cri("RemovePodSandbox", found["twice"][0]),
        ] == [0, 0, 0]
        assert calls("DEL") - before >= 3
        assert not {"default_twice", "default_bare"} & set(ports()[0]) and left() == (sorted(interfaces()), [])
    finally:
        on(NODE, "systemctl start kubelet")
    for name, address in names.items():
        wait(lambda name=name: f"default_{name}" in ports()[0], 60, f"a new sandbox of {name}")
        assert sandbox(name) != found[name]
        assert pods(name) == address


def test_w20_the_server_is_killed_while_pods_come(pods):
    """Protects pods from a server that is killed during its work: the kubelet tries again until each is ready."""
    names = [make(f"k{number}") for number in range(4)]
    on(NODE, "systemctl kill --signal KILL ovn-k8s-node")
    for name in names:
        pods(name)
    found, dead = ports()
    assert [found.count(f"default_{name}") for name in names] == [1] * len(names) and dead == 0


def test_w18_a_host_boots(pods):
    """Protects a host after a boot: stale ports go, its pods get new links, and no pod is started too early."""
    pods("survives")
    before = running("survives")
    lab("restart", NODE, limit=300)
    wait(
        lambda: on(NODE, "systemctl is-active ovn-k8s-node", check=False).stdout.strip() == "active",
        120,
        "the host to be back",
    )
    wait(lambda: running("survives") == before and reaches(before), 180, "the pod to be back")
    wait(lambda: ports() == (sorted(set(ports()[0])), 0), 60, "stale ports to go")
