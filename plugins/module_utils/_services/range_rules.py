# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who may reach the addresses of a service that some sources only may reach (``loadBalancerSourceRanges``).

Load balancers look at destinations only. So ACLs drop the packets of all other clients before: at the switch of a pod,
where its own address is judged, and at the switch between the physical network and a gateway router. They are those of
one port group (ovn-nb(5), Port_Group), in which each switch has a port: a service has the same rows in any cluster. A
switch or router gets the load balancer group with these addresses together with its port in the port group, so none
balances them that does not restrict them. A port that is made anew is a new member: whoever makes it, the modules for
cluster, nodes and gateways, puts it into the port group in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .._common import names
from .._ovsdb.rows import Owner, Ref, Row, SetMembers
from . import host
from .addresses import of_version
from .host import Host
from .model import PROTOCOLS, Service

GROUP = "Port_Group"
ALLOW, DROP = 1002, 1001  # priorities
# Type of a port's owner -> the role of the port that is in the port group. Gateway routers balance what comes from the
# join switch too.
PORT_ROLES = {"Cluster": "join-to-router", "Node": "switch-to-router", "Gateway": "external-to-router"}


def rows(service: Service, owner: Owner) -> list[Row]:
    """Return the ACLs of a service: for each protocol and IP version, let its ranges pass, and drop all else."""
    return [
        row
        for protocol in map(str.lower, PROTOCOLS)
        for version in (4, 6)
        for row in _of_protocol(service, owner, protocol, version)
    ]


def _of_protocol(service: Service, owner: Owner, protocol: str, version: int) -> Iterator[Row]:
    destinations: dict[tuple[str, ...], list[int]] = {}  # addresses -> ports that all of them serve
    for port in service.ports:
        if port.protocol.lower() == protocol:
            served = of_version(service.external_ips_of(port), version)
            restricted = tuple(ip for ip in served if service.ranges_of(ip) is not None)
            if restricted:
                destinations.setdefault(restricted, []).append(port.port)
    if not destinations:
        return
    to = " || ".join(
        f"(ip{version}.dst == {_set(addresses)} && {protocol}.dst == {_set(ports)})"
        for addresses, ports in destinations.items()
    )
    sources = of_version(service.source_ranges or (), version)
    for action, priority, match in (
        ("allow", ALLOW, f"ip{version}.src == {_set(sources)} && ({to})"),
        ("drop", DROP, to),
    ):
        yield Row(
            "ACL",
            owner,
            f"ranges-{action}-{protocol}-{version}",
            parent=names.RANGES_PORT_GROUP,
            parent_table=GROUP,
            columns={"direction": "from-lport", "priority": priority, "action": action, "match": match},
        )


def _set(members: tuple[str, ...] | list[str] | list[int]) -> str:
    return f"{{{', '.join(map(str, members))}}}"


def port_of(owner: Owner) -> str:
    """Return the port of an owner's switch that is in the port group."""
    if owner.type == "Cluster":
        return names.join_to_router(names.CLUSTER_ROUTER)
    return (names.switch_to_router if owner.type == "Node" else names.external_to_router)(owner.name)


def ports_row(owner: Owner, ports: Iterable[str]) -> Row:
    """Return the port group, which exists, with these ports."""
    return Row(GROUP, owner, "ranges-ports", names.RANGES_PORT_GROUP, columns={"ports": _ports(ports)}, kind="shared")


def _ports(ports: Iterable[str]) -> SetMembers:
    return SetMembers(tuple(Ref("Logical_Switch_Port", port) for port in ports))


def shared_rows() -> list[Row]:
    """Return what all hosts have together: the groups."""
    owner = host.owner(host.ALL)
    join = _ports([names.join_to_router(names.CLUSTER_ROUTER)])
    return [
        Row("Load_Balancer_Group", owner, "ranges-switches", names.LB_GROUP_SWITCHES_RANGES, kind="named"),
        Row("Load_Balancer_Group", owner, "ranges-routers", names.LB_GROUP_ROUTERS_RANGES, kind="named"),
        Row(GROUP, owner, "ranges", names.RANGES_PORT_GROUP, columns={"ports": join}, kind="known"),
    ]


def host_ports(one: Host) -> tuple[str, ...]:
    """Return the ports of a host's switches that are in the port group: of its own, and of its gateway's."""
    return tuple(port_of(Owner(kind, one.name)) for kind in ("Node", *(("Gateway",) if one.has_gateway else ())))


def host_rows(one: Host) -> list[Row]:
    """Return the members of the groups that are of one host: its switch, and its gateway's switch and router."""
    rows = [_member(one, "Logical_Switch", one.name, names.LB_GROUP_SWITCHES_RANGES)]
    if one.has_gateway:
        rows.append(_member(one, "Logical_Router", names.gateway_router(one.name), names.LB_GROUP_ROUTERS_RANGES))
    return [*rows, ports_row(one.owner, host_ports(one))]


def _member(one: Host, table: str, name: str, group: str) -> Row:
    groups = SetMembers((Ref("Load_Balancer_Group", group),))
    return Row(table, one.owner, "ranges", name, columns={"load_balancer_group": groups}, kind="shared")
