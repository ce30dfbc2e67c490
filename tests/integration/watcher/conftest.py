# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A watcher between a real API server and a real Northbound database.

There is no ovn-northd: what a watcher does must not wait for it (F5).
"""

from __future__ import annotations

import collections
import json

import pytest
from database_server import references, wait_for
from kubernetes_server import Refused
from northbound import Northbound
from watcher_process import Watcher

PODS, SERVICES = "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
APISERVER = "Service_default/kubernetes_TCP_cluster"


class World:
    """The database, the API server, and watchers between them."""

    def __init__(self, nb, kubernetes):
        self.nb, self.api = nb, kubernetes
        self.watchers = []

    def watcher(self, **more):
        """A watcher that is not started."""
        self.watchers.append(Watcher(self.nb.remote, self.api, **more))
        return self.watchers[-1]

    def watch(self, **more):
        """A watcher that acts."""
        watcher = self.watcher(**more).start()
        wait_for(watcher.acts, "the watcher to act")
        return watcher

    def pod(self, name):
        """A pod, None when there is none."""
        try:
            return self.api.get(f"{PODS}/{name}")
        except Refused:
            return None

    def annotation(self, name):
        """The pod's annotation ``ovn``, {} when it has none that can be parsed."""
        text = ((self.pod(name) or {}).get("metadata", {}).get("annotations") or {}).get("ovn")
        try:
            note = json.loads(text) if text else {}
        except ValueError:
            return {}
        return note if isinstance(note, dict) else {}

    def annotated(self, *names):
        """Wait until these pods have addresses; the addresses."""
        return [
            wait_for(
                lambda name=name: self.annotation(name).get("ip_address"), f"{name} to be annotated\n{self.logs()}"
            )
            for name in names
        ]

    def ports(self):
        """Name -> (row, its switch) of the pods' ports."""
        switches = {uuid: row["name"] for row in self.nb.rows("Logical_Switch") for uuid in references(row["ports"])}
        rows = self.nb.rows("Logical_Switch_Port", ["external_ids", "includes", ["map", [["pod", "true"]]]])
        return {row["name"]: (row, switches.get(row["_uuid"][1])) for row in rows}

    def remove_port(self, name, switch="node1"):
        """Remove a port from its switch: the database deletes it."""
        uuids = [row["_uuid"] for row in self.nb.rows("Logical_Switch_Port", ["name", "==", name])]
        self.nb.transact(
            {
                "op": "mutate",
                "table": "Logical_Switch",
                "where": [["name", "==", switch]],
                "mutations": [["ports", "delete", ["set", uuids]]],
            }
        )

    def balancers(self):
        """Name -> row of the services' load balancers; without the API server's own service, which exists
        everywhere."""
        return {row["name"]: row for row in self.nb.rows("Load_Balancer") if row["name"] != APISERVER}

    def api_server(self):
        """The virtual addresses of the API server's own service."""
        return {
            vip: backends
            for row in self.nb.rows("Load_Balancer", ["name", "==", APISERVER])
            for vip, backends in row["vips"][1]
        }

    def vips(self, name):
        """The virtual addresses of a load balancer."""
        return dict(self.balancers().get(name, {"vips": ["map", []]})["vips"][1])

    def slice(
        self, service, *addresses, name=None, port=8080, port_name="", node="node1", conditions=None, update=False
    ):
        """Make (or update) an endpoint slice."""
        name = name or f"{service}-1"
        body = {
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": service}},
            "addressType": "IPv6" if ":" in addresses[0] else "IPv4",
            "ports": [{"name": port_name, "port": port, "protocol": "TCP"}],
            "endpoints": [
                {"addresses": [one], "nodeName": node, "conditions": conditions or {"ready": True}} for one in addresses
            ],
        }
        return self.api.patch(f"{SLICES}/{name}", body) if update else self.api.create(SLICES, body)

    def service(self, name, **spec):
        """Make a service."""
        return self.api.create(SERVICES, {"metadata": {"name": name}, "spec": dict({"ports": [{"port": 80}]}, **spec)})

    def invariants(self, pods):
        """:raises AssertionError: unless each pod has one port on its node's switch, with one address nobody else has,
        and an annotation that says the same.
        """
        ports, addresses = self.ports(), collections.Counter()
        assert sorted(ports) == sorted(f"default_{name}" for name in pods)
        for name, node in pods.items():
            row, switch = ports[f"default_{name}"]
            mac, address = row["addresses"].split()
            addresses[address] += 1
            pod, note = self.pod(name), self.annotation(name)
            assert switch == node and dict(row["options"][1])["iface-id-ver"] == pod["metadata"]["uid"]
            assert (note["ip_address"].split("/")[0], note["mac_address"]) == (address, mac) and row[
                "port_security"
            ] == row["addresses"]
        assert not [address for address, count in addresses.items() if count > 1]

    def logs(self):
        """The logs of all watchers."""
        return "\n".join(watcher.text()[-3000:] for watcher in self.watchers if watcher.process is not None)

    def remove(self):
        """Stop everything."""
        for watcher in self.watchers:
            watcher.remove()
        self.nb.remove()


def made_world(kubernetes, **options):
    """A cluster of two nodes and one gateway, for a fixture."""
    nb = Northbound()
    nb.build(nodes=(1, 2), gateways=(1,), **options)
    one = World(nb, kubernetes)
    yield one
    one.remove()


@pytest.fixture
def world(kubernetes):
    """A cluster of two nodes and one gateway, without watcher."""
    yield from made_world(kubernetes)


@pytest.fixture
def dual_world(kubernetes):
    """The same with both IP versions."""
    yield from made_world(kubernetes, dual=True)
