# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pods from what is said about others: annotations come before events. A real database, an API server that
takes everything.
"""

from __future__ import annotations

import asyncio
import json

import pytest
from database_server import Server, wait_for
from northbound import Northbound

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.tasks import end
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.settings import Settings
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs.cluster import Cluster
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs.datapaths import Datapaths

REFUSED = 400


class Api:
    """An API server that takes everything, and keeps what was asked for, in its order."""

    settings = Settings("http://127.0.0.1:1", service_subnets=("10.96.0.0/16",))
    server = settings.server

    def __init__(self):
        self.requests = []

    async def get(self, _path, **_query):
        """A list without members."""
        return {"metadata": {"resourceVersion": "1"}, "items": []}

    async def ready(self):
        """It can serve."""

    async def patch(self, _path, _body):
        """An annotation."""
        self.requests.append("annotation")
        return {}

    async def create(self, _path, body):
        """An event."""
        self.requests.append(body["reason"])
        return {}


@pytest.fixture
def northbound():
    """A database with one node."""
    nb = Northbound()
    nb.build(nodes=(1,))
    yield nb
    nb.remove()


def test_annotations_come_before_events(northbound):
    """Protects pods that can be served from hundreds that can't, which came before them."""

    async def main():
        api = Api()
        cluster = Cluster(api, northbound.remote)
        for informer in cluster.informers.values():
            informer.synced.set()
            informer.current = True
        for number in range(REFUSED + 20):
            meta = {"namespace": "ns", "name": f"p{number}", "uid": f"u{number}", "resourceVersion": "1"}
            spec = {"nodeName": "gone" if number < REFUSED else "node1", "containers": []}
            event = {"type": "ADDED", "object": {"metadata": meta, "spec": spec, "status": {}}}
            cluster.informers["pods"]._handle(event, "1")
        works = (cluster.replica.run(), cluster.engine.run(), cluster.leadership.run())
        tasks = [asyncio.create_task(work) for work in works]
        while api.requests.count("annotation") < 20 or len(api.requests) < 21:
            await asyncio.sleep(0.002)
        await end(tasks)
        await cluster.events.close()
        return api.requests

    requests = asyncio.run(asyncio.wait_for(main(), 60))
    assert requests[:20] == ["annotation"] * 20 and requests[20] == "NetworkNotReady"


def test_the_datapaths_of_hosts_are_followed():
    """Protects whoever chooses an affinity that the userspace datapath does not serve: the Southbound database says
    which hosts have it, the first of them and the end of the last one count.
    """
    server = Server("ovn-sb", "OVN_Southbound")

    def chassis(number, datapath):
        encap = {"op": "insert", "table": "Encap", "uuid-name": "e"}
        encap["row"] = {"chassis_name": f"id-{number}", "type": "geneve", "ip": f"10.0.0.{number}"}
        row = {"name": f"id-{number}", "encaps": ["named-uuid", "e"]}
        row["other_config"] = ["map", [["datapath-type", datapath]]]
        server.transact(encap, {"op": "insert", "table": "Chassis", "row": row})

    def remove(number):
        server.transact({"op": "delete", "table": "Chassis", "where": [["name", "==", f"id-{number}"]]})

    async def main():
        told = []
        datapaths = Datapaths(server.remote, told.append)
        task = asyncio.create_task(datapaths.run())

        async def until(expected):
            while told != expected:
                await asyncio.sleep(0.002)

        for number, datapath in enumerate(("system", "netdev", "netdev")):
            await asyncio.to_thread(chassis, number, datapath)
        await until([True])
        for number in range(3):
            await asyncio.to_thread(remove, number)
        await until([True, False])
        await end([task])

    try:
        asyncio.run(asyncio.wait_for(main(), 30))
    finally:
        server.remove()


def test_a_policy_is_not_enforced(world):
    """Protects whoever relies on a NetworkPolicy: an event on each says that it does nothing, once, also over a
    restart; verify counts them.
    """
    policies = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies"

    def make(name):
        body = {"metadata": {"name": name}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}
        return world.api.create(policies, body)["metadata"]["uid"]

    def told():
        found = world.api.items("/api/v1/namespaces/default/events")
        return [(one["reason"], one["involvedObject"]["kind"], one["involvedObject"]["uid"]) for one in found]

    first = make("deny")
    watcher = world.watch()
    second = make("deny-too")
    expected = sorted(("NetworkPolicyNotEnforced", "NetworkPolicy", uid) for uid in (first, second))
    wait_for(lambda: sorted(told()) == expected, "the events")
    watcher.stop()
    third = make("deny-all")
    watcher.start()
    expected = sorted((*expected, ("NetworkPolicyNotEnforced", "NetworkPolicy", third)))
    wait_for(lambda: sorted(told()) == expected, "one more event")
    (finding,) = json.loads(watcher.get("/findings")[1])
    assert (finding["subject"], finding["severity"]) == ("NetworkPolicy", "warning") and "3 of" in finding["wrong"]
