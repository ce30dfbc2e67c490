# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What holds for a host when what was given, what the facts say and the defaults are put together. Private to the collection."""

from __future__ import annotations

import typing as t

from ..module_utils._common.addressing import GENEVE_OVERHEAD as OVERHEAD
from ..module_utils._common.names import SOUTHBOUND_PORT, management_link, uplink_bridge
from ._access import Access
from ._inventory import Inventory
from ._values import InventoryError, netaddr, parse_address, show
from ._variables import VARIABLES

JOIN = "ovn_join_subnet"
MINIMUM_MTU = {4: 68, 6: 1280}  # RFC 791, RFC 8200


def tunnel_address(inventory: Inventory, host: str) -> str:
    """The host's tunnel address; empty when it was not given, or not rightly, and the facts don't say."""
    if inventory.is_set(host, "ovn_encap_ip"):
        given = inventory.value_or_none(host, "ovn_encap_ip")
        return "" if given is None else str(given)
    return inventory.facts(host).default_address


def underlay_mtu(inventory: Inventory, host: str) -> int | None:
    """The MTU of the link that holds the tunnel address; None when the facts don't say."""
    address = parse_address(tunnel_address(inventory, host))
    link = inventory.facts(host).link_of(address) if address is not None else None
    return None if link is None else link.mtu


def join_subnets(inventory: Inventory) -> list:
    """The join networks of the cluster's families, in their order: what was given, and the defaults for what was not."""
    chosen = {network.version: network for network in map(netaddr.IPNetwork, VARIABLES[JOIN].default)}
    chosen.update((network.version, network) for network in inventory.cluster_value(JOIN) or [])
    return [chosen[network.version] for network in inventory.cluster_value("ovn_cluster_subnet") or []]


class Cluster:
    """What all hosts have in common, worked out once."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self.cluster_subnets = inventory.cluster_value("ovn_cluster_subnet")
        if not self.cluster_subnets:
            raise InventoryError(
                'ovn_cluster_subnet is not set: set it for all hosts, like "192.168.0.0/16"',
                inventory.hosts[0] if inventory.hosts else "",
            )
        if not inventory.masters:
            raise InventoryError("ovn_masters has no host: put the host that is to hold OVN's databases into it")
        self.service_subnets = inventory.cluster_value("ovn_service_subnet") or []
        self.join_subnets = join_subnets(inventory)
        self.encap_type = inventory.cluster_value("ovn_encap_type") or VARIABLES["ovn_encap_type"].default
        self.tls = bool(inventory.cluster_value("ovn_tls"))
        self.access = Access(inventory)
        self._mtu = inventory.cluster_value("ovn_mtu")
        self._remote = ""

    @property
    def mtu(self) -> int:
        """What was given, or what fits through the narrowest underlay of all hosts.

        While some hosts' facts are not known, it does not rise above what the network has now, since one of them may be the narrowest.
        """
        if self._mtu is None:
            known, now = [], []
            for host in self._inventory.hosts:
                under = underlay_mtu(self._inventory, host)
                has = self._inventory.facts(host).mtu_of(management_link(self._inventory.node_name(host)))
                if under is not None:
                    known.append((under - OVERHEAD[parse_address(tunnel_address(self._inventory, host)).version], host))
                if has is not None:
                    now.append((has, host))
            if 0 < len(known) < len(self._inventory.hosts):
                known += now
            if not known:
                raise InventoryError(
                    "ovn_mtu is not set, and no host's facts say the underlay's MTU: gather facts with the network's part, or set ovn_mtu",
                    self._inventory.hosts[0],
                )
            mtu, host = min(known)
            lowest = max(MINIMUM_MTU[network.version] for network in self.cluster_subnets)
            if mtu < lowest:
                raise InventoryError(
                    "ovn_mtu is not set, and the underlay leaves only %d bytes where the pods need %d: raise the underlay's MTU"
                    % (mtu, lowest),
                    host,
                )
            self._mtu = mtu
        return self._mtu

    @property
    def southbound_remote(self) -> str:
        """Where chassis find the southbound database: the masters' tunnel addresses."""
        if not self._remote:
            protocol = "ssl" if self.tls else "tcp"
            addresses = [
                needed_tunnel_address(
                    self._inventory, master, "its address is where all hosts find the southbound database"
                )
                for master in self._inventory.masters
            ]
            self._remote = ",".join(
                "%s:%s:%d" % (protocol, "[%s]" % one if ":" in one else one, SOUTHBOUND_PORT) for one in addresses
            )
        return self._remote


