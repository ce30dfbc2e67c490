# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""One round of ovn-k8s-egress on a Northbound database, with the answers that a test says."""

from __future__ import annotations

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.connection import Connection
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.converge import converge_rows, read_rows
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.egress import (
    QUERIES,
    Egress,
    Selected,
    egress_gateways,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.egress_health import Health, select


def check(nb, *dead, away=(), begins=True):
    """Return the lines of the plan of one round of the check.

    After it these gateways are dead, and the next hops of those do not answer.
    """

    def connect():
        return Connection(nb.remote, "OVN_Northbound")

    connection = connect()
    found = egress_gateways(read_rows(connection, QUERIES))
    connection.close()
    health = {address: Health(one.name not in dead, answered=True) for one in found for address in one.router_ips}
    health |= {
        address: Health(one.name not in (*dead, *away), answered=True) for one in found for address in one.probe_ips
    }
    families = select(found, health)
    return [
        item.describe()
        for item in converge_rows(
            connect, Egress(tuple(Selected(one, families[one.name]) for one in found), begins), "check"
        ).plan
    ]
