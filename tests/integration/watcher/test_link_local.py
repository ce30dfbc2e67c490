# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects link-local addresses of hosts (NodeLocal DNSCache): a real API server says who may tell of them, and a real
ovn-northd makes the pods' way of the watcher's rows.
"""

from __future__ import annotations

import re

import pytest
from database_server import wait_for
from kubernetes_server import Refused
from northd import Northd

CACHE, METADATA = "169.254.25.10", "169.254.169.254"
KEY = "ovn.kubernetes/link-local-addresses"


@pytest.fixture
def northd(world):
    """ovn-northd, and a pod on each node."""
    made = Northd(world.nb)
    made.macs = {node: made.pod(f"pod{node}", node, f"192.168.{node}.3") for node in (1, 2)}
    yield made
    made.remove()


def way(northd, node, destination):
    """Where a pod's packet leaves the overlay; empty: it is dropped."""
    northd.sync()
    router = northd.nbctl("get", "Logical_Router_Port", f"rtos-node{node}", "mac").strip().strip('"')
    packet = (
        f'inport == "pod{node}" && eth.src == {northd.macs[node]} && eth.dst == {router} && ip.ttl == 64 && '
        f"ip4.src == 192.168.{node}.3 && ip4.dst == {destination} && udp && udp.src == 40000 && udp.dst == 53"
    )
    return set(re.findall(r'output to "([^"]*)", type "(?:localnet)?"', northd.trace(f"node{node}", packet)))


def tell(world, node, text, by=None):
    """Annotate a node as its kubelet may, or as another one tries."""
    body = {"metadata": {"annotations": {KEY: text}}}
    world.api.patch(f"/api/v1/nodes/{node}/status", body, world.api.node_token(by or node))


def test_each_pod_reaches_its_own_host(world, northd):
    """Protects pods' name resolution on clusters whose cache has a link-local address, kubespray's default: each pod
    reaches its own host, none another one's, and clouds' metadata is not opened by a host that tells of it.
    """
    before = {node: way(northd, node, METADATA) for node in (1, 2)}
    for node in ("node1", "node2"):
        world.api.add_node(node)
    world.watch()
    tell(world, "node2", f"{CACHE},{METADATA}")
    wait_for(lambda: way(northd, 2, CACHE) == {"k8s-node2"}, f"the way to the cache\n{world.logs()}")
    assert way(northd, 1, CACHE) == set(), "a pod reaches another host's"
    with pytest.raises(Refused):
        tell(world, "node1", CACHE, by="node2")
    tell(world, "node1", CACHE)
    wait_for(lambda: way(northd, 1, CACHE) == {"k8s-node1"}, "the way to the cache of the other node")
    assert way(northd, 2, CACHE) == {"k8s-node2"} and before == {node: way(northd, node, METADATA) for node in (1, 2)}
    world.nb.call("ovn_gateway", state="absent", gateways=[{"node_name": "node1"}, {"node_name": "node2"}])
    world.nb.call("ovn_minion_init", state="absent", nodes=[{"node_name": "node1"}])
    wait_for(lambda: way(northd, 2, CACHE) == {"k8s-node2"}, "the way without gateways, and without the first host")
    tell(world, "node2", None)
    wait_for(lambda: way(northd, 2, CACHE) == set(), "the way to go")
