# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A host with real clients: client - host - overlay (a namespace that has the services' and pods' addresses)."""

from __future__ import annotations

import subprocess

import pytest
from database_server import wait_for
from network_namespace import ip
from node_server import Node

SERVE = """
import socket, sys, threading
def serve(where):
    listener = socket.create_server(where)
    while True:
        connection, peer = listener.accept()
        connection.sendall(("%s:%d from %s" % (*connection.getsockname(), peer[0])).encode())
        connection.close()
addresses = [a.rpartition(":") for a in sys.argv[1:]]
threads = [threading.Thread(target=serve, args=((host, int(port)),)) for host, _colon, port in addresses]
[thread.start() for thread in threads]
print("listening", flush=True)
"""
ASK = """
import socket, sys
try:
    source = (sys.argv[1], 0) if sys.argv[1] else None
    server = sys.argv[2], int(sys.argv[3])
    connection = socket.create_connection(server, timeout=float(sys.argv[4]), source_address=source)
    if len(sys.argv) > 5:
        connection.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    data = b""
    while piece := connection.recv(4096):
        data += piece
    print(data.decode())
except TimeoutError:
    print("silence")
except OSError as exc:
    print(exc.strerror)
"""


def service(name, number, node_port, **spec):
    """A service with one port."""
    ports = [{"protocol": "TCP", "port": 80, **({"nodePort": node_port} if node_port else {})}]
    return {
        "metadata": {"namespace": "ns", "name": name},
        "spec": {
            "type": "NodePort" if node_port else "ClusterIP",
            "clusterIPs": [f"10.96.0.{number}"],
            "ports": ports,
            **spec,
        },
    }


def balancer(name, number, ingress, ranges):
    """A service of an outer balancer for some sources."""
    made = service(name, number, None, loadBalancerSourceRanges=ranges)
    made["spec"]["type"] = "LoadBalancer"
    made["status"] = {"loadBalancer": {"ingress": [{"ip": ingress}]}}
    return made


def endpoints(name, port, *addresses, node="node1"):
    """Its endpoint slice."""
    return {
        "metadata": {"namespace": "ns", "name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"protocol": "TCP", "port": port}],
        "endpoints": [{"addresses": [one], "nodeName": node, "conditions": {"ready": True}} for one in addresses],
    }


def node_object(name, address):
    """A node."""
    return {"metadata": {"name": name}, "status": {"addresses": [{"type": "InternalIP", "address": address}]}}


@pytest.fixture
def client(sandbox):
    """10.0.0.9 is another host of the cluster, 10.0.0.8 is outside."""
    place = sandbox("client")
    ip(f"link add eth0 type veth peer name eth0 netns {place.path}")
    ip("addr add 10.0.0.1/24 dev eth0")
    ip("link set eth0 up")
    for line in (
        "addr add 10.0.0.9/24 dev eth0",
        "addr add 10.0.0.8/24 dev eth0",
        "link set eth0 up",
        "link set lo up",
    ):
        place.run("ip", *line.split())
    return place


@pytest.fixture
def overlay(sandbox):
    """Behind the management port: cluster addresses, a pod, and the way back."""
    place = sandbox("overlay")
    ip(f"link add k8s-node1 type veth peer name inside netns {place.path}")
    ip("addr add 192.168.1.2/24 dev k8s-node1")
    ip("link set k8s-node1 up")
    for line in (
        "addr add 192.168.1.1/24 dev inside",
        "addr add 192.168.1.3/24 dev inside",
        "addr add 10.96.0.1/32 dev lo",
        "addr add 10.96.0.5/32 dev lo",
        "addr add 10.96.0.7/32 dev lo",
        "link set inside up",
        "link set lo up",
        "route add 10.0.0.0/24 via 192.168.1.2",
    ):
        place.run("ip", *line.split())
    ip("route add 10.96.0.0/16 via 192.168.1.1")
    ip("route add 192.168.2.0/24 via 192.168.1.1")
    with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as forwarding:
        forwarding.write("1")
    process = listen(
        "10.96.0.1:80", "10.96.0.5:80", "10.96.0.7:80", "192.168.1.3:8080", where=["nsenter", f"--net={place.path}"]
    )
    yield place
    process.kill()
    process.wait()


def listen(*addresses, where=()):
    """Serve at these addresses; the answer names the client."""
    process = subprocess.Popen([*where, "/usr/bin/python3", "-c", SERVE, *addresses], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "listening\n"
    return process


def ask(port, address="10.0.0.1", source="", where=None, more=(), patience=5):
    """The answer from there."""
    command = ["/usr/bin/python3", "-c", ASK, source, address, str(port), str(patience), *more]
    return (
        where.run(*command)
        if where
        else subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout
    ).strip()


@pytest.fixture
def host(namespace, tmp_path, client, overlay):
    """The host, with its server."""
    made = Node(tmp_path / "host", vswitchd=False)
    made.api.others = {
        # The third one's address is what the API server takes too: it must not take the others' rules with it.
        "nodes": [
            node_object("node1", "10.0.0.1"),
            node_object("node2", "10.0.0.9"),
            node_object("node3", "worker.example"),
            node_object("node4", "10.0.0.1 }; }; add table inet evil; table inet x { set y { type ipv4_addr; "),
        ],
        "services": [
            service("all", 1, 30001, externalIPs=["198.51.100.7"]),
            service("out", 5, None, externalIPs=["198.51.100.2"], externalTrafficPolicy="Local"),
            balancer("some", 7, "198.51.100.4", ["10.0.0.9/32", "203.0.113.0/24"]),
            balancer("bad", 8, "198.51.100.5", ["10.0.0.8/32", "nobody }; }; add table inet evil; {"]),
            service("away", 6, None, externalIPs=["198.51.100.3"], externalTrafficPolicy="Local"),
            service("stays", 2, 30002, externalTrafficPolicy="Local", type="LoadBalancer", healthCheckNodePort=30012),
            service(
                "elsewhere", 3, 30003, externalTrafficPolicy="Local", type="LoadBalancer", healthCheckNodePort=30013
            ),
            service("own", 4, 30004),
            service("talks", 17, 30007),
        ],
        "endpointslices": [
            endpoints("all", 8080, "192.168.1.3"),
            endpoints("out", 8080, "192.168.1.3"),
            endpoints("away", 8080, "192.168.2.3", node="node2"),
            endpoints("stays", 8080, "192.168.1.3"),
            endpoints("elsewhere", 8080, "192.168.2.3", node="node2"),
            endpoints("own", 6443, "10.0.0.1"),
        ],
    }
    made.start(wait=False)
    wait_for(lambda: "services: 5 node ports" in made.text(), f"the rules\n{made.text()}")
    yield made
    made.remove()
