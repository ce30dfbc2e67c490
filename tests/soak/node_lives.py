# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Nodes that join the overlay, are renamed, and leave: their rows and their objects; there is no host behind them."""

from __future__ import annotations

import itertools

from database_server import wait_for
from northbound import node_settings

PODS = "/api/v1/namespaces/ns/pods"
NUMBER = 9  # of the node's subnet
PATIENCE = 100.0  # seconds: at full speed everything is late
LIVES = 12  # pods of one life of a node


class NodeLives:
    """One node after the other."""

    def __init__(self, overlay, chance, number, churn, addresses):
        self._northbound, self._api = overlay.northbound, overlay.kubernetes.client()
        self._chance, self._churn = chance, churn
        self._names = (f"worker-{count}" for count in itertools.count())
        self._pod_names = (f"far-{count}" for count in itertools.count())
        self._name, self._pods, self._age = None, [], 0

    def turn(self):
        """The node comes, gets pods, is renamed, or goes, in this order."""
        self._age += 1
        if self._name is None:
            self._join(next(self._names))
            self._age = 0
        elif self._age >= LIVES:
            self.end()
        elif self._age == LIVES // 2:
            self._rename(next(self._names))
        else:
            self._pods.append(next(self._pod_names))
            self._api.add_pod(self._pods[-1], self._name, "ns")
            self._churn.done["pods of other nodes"] += 1

    def end(self):
        """The node goes, its pods before it."""
        if self._name is None:
            return
        self._drain()
        self._api.delete(f"/api/v1/nodes/{self._name}")
        self._northbound.remove_node(self._name)
        self._name = None

    def _join(self, name):
        self._converge(name)
        self._name = name
        self._api.add_node(name, f"10.44.0.{self._chance.randrange(100, 200)}")
        self._churn.done["nodes"] += 1

    def _converge(self, name):
        settings = node_settings(NUMBER, dual=True, node_name=name)
        self._northbound.call("ovn_minion_init", dual=True, **settings)

    def _drain(self):
        """All pods go, once all of them have their ports: what comes later would hold the node."""
        names = {f"ns_{name}" for name in self._pods}
        wait_for(lambda: self._ports() == names, f"the ports of node {self._name}", PATIENCE)
        for name in self._pods:
            self._api.delete(f"{PODS}/{name}")
        self._pods.clear()
        wait_for(lambda: not self._ports(), f"the ports of node {self._name} to go", PATIENCE)

    def _ports(self):
        rows = self._northbound.rows("Logical_Switch_Port", ["external_ids", "includes", ["map", [["pod", "true"]]]])
        return {row["name"] for row in rows if row["name"].startswith("ns_far-")}

    def _rename(self, name):
        """The same host comes back under another name; kubelet makes another Node, and the old one is deleted."""
        self._drain()
        self._converge(name)
        old, self._name = self._name, name
        self._api.delete(f"/api/v1/nodes/{old}")
        self._api.add_node(name, f"10.44.0.{self._chance.randrange(100, 200)}")
        self._churn.done["nodes renamed"] += 1
