# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Hosts, and what they say of the masters' databases."""

from __future__ import annotations

from ansible_collections.ovn.kubernetes.plugins.filter.central_decision import central_decision
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._central import Central
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._inventory import Inventory

from .conftest import MASTER, NODE1, NODE2, Cluster, host_facts

ALL = [MASTER, NODE1, NODE2]
ADDRESS = {MASTER: "10.44.0.11", NODE1: "10.44.0.12", NODE2: "10.44.0.13"}


def member(host, of=ALL, **southbound):
    """What a host says of two databases that are members of clusters."""

    def state(port, **more):
        database = "OVN_Northbound" if port == 6643 else "OVN_Southbound"
        columns = ("ca-cert", "certificate", "private-key")
        members = [{"id": f"{ALL.index(one)}" * 4, "address": f"tcp:{ADDRESS[one]}:{port}"} for one in of]
        return {
            "model": "clustered",
            "running": True,
            "status": "member",
            "cluster_id": f"c{port}",
            "server_id": f"{ALL.index(host)}" * 4 + "-0",
            "address": f"tcp:{ADDRESS[host]}:{port}",
            "role": "leader" if host == of[0] else "follower",
            "leader": "self" if host == of[0] else f"{ALL.index(of[0])}" * 4,
            "members": members,
            "timer": 1500,
            "last": 7,
            "arguments": [f"--{name}=db:{database},SSL,{name.replace('-', '_')}" for name in columns],
            **more,
        }

    return {"northbound": state(6643), "southbound": state(6644, **southbound), "version": "3.1.0"}


def cluster(databases, masters=ALL, tls=False):
    made = Cluster()
    made.groups["ovn_masters"] = list(masters)
    for host in ALL:
        facts = {**host_facts(ADDRESS[host]), "ovn_kubernetes": {"central_databases": databases.get(host)}}
        made.on(host, ansible_facts=facts)
    made.everywhere(ovn_tls=tls)
    return made


def central(made, **more):
    return Central(Inventory(made.hostvars, made.groups, ALL), **more)


def decision(made, **more):
    return central_decision(made.hostvars, made.groups, ALL, **more)


def clustered(key):
    """The options of a cluster's member on the first master."""
    return [
        f"--db-{key}-cluster-{end}-{what}" for end in ("local", "remote") for what in ("addr=10.44.0.11", "proto=tcp")
    ]


def targets(made, **more):
    asked = central(made).asked(**more)
    return {key: [(one.target, one.role) for one in found] for key, found in asked.listeners.items()}
