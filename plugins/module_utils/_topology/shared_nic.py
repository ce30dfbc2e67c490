# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the flows of a shared NIC are made from, out of the host's Open_vSwitch database and the Southbound database."""

from __future__ import annotations

import ipaddress
import re

from .._common import names
from .._ovsdb.rows import as_set
from .flows import SharedNic

LOCAL_TABLES = {
    "Open_vSwitch": ("external_ids",),
    "Bridge": ("name", "ports", "external_ids"),
    "Port": ("name", "interfaces", "external_ids"),
    "Interface": ("name", "type", "ofport", "mac_in_use"),
}
SOUTHBOUND_TABLES = {
    "Load_Balancer": ("vips", "protocol"),
    "Chassis_Template_Var": ("chassis", "variables"),
}
TUNNEL_PORT = 6081  # RFC 8926
LOCALNET_KEY = "ovn-localnet-port"  # ovn-controller(8)
VIRTUAL = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9.]+):(\d+)")
VARIABLE = re.compile(r"\^(\w+)")


class NotThere(Exception):
    """The bridge can't be a shared gateway's, and why, as a sentence."""


def shared_nic(tables, bridge, nic, addresses, services):
    """The shared NIC; None while the gateway router has no port on the bridge, and so nothing is to be parted.

    :param tables: table -> rows by uuid, of LOCAL_TABLES.
    :param nic: None: the one that the bridge was made for.
    :param addresses: the host's own on the bridge.
    :raises NotThere: when the bridge or the NIC in it is missing.
    """
    row = next((one for one in tables["Bridge"].values() if one.name == bridge), None)
    if row is None:
        raise NotThere(
            f"physical-bridge {bridge} does not exist: move the NIC into it (nics_to_bridge), or name the bridge that the NIC is in"
        )
    nic = nic or row.key(names.UPLINK_KEY)
    ports = [tables["Port"][uuid] for uuid in as_set(row.columns["ports"]) if uuid in tables["Port"]]
    links = {
        tables["Interface"][uuid].name: (port, tables["Interface"][uuid])
        for port in ports
        for uuid in as_set(port.columns["interfaces"])
        if uuid in tables["Interface"]
    }
    if nic not in links:
        raise NotThere(
            f"physical-interface {nic} is not in bridge {bridge}: move it there (nics_to_bridge), or name the NIC that is"
        )
    router = [
        link
        for port, link in links.values()
        if (port.key(LOCALNET_KEY) or "").startswith(names.external_port(bridge, ""))
    ]
    numbers = [_number(link) for link in (links[nic][1], *router)]
    mac = as_set(links[bridge][1].columns["mac_in_use"]) if bridge in links else ()
    if len(numbers) < 2 or not all(numbers[:2]) or not mac:
        return None
    external_ids = next(iter(tables["Open_vSwitch"].values())).columns["external_ids"] if tables["Open_vSwitch"] else {}
    tunnels = tuple((ip, TUNNEL_PORT) for ip in external_ids.get("ovn-encap-ip", "").split(",") if ip in addresses)
    return SharedNic(numbers[0], numbers[1], mac[0], tuple(addresses), tunnels, services)


def _number(link):
    """A port's OpenFlow number, None while it has none."""
    number = as_set(link.columns["ofport"])
    return number[0] if number and number[0] > 0 else None


def services(balancers, variables, chassis, addresses, inner=None):
    """(address, protocol, port) of each load balancer that takes its packets from outside.

    :param balancers, variables: rows of SOUTHBOUND_TABLES.
    :param addresses: the host's own: what is balanced there is the router's, such as node ports.
    :param inner: networks whose addresses are for the inside alone, such as the services'; None: not known, so only own addresses count.
    """
    here = {
        name: value
        for row in variables
        if row.columns["chassis"] == chassis
        for name, value in row.columns["variables"].items()
    }
    networks = [ipaddress.ip_network(one) for one in inner or ()]
    found = set()
    for row in balancers:
        protocol = (as_set(row.columns["protocol"]) or ("tcp",))[0]
        for virtual in row.columns["vips"]:
            match = VIRTUAL.fullmatch(VARIABLE.sub(lambda variable: here.get(variable[1], ""), virtual))
            if match is None:
                continue
            ip = ipaddress.ip_address(match[1].strip("[]"))
            outside = inner is not None and not any(
                ip.version == network.version and ip in network for network in networks
            )
            if str(ip) in addresses or outside:
                found.add((str(ip), protocol, int(match[2])))
    return tuple(sorted(found))
