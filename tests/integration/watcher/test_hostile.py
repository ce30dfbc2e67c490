# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects everybody from objects that somebody makes as large and as odd as the API server takes them: a good pod
beside them is served in a moment, the loop goes on, and memory stays bounded.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import threading
import time

from database_server import wait_for

PODS, SERVICES = "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
NODES = "/api/v1/nodes"
SIZE = 250_000  # characters of annotations: the API server takes 256 KiB
LARGEST = 1_300_000  # bytes of an object: etcd takes 1.5 MiB
# Seconds. A second is promised; these are for hosts on which everything else is tested too. systemd waits 30 s for a
# sign of life of the loop.
MOMENT, START, SILENCE = 10.0, 10.0, 10.0
MEMORY = 200  # MiB


def addresses(number, size=SIZE):
    """Texts of different addresses, as JSON of about this size."""
    return [f"{number + 1:x}::{one:x}" for one in range(1, size // 11)]


def pod(number, annotations=None, **more):
    """A pod on node1."""
    spec = {"nodeName": "node1", "containers": [{"name": "c", "image": "i"}], **more}
    return {"metadata": {"name": f"hostile{number}", "annotations": annotations or {}}, "spec": spec}


def annotated(name, text):
    """A pod with one annotation."""
    return lambda number: (PODS, pod(number, {name: text(number)}))


def service(number, **spec):
    """A service."""
    return SERVICES, {"metadata": {"name": f"hostile{number}"}, "spec": {"ports": [{"port": 80}], **spec}}


def externals(number):
    """A service with more addresses than anybody has."""
    return service(number, externalIPs=[f"77.{number}.{one // 250}.{one % 250 + 1}" for one in range(20_000)])


def ports(number):
    """A service with ports and addresses, each of which is an address for a balancer."""
    numbers = [{"name": f"p{one}", "port": one + 1, "protocol": "TCP"} for one in range(2_000)]
    return service(number, ports=numbers, externalIPs=[f"78.{number}.0.{one + 1}" for one in range(200)])


def endpoints(number):
    """A slice of the largest size, of a service with as many ports and addresses as are served."""
    if number == 0:
        numbers = [{"name": f"p{one}", "port": one + 1, "protocol": "TCP"} for one in range(100)]
        return service(0, ports=numbers, externalIPs=[f"78.0.0.{one + 1}" for one in range(10)])
    whole = [{"addresses": [f"79.{number}.{one // 250}.{one % 250 + 1}"]} for one in range(1_000)]
    numbers = [{"name": f"p{one}", "port": one + 1, "protocol": "TCP"} for one in range(100)]
    labels = {"kubernetes.io/service-name": "hostile0-endpoints"}
    meta = {"name": f"hostile{number}", "labels": labels}
    return SLICES, {"metadata": meta, "addressType": "IPv4", "endpoints": whole, "ports": numbers}


def node(number):
    """A node with a strange name, and with as many labels as fit."""
    labels = {f"{one:x}.{'x' * 50}/{'y' * 50}": "z" * 60 for one in range(LARGEST // 190)}
    return NODES, {"metadata": {"name": f"join.ovn-cluster-router.{'a' * 200}{number}", "labels": labels}}


def containers(number):
    """A pod with very many host ports, at what is no address."""
    many = [{"containerPort": one % 65_000 + 1, "hostIP": "x; drop"} for one in range(4_000)]
    return PODS, pod(number, containers=[{"name": "c", "image": "i", "ports": many}])


KINDS = {
    "addresses": annotated(
        "k8s.ovn.org/pod-networks", lambda number: json.dumps({"default": {"ip_addresses": addresses(number)}})
    ),
    "brackets": annotated("ovn", lambda number: "[" * SIZE),
    "quantity": annotated("kubernetes.io/egress-bandwidth", lambda number: "9" * SIZE),
    "uid": annotated("ovn.kubernetes/pod-uid", lambda number: "u" * SIZE),
    "mirror": annotated("kubernetes.io/config.mirror", lambda number: "m" * SIZE),
    "containers": containers,
    "externals": externals,
    "ports": ports,
    "endpoints": endpoints,
    "nodes": node,
}


class Pulse(threading.Thread):
    """Asks the watcher's loop again and again.

    :ivar longest: seconds of the slowest answer.
    """

    def __init__(self, watcher):
        super().__init__(daemon=True)
        self.watcher, self.longest, self.ended = watcher, 0.0, threading.Event()

    def run(self):
        """Ask until the end."""
        while not self.ended.wait(0.02):
            began = time.monotonic()
            if self.watcher.get("/healthz")[0]:
                self.longest = max(self.longest, time.monotonic() - began)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_error):
        self.ended.set()
        self.join()


@contextlib.contextmanager
def deep(world):
    """A pod with managed fields that are nested deep: the API server keeps them as they are, and json gives up."""
    fields = '{"f:a":' * 3000 + "{}" + "}" * 3000
    entry = {"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": "DEEP"}
    body = pod("-deep")
    body["metadata"]["managedFields"] = [entry]

    def request(method, path, text):
        context = ssl.create_default_context(cafile=str(world.api.ca_file))
        connection = http.client.HTTPSConnection("127.0.0.1", world.api.port, timeout=20, context=context)
        headers = {"Authorization": f"Bearer {world.api.admin}", "Content-Type": "application/json"}
        with contextlib.closing(connection):
            connection.request(method, path, text, headers)
            return connection.getresponse().status

    assert request("POST", PODS, json.dumps(body).replace('"DEEP"', fields)) == 201
    try:
        yield
    finally:
        assert request("DELETE", f"{PODS}/hostile-deep", '{"gracePeriodSeconds": 0}') == 200


def serves(world, watcher, name):
    """A good pod is served in a moment, and all is done in the end."""
    began = time.monotonic()
    world.api.add_pod(name, "node2")
    world.annotated(name)
    took = time.monotonic() - began
    wait_for(watcher.idle, "the watcher to be done", 60)
    return took


def test_hostile_objects_beside_a_good_pod(world):
    """Protects a good pod, the loop, memory and a restart from objects of all kinds, several of each."""
    watcher = world.watch()
    memory = watcher.memory()
    with deep(world), Pulse(watcher) as pulse:
        for kind, make in KINDS.items():
            for number in range(2):
                path, body = make(number)
                body["metadata"]["name"] += f"-{kind}"
                world.api.create(path, body)
        first = serves(world, watcher, "good")
        watcher.stop()
        watcher.start(wait=False)
        second = serves(world, watcher, "good2")
    assert watcher.memory() < memory + MEMORY
    assert first < MOMENT and second < MOMENT + START and pulse.longest < SILENCE
