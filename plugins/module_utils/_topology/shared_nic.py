# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read what the flows of a shared NIC are made from: the host's Open_vSwitch database and the Southbound database."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from .._common import addressing, names
from .._common.errors import BridgeIncomplete
from .._ovsdb.values import as_set
from .flows import ServiceEndpoint, SharedNic, Tunnel

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from .._ovsdb.rows import CurrentRow

LOCAL_TABLES = {
    "Open_vSwitch": ("external_ids",),
    "Bridge": ("name", "ports", "datapath_type", "external_ids"),
    "Port": ("name", "interfaces", "external_ids"),
    "Interface": ("name", "type", "ofport", "mac_in_use"),
}
SOUTHBOUND_TABLES = {
    "Load_Balancer": ("vips", "protocol", "options"),
    "Chassis_Template_Var": ("chassis", "variables"),
    "Address_Set": ("name", "addresses"),
}
GENEVE_PORT = 6081  # RFC 8926
HIGHEST_PORT = 65535
LOCALNET_KEY = "ovn-localnet-port"  # ovn-controller(8)
# A virtual address with its port. An IPv6 address has no brackets where a template variable stands for it.
VIP = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f:.]+):(\d{1,5})", re.ASCII)
TEMPLATE_VARIABLE = re.compile(r"\^(\w+)")  # ovn-nb(5), Chassis_Template_Var


def shared_nic(
    tables: Mapping[str, Mapping[str, CurrentRow]],
    bridge: str,
    nic: str | None,
    addresses: Collection[str],
    services: tuple[ServiceEndpoint, ...],
    takes_up: bool = False,
    hosts: tuple[str, ...] = (),
) -> SharedNic | None:
    """Return what the flows of a bridge are made from.

    :param tables: table -> UUID -> row, of :data:`LOCAL_TABLES`.
    :param bridge: the bridge's name.
    :param nic: the NIC in it; None: the one that the bridge was made for.
    :param addresses: the host's addresses on the bridge, without prefix length.
    :param services: what the gateway router balances at this NIC.
    :param takes_up: whether the kernel's conntrack takes up connections in their middle.
    :param hosts: the cluster's other hosts, by address.
    :returns: None while the gateway router has no port on the bridge: the host then has the NIC alone.
    :raises BridgeIncomplete: the bridge does not exist, or the NIC is not in it.
    """
    row = next((one for one in tables["Bridge"].values() if one.name == bridge), None)
    if row is None:
        raise BridgeIncomplete(
            f"physical-bridge {bridge} does not exist: move the NIC into it (nics_to_bridge), "
            "or name the bridge that the NIC is in"
        )
    nic = nic or row.external_id(names.UPLINK_KEY)
    ports = [tables["Port"][uuid] for uuid in as_set(row.columns["ports"]) if uuid in tables["Port"]]
    interfaces = {
        tables["Interface"][uuid].name: (port, tables["Interface"][uuid])
        for port in ports
        for uuid in as_set(port.columns["interfaces"])
        if uuid in tables["Interface"]
    }
    if nic not in interfaces:
        raise BridgeIncomplete(
            f"physical-interface {nic} is not in bridge {bridge}: move it there (nics_to_bridge), "
            "or name the NIC that is"
        )
    patch_ports = [
        interface
        for port, interface in interfaces.values()
        if (port.external_id(LOCALNET_KEY) or "").startswith(names.external_port(bridge, ""))
    ]
    mac = as_set(interfaces[bridge][1].columns["mac_in_use"]) if bridge in interfaces else ()
    nic_number = _openflow_number(interfaces[nic][1])
    patch_number = _openflow_number(patch_ports[0]) if patch_ports else None
    if not nic_number or not patch_number or not mac:
        return None
    in_kernel = row.columns["datapath_type"] != "netdev"
    tunnels = _tunnels(tables, addresses)
    drops_invalid = in_kernel and takes_up
    return SharedNic(nic_number, patch_number, mac[0], tuple(addresses), tunnels, services, drops_invalid, hosts)


def _tunnels(tables: Mapping[str, Mapping[str, CurrentRow]], addresses: Collection[str]) -> tuple[Tunnel, ...]:
    """Return the overlay's tunnels that end at one of the addresses."""
    settings = next(iter(tables["Open_vSwitch"].values()), None)
    encap_ips = settings.columns["external_ids"].get("ovn-encap-ip", "") if settings else ""
    return tuple(Tunnel(ip, GENEVE_PORT) for ip in encap_ips.split(",") if ip in addresses)


def _openflow_number(interface: CurrentRow) -> int | None:
    """Return an interface's OpenFlow port number; None while it has none."""
    number = as_set(interface.columns["ofport"])
    return number[0] if number and number[0] > 0 else None


def services(
    balancers: Iterable[CurrentRow],
    variables: Iterable[CurrentRow],
    chassis: str | None,
    addresses: Collection[str],
    overlay_networks: Iterable[str] | None = None,
    listens: Callable[[str, str, int], bool] = lambda _protocol, _address, _port: False,
) -> tuple[ServiceEndpoint, ...]:
    """Return what load balancers serve to the physical network.

    :param balancers: rows of the Southbound table Load_Balancer.
    :param variables: rows of the Southbound table Chassis_Template_Var.
    :param chassis: the host's system-id.
    :param addresses: the host's addresses: a load balancer there, such as a node port, is the router's.
    :param overlay_networks: networks whose addresses only the overlay uses, such as that of the services;
        None: not known, so only the host's own addresses count.
    :param listens: whether a program of the host has a port (protocol, address, number), which then stays the host's.
    """
    values = {
        name: value
        for row in variables
        if row.columns["chassis"] == chassis
        for name, value in row.columns["variables"].items()
    }
    networks = [ipaddress.ip_network(network) for network in overlay_networks or ()]
    endpoints: dict[ServiceEndpoint, bool] = {}  # and whether one of the balancers keeps the client's address
    for row in balancers:
        protocol = (as_set(row.columns["protocol"]) or ("tcp",))[0]
        keeps_client = row.map_value("options", "skip_snat") == "true"
        for vip in row.columns["vips"]:
            match = VIP.fullmatch(TEMPLATE_VARIABLE.sub(lambda variable: values.get(variable[1], ""), vip))
            if match is None:
                continue
            address, port = addressing.unicast(match[1].strip("[]")), int(match[2])
            if address is None or not 0 < port <= HIGHEST_PORT:  # northd passes on what anybody has written
                continue
            ip = ipaddress.ip_address(address)
            in_overlay = any(ip.version == network.version and ip in network for network in networks)
            endpoint = ServiceEndpoint(address, protocol, port)
            if endpoint.address in addresses:
                is_routers = not listens(protocol, endpoint.address, endpoint.port)
            else:
                is_routers = overlay_networks is not None and not in_overlay
            if is_routers:
                endpoints[endpoint] = endpoints.get(endpoint, False) or keeps_client
    return tuple(sorted(endpoint._replace(keeps_client=keeps) for endpoint, keeps in endpoints.items()))


def other_hosts(address_sets: Iterable[CurrentRow], addresses: Collection[str]) -> tuple[str, ...]:
    """Return the addresses of the cluster's other hosts, as the watcher keeps them for all.

    :param address_sets: rows of the Southbound table Address_Set.
    :param addresses: this host's.
    """
    written = [
        text
        for row in address_sets
        if row.name in names.HOST_ADDRESSES.values()
        for text in as_set(row.columns["addresses"])
    ]
    hosts = {addressing.unicast(text) for text in written}  # northd passes on what anybody has written
    return tuple(sorted(one for one in hosts if one is not None and one not in addresses))
