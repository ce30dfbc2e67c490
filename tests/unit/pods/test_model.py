# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what is kept of a pod: which pods get a port, and host ports, whose text goes into rules that root loads."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.model import HostPort, pod_of_node, pod_with_port


def pod(phase="Running", **spec):
    """A pod object."""
    return {
        "metadata": {"namespace": "ns", "name": "web-0", "uid": "u1", "annotations": None},
        "spec": {"nodeName": "Node1", **spec},
        "status": {"phase": phase},
    }


def test_a_node_is_named_as_in_the_overlay():
    """Protects the one rule for node names."""
    assert pod_with_port(pod()).node == "node1"


@pytest.mark.parametrize("item", [pod(hostNetwork=True), pod(nodeName=None), pod("Succeeded"), pod("Failed")])
def test_pods_without_a_port(item):
    """Protects addresses (W18): pods on the host's network and completed ones have none."""
    assert pod_with_port(item) is None


def test_a_change_that_makes_room_for_annotations():
    """Protects a pod whose annotations are full from waiting for the end of a pause when its user has removed some:
    what others have there is no change but near the limit, and what the watcher writes is none at all.
    """
    room = 256 * 1024 - len("note")

    def annotated(size, **more):
        return pod_with_port({**pod(), "metadata": {**pod()["metadata"], "annotations": {"note": "x" * size, **more}}})

    empty = annotated(0)
    assert annotated(200_000) == empty == pod_with_port(pod())
    assert annotated(room - 1) != annotated(room) != empty
    assert annotated(room, ovn="").crowding == annotated(room).crowding > annotated(room // 2, ovn="x" * room).crowding
    of_node = {**pod(), "metadata": {**pod()["metadata"], "annotations": {"note": "x" * room}}}
    assert pod_of_node(of_node) == pod_of_node(pod())


def host_ports(*ports, **status):
    """What is kept of these ports."""
    item = {**pod(containers=[{"ports": list(ports)}]), "status": status}
    return pod_of_node(item).host_ports


def test_a_host_port_at_what_is_no_address():
    """Protects the host's firewall against a pod's hostIP, which the API server takes as it is; the pod's other ports
    are served, and some of those that are not are named.
    """
    wrong = ("10.0.0.1 drop; }; chain evil {", "bogus", "fe80::1%a b", "x" * 2000)
    ports = [{"hostPort": 80, "containerPort": 8080, "hostIP": text} for text in wrong]
    ports.append({"hostPort": 81, "containerPort": 8081, "hostIP": "FD00::01"})
    made = pod_of_node(pod(containers=[{"ports": ports}]))
    assert made.host_ports == (HostPort("tcp", 81, "fd00::1", 8081),)
    assert len(made.unserved) == 3 and "host port 80: hostIP 'bogus' is not an address" in made.unserved


def test_host_ports_at_all_addresses():
    """Protects the spellings of "all", and the end of a pod, which gives its ports back."""
    ports = [
        {"hostPort": 80, "containerPort": 8080, "protocol": "UDP", "hostIP": text}
        for text in ("", "0.0.0.0", "::", "0:0::0")
    ]
    assert host_ports(*ports) == (HostPort("udp", 80, None, 8080),) * 4
    assert host_ports(*ports, phase="Succeeded") == ()
