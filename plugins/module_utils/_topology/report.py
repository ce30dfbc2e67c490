# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the databases tell of the overlay, for whoever plans or looks: pure, from the rows that the queries find."""

from __future__ import annotations

from .._common import names
from .._ovsdb.rows import Query, includes
from .._ovsdb.values import as_set

OURS = {names.OWNER_CONTROLLER: names.CONTROLLER}
NORTHBOUND = (
    Query("Logical_Switch", (includes("external_ids", dict(OURS, **{names.OWNER_TYPE: "Node"})),), ("external_ids",)),
    Query(
        "Logical_Router",
        (includes("external_ids", dict(OURS, **{names.OWNER_TYPE: "Gateway"})),),
        ("options", "external_ids"),
    ),
    Query(
        "Logical_Router_Port",
        (includes("external_ids", dict(OURS, **{names.OWNER_TYPE: "Gateway", names.JOIN_MARK: "yes"})),),
        ("networks", "external_ids"),
    ),
)
SOUTHBOUND = (
    Query("Chassis", (), ("name", "hostname")),
    Query("Encap", (), ("chassis_name", "ip")),
)


def nodes(rows):
    """Node name -> its subnets and chassis, as the Northbound database holds them."""
    return {
        row.external_id(names.OWNER_NAME): {
            "subnets": _list(row.external_id(names.SUBNETS_KEY)),
            "chassis": row.external_id(names.CHASSIS_KEY),
        }
        for row in rows
        if row.role == "switch"
    }


def gateways(rows):
    """Node name of each gateway -> its addresses outside and on the join switch, its chassis, and whether it carries default traffic."""
    joins = {
        row.external_id(names.OWNER_NAME): [cidr.split("/")[0] for cidr in as_set(row.columns["networks"])]
        for row in rows
        if row.table == "Logical_Router_Port"
    }
    return {
        row.external_id(names.OWNER_NAME): {
            "physical_ips": _list(row.external_id(names.PHYSICAL_IPS_KEY)),
            "join_ips": joins.get(row.external_id(names.OWNER_NAME), []),
            "chassis": row.map_value("options", "chassis"),
            "alive": row.external_id(names.EGRESS_KEY) != "down",
        }
        for row in rows
        if row.table == "Logical_Router" and row.role == "router"
    }


def chassis(rows):
    """System-id of each chassis that has registered -> its host name and its tunnel addresses."""
    tunnels = {}
    for row in rows:
        if row.table == "Encap":
            tunnels.setdefault(row.columns["chassis_name"], set()).add(row.columns["ip"])
    return {
        row.name: {"hostname": row.columns["hostname"], "encap_ips": sorted(tunnels.get(row.name, ()))}
        for row in rows
        if row.table == "Chassis"
    }


def _list(text):
    return [item for item in (text or "").split(",") if item]