def needed_tunnel_address(inventory: Inventory, host: str, why: str) -> str:
    """The host's tunnel address.

    :raises InventoryError: when there is none.
    """
    inventory.value(host, "ovn_encap_ip")  # says what is wrong with it
    address = tunnel_address(inventory, host)
    if address:
        return address
    if inventory.facts(host).known:
        raise InventoryError(
            "ovn_encap_ip is not set, and the host has no default route to take it from: "
            "set it to the host's address that the others reach",
            host,
        )
    raise InventoryError(
        "ovn_encap_ip is not set, and the host's facts are not known, while %s: gather its facts, or set ovn_encap_ip"
        % why,
        host,
    )


def shared_addresses(inventory: Inventory, host: str) -> list:
    """The gateway's addresses where it shares the host's NIC: what was given, else the NIC's, one of each family of the cluster.

    Empty when the facts don't say.
    """
    if inventory.is_set(host, "ovn_gateway_ip"):
        return inventory.value(host, "ovn_gateway_ip")
    families = {network.version for network in inventory.cluster_value("ovn_cluster_subnet") or []}
    chosen: dict = {}
    for entry in inventory.facts(host).link_addresses(_shared_links(inventory, host)):
        if entry.version in families:
            chosen.setdefault(entry.version, entry)
    return list(chosen.values())


def _shared_links(inventory: Inventory, host: str) -> tuple:
    """The shared NIC, and the bridge that has its addresses once it is there."""
    nic = inventory.value(host, "ovn_gateway_shared_interface")
    return (uplink_bridge(nic), nic)


def _shared_gateway(inventory: Inventory, host: str) -> dict[str, t.Any]:
    nic = inventory.value(host, "ovn_gateway_shared_interface")
    addresses = shared_addresses(inventory, host)
    if not addresses:
        raise InventoryError(
            "ovn_gateway_ip is not set, and %s has no address that is known: gather the host's facts with the network's part, "
            "or set ovn_gateway_ip" % nic,
            host,
        )
    if inventory.is_set(host, "ovn_gateway_next_hop"):
        hops = [str(hop) for hop in inventory.value(host, "ovn_gateway_next_hop")]
    else:
        versions = {entry.version for entry in addresses}
        hops = [
            hop
            for hop in inventory.facts(host).next_hops(_shared_links(inventory, host))
            if parse_address(hop).version in versions
        ]
    return {
        "physical_interface": "",
        "shared_interface": nic,
        "bridge_interface": uplink_bridge(nic),
        "physical_ips": [str(entry) for entry in addresses],
        "default_gws": hops,
    }


def _gateway(inventory: Inventory, host: str) -> dict[str, t.Any] | None:
    if not inventory.is_gateway(host):
        return None
    if inventory.is_set(host, "ovn_gateway_shared_interface"):
        return _shared_gateway(inventory, host)
    for name in ("ovn_gateway_interface", "ovn_gateway_ip"):
        if not inventory.is_set(host, name):
            raise InventoryError(
                "%s is not set, and the host is in ovn_gateways: set it like %s"
                % (name, show(VARIABLES[name].example)),
                host,
            )
    return {
        "physical_interface": inventory.value(host, "ovn_gateway_interface"),
        "shared_interface": "",
        "bridge_interface": "",
        "physical_ips": [str(entry) for entry in inventory.value(host, "ovn_gateway_ip")],
        "default_gws": [str(hop) for hop in inventory.value(host, "ovn_gateway_next_hop") or []],
    }


def settings(inventory: Inventory, host: str, cluster: Cluster) -> dict[str, t.Any]:
    """What the roles work with, in plain text, numbers, booleans and lists.

    :raises InventoryError: when something is missing, or wrong.
    """
    if not inventory.is_host(host):
        raise InventoryError(
            "the host is in none of ovn_masters, ovn_nodes and ovn_gateways: add it to one of them", host
        )
    return {
        "node_name": inventory.node_name(host),
        "encap_ip": needed_tunnel_address(inventory, host, "it is needed for the tunnels"),
        "encap_type": cluster.encap_type,
        "mtu": cluster.mtu,
        "cluster_subnets": [str(network) for network in cluster.cluster_subnets],
        "service_subnets": [str(network) for network in cluster.service_subnets],
        "join_subnets": [str(network) for network in cluster.join_subnets],
        "node_subnets": [str(network) for network in inventory.value(host, "ovn_node_subnet") or []],
        "southbound_remote": cluster.southbound_remote,
        "datapath_type": inventory.value(host, "ovn_datapath_type") or "",
        "gateway": _gateway(inventory, host),
        "tls": cluster.tls,
        "kubernetes": cluster.access.of(host),
    }
