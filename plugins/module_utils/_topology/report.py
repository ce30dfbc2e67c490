# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the databases hold of the overlay: the result of ovn_info, from which the controller plans subnets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .._common import addressing, names
from .._ovsdb import access
from .._ovsdb.connection import Connection
from .._ovsdb.converge import read_rows
from .._ovsdb.rows import Query, includes
from .._ovsdb.values import as_set
from . import drain, egress_rows

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .._ovsdb.access import Access
    from .._ovsdb.rows import CurrentRow

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
        (includes("external_ids", dict(OURS, **{names.OWNER_TYPE: "Gateway"})),),
        ("networks", "mac", "external_ids"),
    ),
    Query(
        "Logical_Router_Port",
        (includes("external_ids", dict(OURS, **{names.OWNER_TYPE: "Node"})),),
        ("networks", "external_ids"),
    ),
    drain.PORTS,
)
SOUTHBOUND = (
    Query("Chassis", (), ("name", "hostname")),
    Query("Encap", (), ("chassis_name", "ip")),
)


def read_overlay(
    northbound: str | None, southbound: str | None, database_file: str, timeout: float = 10.0
) -> dict[str, Any]:
    """Return ``nodes``, ``gateways``, ``chassis`` and ``leftover_subnets``, each a dictionary by name, and
    ``pods_marked``, whether ports say which pods a drain leaves.

    :param northbound: remote of the Northbound database; None: where this master finds it.
    :param southbound: remote of the Southbound database; None: the same.
    :param database_file: the Northbound database's file. While it is missing and the remote is this host's socket,
        OVN has never run here, and the overlay is empty.
    :param timeout: seconds for connecting, and for each reply.
    :raises DatabaseError: a database can't be read.
    """
    north, south = access.northbound(northbound), access.southbound(southbound)
    if not os.path.exists(database_file) and north.remote == names.NORTHBOUND_SOCKET:
        return {"nodes": {}, "gateways": {}, "chassis": {}, "leftover_subnets": {}, "pods_marked": False}
    rows = _read(north, names.NORTHBOUND, NORTHBOUND, timeout)
    registered = chassis(_read(south, names.SOUTHBOUND, SOUTHBOUND, timeout))
    found = nodes(rows)
    pods = drain.pods_by_node({net: [net] for node in found.values() for net in node["subnets"]}, ports(rows))
    for node in found.values():
        node["pods"] = {
            net: {"count": len(pods[net]), "some": pods[net][: drain.SHOWN]} for net in node["subnets"] if net in pods
        }
        node["encap_ips"] = registered.get(node["chassis"], {}).get("encap_ips", [])
    return {
        "nodes": found,
        "gateways": gateways(rows),
        "chassis": registered,
        "leftover_subnets": leftover_subnets(rows),
        "pods_marked": drain.are_marked(ports(rows)),
    }


def _read(where: Access, database: str, queries: Iterable[Query], timeout: float) -> list[CurrentRow]:
    connection = Connection(where.remote, database, timeout, where.tls)
    try:
        rows: list[CurrentRow] = read_rows(connection, queries)
        return rows
    finally:
        connection.close()


def ports(rows: Iterable[CurrentRow]) -> list[CurrentRow]:
    """Return the ports of pods."""
    return [row for row in rows if row.table == "Logical_Switch_Port"]


def nodes(rows: Iterable[CurrentRow]) -> dict[str, dict[str, Any]]:
    """Return node name -> its subnets and chassis, from rows of the Northbound database."""
    return {
        str(row.external_id(names.OWNER_NAME)): {
            "subnets": _split(row.external_id(names.SUBNETS_KEY)),
            "chassis": row.external_id(names.CHASSIS_KEY),
        }
        for row in rows
        if row.role == "switch"
    }


def leftover_subnets(rows: Iterable[CurrentRow]) -> dict[str, list[str]]:
    """Return node name -> the subnets of its port of the cluster router, of each node whose switch is gone.

    Whoever deletes the switch leaves that port: with it the node's pods can have the subnet again that they had.
    """
    rows = list(rows)
    with_switch = nodes(rows)
    ports = {
        str(row.external_id(names.OWNER_NAME)): [
            str(addressing.interface(cidr).network) for cidr in as_set(row.columns["networks"])
        ]
        for row in rows
        if row.table == "Logical_Router_Port" and row.role == "router-to-switch"
    }
    return {name: subnets for name, subnets in ports.items() if name not in with_switch}


def gateways(rows: Iterable[CurrentRow]) -> dict[str, dict[str, Any]]:
    """Return node name -> its gateway, from rows of the Northbound database.

    A gateway has its addresses on the physical network and on the join switch, its MAC on the physical network and its
    NIC's MTU, its chassis, whether it carries default traffic, and how many slots of the pods' addresses it has, of 256
    for each IP version that it carries.
    """
    rows = list(rows)
    ports = [row for row in rows if row.table == "Logical_Router_Port"]
    join_ips = {
        str(row.external_id(names.OWNER_NAME)): [cidr.split("/")[0] for cidr in as_set(row.columns["networks"])]
        for row in ports
        if row.role == "router-to-join"
    }
    outer = {str(row.external_id(names.OWNER_NAME)): row for row in ports if row.role == "router-to-external"}
    return {
        str(row.external_id(names.OWNER_NAME)): {
            "physical_ips": _split(row.external_id(names.PHYSICAL_IPS_KEY)),
            "join_ips": join_ips.get(str(row.external_id(names.OWNER_NAME)), []),
            "chassis": row.map_value("options", "chassis"),
            **_outer_port(outer.get(str(row.external_id(names.OWNER_NAME)))),
            "alive": row.external_id(names.EGRESS_KEY) != "down",
            "slots": _slots(row),
        }
        for row in rows
        if row.table == "Logical_Router" and row.role == "router"
    }


def _slots(router: CurrentRow) -> dict[str, int]:
    """Return IP version -> the number of a gateway's slots, of the versions that it has next hops of and that are not
    marked as down."""
    versions = {addressing.family(hop) for hop in _split(router.external_id(names.NEXT_HOPS_KEY))}
    shares = egress_rows.shares_of(router.columns["external_ids"])
    return {
        f"IPv{version}": len(shares[version].slots) if version in shares else 0
        for version in sorted(versions - egress_rows.parse_down_mark(router.external_id(names.EGRESS_KEY)))
    }


def _outer_port(port: CurrentRow | None) -> dict[str, Any]:
    """Return what a gateway's port has of its NIC."""
    if port is None:
        return {"mac": None, "mtu": None}
    mtu = port.external_id(names.PHYSICAL_MTU_KEY) or ""
    return {"mac": port.columns["mac"], "mtu": int(mtu) if mtu.isdecimal() else None}


def chassis(rows: Iterable[CurrentRow]) -> dict[str, dict[str, Any]]:
    """Return system-id -> host name and tunnel addresses of each registered chassis, from the Southbound database."""
    rows = list(rows)
    encap_ips: dict[str, set[str]] = {}
    for row in rows:
        if row.table == "Encap":
            encap_ips.setdefault(row.columns["chassis_name"], set()).add(row.columns["ip"])
    return {
        str(row.name): {"hostname": row.columns["hostname"], "encap_ips": sorted(encap_ips.get(str(row.name), ()))}
        for row in rows
        if row.table == "Chassis"
    }


def _split(text: str | None) -> list[str]:
    """Return the members of a comma-separated text."""
    return [item for item in (text or "").split(",") if item]
