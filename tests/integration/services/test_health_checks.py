# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects a node's pods and services from whoever connects to its health checks, which are open to everybody."""

from __future__ import annotations

import contextlib
import os
import socket
import time

from database_server import wait_for
from network_namespace import ip

IDLE = 700  # connections, more than a program of a shell may have with two programs' other files


def service(name, node_port, health_port=None):
    """A service, with health checks when it has a port for them."""
    local = {"externalTrafficPolicy": "Local", "healthCheckNodePort": health_port} if health_port else {}
    return {
        "metadata": {"namespace": "ns", "name": name},
        "spec": {
            "type": "LoadBalancer",
            "clusterIPs": [f"10.96.0.{node_port % 100}"],
            "ports": [{"port": 80, "nodePort": node_port}],
            **local,
        },
    }


def check(port, request=b"GET / HTTP/1.1\r\n\r\n"):
    """The answer, nothing when there is none."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(request)
            return connection.recv(4096).decode()
    except OSError:
        return ""


def test_clients_that_send_nothing(ready):
    """Protects pods: 700 idle connections cost the program that serves CNI no file descriptor, its pages and the check
    itself go on, and one unfinished request does not delay the rules of other services.
    """
    ip("link set lo up")
    ready.api.change("ADDED", service("first", 30001, 31001), "services")
    wait_for(lambda: check(31001).startswith("HTTP/1.1 503"), "the health check")
    with open(f"/proc/{ready.server.pid}/task/{ready.server.pid}/children", encoding="ascii") as children:
        (process,) = children.read().split()
    assert os.stat(f"/proc/{process}").st_uid == 65534  # it has no rights
    pages = tuple(ready.http.split(":"))
    with contextlib.ExitStack() as stack:
        for _number in range(IDLE):
            stack.enter_context(socket.create_connection(("127.0.0.1", 31001), 5))
        for _number in range(50):
            stack.enter_context(socket.create_connection(pages, 5))
        unfinished = stack.enter_context(socket.create_connection(("127.0.0.1", 31001), 5))
        unfinished.sendall(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n")
        wait_for(lambda: check(31001).startswith("HTTP/1.1 503"), "the health check beside idle clients")
        assert len(os.listdir(f"/proc/{ready.server.pid}/fd")) < 150
        assert ready.http_get("/readyz") == (200, "ok\n")
        began = time.monotonic()
        ready.api.change("DELETED", service("first", 30001, 31001), "services")
        ready.api.change("ADDED", service("second", 30002), "services")
        ready.api.change("ADDED", service("third", 30003), "services")
        wait_for(lambda: "services: 2 node ports" in ready.text(), f"the other rules\n{ready.text()}")
        assert time.monotonic() - began < 5
    wait_for(lambda: check(31001) == "", "the port to close")


def test_the_health_of_this_host(ready):
    """Protects hosts behind a cloud's load balancer, which asks as it asks kube-proxy: 503 as soon as the node is being
    deleted (KEP-3836).
    """
    ip("link set lo up")
    healthz, livez = (f"GET /{page} HTTP/1.1\r\n\r\n".encode() for page in ("healthz", "livez"))
    wait_for(lambda: check(10256, healthz).startswith("HTTP/1.1 200"), "the host to be healthy")
    node = {"metadata": {"name": "node1"}, "spec": {"taints": [{"key": "ToBeDeletedByClusterAutoscaler"}]}}
    ready.api.change("ADDED", node, "nodes")
    wait_for(lambda: check(10256, healthz).startswith("HTTP/1.1 503"), "the host to refuse new connections")
    assert '"nodeEligible": false' in check(10256, healthz) and check(10256, livez).startswith("HTTP/1.1 200")
