# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Rate limits of pods: annotations kubernetes.io/ingress-bandwidth and egress-bandwidth, each in its own direction."""

from __future__ import annotations

import subprocess

import pytest
from node_server import network, pod

SERVE = (
    "import socket; s=socket.create_server(('0.0.0.0', 80)); print(1, flush=True)\n"
    "c,_=s.accept(); n=sum(len(d) for d in iter(lambda: c.recv(65536), b'')); c.sendall(str(n).encode()); c.close()"
)
SEND = (
    "import socket, time; c=socket.create_connection(('192.168.1.{}', 80), 10); c.settimeout(60); t=time.monotonic()\n"
    "c.sendall(b'x'*{}); c.shutdown(socket.SHUT_WR); assert c.recv(100); print(time.monotonic()-t)"
)
MEGABYTE = 1 << 20


def seconds(sender, receiver, number):
    """How long it takes to send a megabyte to the pod with that address."""
    server = subprocess.Popen(
        ["nsenter", f"--net={receiver.path}", "/usr/bin/python3", "-c", SERVE], stdout=subprocess.PIPE
    )
    try:
        server.stdout.readline()
        return float(sender.run("/usr/bin/python3", "-c", SEND.format(number, MEGABYTE)))
    finally:
        server.kill()
        server.wait(timeout=10)


@pytest.mark.parametrize(
    ("annotation", "slow"), [("kubernetes.io/ingress-bandwidth", "to"), ("kubernetes.io/egress-bandwidth", "from")]
)
def test_a_limit_holds_in_its_direction_only(ready, sandbox, annotation, slow):
    """Protects users from a limit that limits nothing, or the other direction: a megabyte at 4 Mbit/s takes two
    seconds, less the burst.
    """
    one, two = sandbox("one"), sandbox("two")
    ready.api.change("ADDED", pod("one", annotation=network(3), **{annotation: "4M"}))
    ready.api.change("ADDED", pod("two", annotation=network(4)))
    assert ready.cni("ADD", container="c-one", netns=one.path, name="one")[0] == 0
    assert ready.cni("ADD", container="c-two", netns=two.path, name="two")[0] == 0
    took = {"to": seconds(two, one, 3), "from": seconds(one, two, 4)}
    other = "from" if slow == "to" else "to"
    assert took[slow] > 1.2 and took[other] < took[slow] / 2, took
    result = ready.cni("ADD", container="c-one", netns=one.path, name="one")[1]
    assert ready.cni("CHECK", container="c-one", netns=one.path, name="one", config={"prevResult": result}) == (0, None)
    assert ready.cni("DEL", container="c-one", netns=one.path, name="one") == (0, None)
    assert ready.database.rows("QoS") == []
