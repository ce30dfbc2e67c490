# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The settings of a host: variables, facts and defaults together, as the roles use them. Private to the collection."""

from __future__ import annotations

import functools
import json
import typing as t

from ..module_utils._common.address_rules import LOWEST_MTU
from ..module_utils._common.addressing import GENEVE_OVERHEAD, family
from ..module_utils._common.names import (
    CENTRAL_ACCESS,
    CENTRAL_CA,
    CENTRAL_PEM,
    NORTHBOUND_PORT,
    SOUTHBOUND_CENTRAL_PORT,
    management_link,
    uplink_bridge,
)
from ..module_utils._common.remotes import with_port
from ._central import Central
from ._derived import (
    SHARED_NIC,
    join_subnets,
    log_level,
    required_tunnel_address,
    shared_addresses,
    shared_links,
    underlay_mtus,
)
from ._errors import InventoryError, show
from ._inventory import Inventory
from ._kubernetes import Access
from ._variables import VARIABLES

Settings = dict[str, t.Any]
FEW_CHASSIS = 50  # up to so many, OVN's own defaults hold


class Cluster:
    """What all hosts have in common, computed once.

    :param foreseen: the steps of the masters' databases count as done, as check mode needs it.
    :raises InventoryError: something that all hosts need is missing or wrong.
    """

    def __init__(self, inventory: Inventory, foreseen: bool = False) -> None:
        self._inventory = inventory
        self._foreseen = foreseen
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
        self.tls = inventory.tls
        self.access = Access(inventory)
        self._mtu: int | None = inventory.cluster_value("ovn_mtu")
        self._addresses: list[str] = []

    @property
    def mtu(self) -> int:
        """The pods' MTU: what is set, or what the smallest underlay of all hosts leaves."""
        if self._mtu is None:
            self._mtu = self._derived_mtu()
        return self._mtu

    def _derived_mtu(self) -> int:
        """Return what fits through the underlay of every host whose facts are known.

        While some hosts' facts are not known, it does not rise above the MTU that the network has now: one of them may
        have the smallest underlay.
        """
        hosts = self._inventory.hosts
        candidates, current = [], []
        underlays = underlay_mtus(self._inventory)
        for host in self._inventory.named:
            if host in underlays:
                address, underlay = underlays[host]
                candidates.append((underlay - GENEVE_OVERHEAD[address.version], host))
            mtu = self._inventory.facts(host).mtu_of(management_link(self._inventory.node_name(host)))
            if mtu is not None:
                current.append((mtu, host))
        if 0 < len(candidates) < len(hosts):
            candidates += current
        if not candidates:
            raise InventoryError(
                "ovn_mtu is not set, and no host's facts have the underlay's MTU: gather facts with the network, "
                "or set ovn_mtu",
                hosts[0],
            )
        mtu, host = min(candidates)
        lowest = max(LOWEST_MTU[network.version] for network in self.cluster_subnets)
        if mtu < lowest:
            raise InventoryError(
                f"ovn_mtu is not set, and the underlay leaves only {mtu} bytes where the pods need {lowest}: raise "
                "the underlay's MTU",
                host,
            )
        return mtu

    @functools.cached_property
    def southbound_remote(self) -> str:
        """Where chassis find the Southbound database: the masters' tunnel addresses.

        On their way from tcp to ssl, or back, they find it at another port until nobody uses the old protocol; and as
        long as the masters listen for that one alone, they stay with it.
        """
        protocol, ports = Central(self._inventory).chassis_remotes(self._foreseen)
        return ",".join(self._remotes(protocol, port) for port in ports)

    @property
    def southbound_central_remote(self) -> str:
        """Where the masters' own programs find the Southbound database: a listener without a role."""
        return self._remotes(self._protocol, SOUTHBOUND_CENTRAL_PORT)

    @property
    def northbound_remote(self) -> str:
        """Where the masters' own programs find the Northbound database."""
        return self._remotes(self._protocol, NORTHBOUND_PORT)

    @property
    def _protocol(self) -> str:
        return "ssl" if self.tls else "tcp"

    def _remotes(self, protocol: str, port: int) -> str:
        return ",".join(f"{protocol}:{with_port(address, port)}" for address in self._master_addresses())

    def _master_addresses(self) -> list[str]:
        if not self._addresses:
            reason = "its address is where all hosts find the databases"
            self._addresses = [
                required_tunnel_address(self._inventory, master, reason) for master in self._inventory.masters
            ]
        return self._addresses


def central_access(inventory: Inventory) -> Settings:
    """Return the file by which masters' programs and modules find the databases of several masters, as an entry of the
    files of ovn_host; with one master there is none, and they use its sockets (module_utils/_ovsdb/access.py).
    """
    if len(inventory.masters) < 2:
        return {"path": CENTRAL_ACCESS, "absent": True}
    cluster = Cluster(inventory)
    said = {"northbound": cluster.northbound_remote, "southbound": cluster.southbound_central_remote}
    if cluster.tls:
        said.update(private_key=CENTRAL_PEM, certificate=CENTRAL_PEM, ca_cert=CENTRAL_CA)
    return {"path": CENTRAL_ACCESS, "content": json.dumps(said, indent=2) + "\n", "mode": "0600"}


def settings(inventory: Inventory, host: str, cluster: Cluster) -> Settings:
    """Return the settings of a host, in plain text, numbers, booleans and lists.

    :raises InventoryError: something is missing or wrong.
    """
    if not inventory.is_host(host):
        raise InventoryError(
            "the host is in none of ovn_masters, ovn_nodes and ovn_gateways: add it to one of them", host
        )
    return {
        "node_name": inventory.node_name(host),
        "encap_ip": required_tunnel_address(inventory, host, "it is needed for the tunnels"),
        "encap_type": cluster.encap_type,
        "mtu": cluster.mtu,
        "cluster_subnets": list(map(str, cluster.cluster_subnets)),
        "service_subnets": list(map(str, cluster.service_subnets)),
        "join_subnets": list(map(str, cluster.join_subnets)),
        "node_subnets": list(map(str, inventory.value(host, "ovn_node_subnet") or [])),
        "southbound_remote": cluster.southbound_remote,
        "southbound_central_remote": cluster.southbound_central_remote,
        "northbound_remote": cluster.northbound_remote,
        **_scale(inventory, host),
        "datapath_type": inventory.value(host, "ovn_datapath_type") or "",
        "gateway": _gateway(inventory, host),
        "log_level": log_level(inventory, host),
        "openvswitch_settings": inventory.value(host, "ovn_openvswitch_settings") or [],
        "rebalance_egress": bool(inventory.value(host, "ovn_egress_rebalance")),
        "tls": cluster.tls,
        "kubernetes": cluster.access.of(host),
    }


def _scale(inventory: Inventory, host: str) -> Settings:
    """Return ovn-controller's settings by the number of chassis; None: its own defaults. Where the user's own settings
    of Open vSwitch have the key, that is it.

    Up to :data:`FEW_CHASSIS`, OVN's defaults. Above, every chassis copies the whole Southbound database: the cluster's
    router connects all switches, so each would ask for nearly all of it anyway, and the server is spared the conditions
    (ovn-controller(8), ovn-monitor-all). It probes its server after 5 seconds, OVN's default, for each
    :data:`FEW_CHASSIS`, and after a minute at most: a server that has lost a member answers later the more chassis
    connect to it again, and one that they take for dead gets them a second time.
    """
    own = {
        one["key"] for one in inventory.value(host, "ovn_openvswitch_settings") or [] if one["column"] == "external_ids"
    }
    chassis = len(inventory.hosts)
    asked = inventory.cluster_value("ovn_monitor_all")
    monitor_all = chassis > FEW_CHASSIS if asked is None else asked
    probe = min(5000 * -(-chassis // FEW_CHASSIS), 60000) if chassis > FEW_CHASSIS else None
    return {
        "monitor_all": True if monitor_all and "ovn-monitor-all" not in own else None,
        "remote_probe": None if "ovn-remote-probe-interval" in own else probe,
    }


def _gateway(inventory: Inventory, host: str) -> Settings | None:
    if not inventory.is_gateway(host):
        return None
    return (_shared_gateway if inventory.is_set(host, SHARED_NIC) else _dedicated_gateway)(inventory, host)


def _dedicated_gateway(inventory: Inventory, host: str) -> Settings:
    for name in ("ovn_gateway_interface", "ovn_gateway_ip"):
        if not inventory.is_set(host, name):
            raise InventoryError(
                f"{name} is not set, and the host is in ovn_gateways: set it like {show(VARIABLES[name].example)}", host
            )
    return {
        "physical_interface": inventory.value(host, "ovn_gateway_interface"),
        "shared_interface": "",
        "bridge_interface": "",
        "physical_ips": list(map(str, inventory.value(host, "ovn_gateway_ip"))),
        "default_gws": list(map(str, inventory.value(host, "ovn_gateway_next_hop") or [])),
    }


def _shared_gateway(inventory: Inventory, host: str) -> Settings:
    nic = inventory.value(host, SHARED_NIC)
    addresses = shared_addresses(inventory, host)
    if not addresses:
        raise InventoryError(
            f"ovn_gateway_ip is not set, and {nic} has no address that is known: gather the host's facts with the "
            "network, "
            "or set ovn_gateway_ip",
            host,
        )
    if inventory.is_set(host, "ovn_gateway_next_hop"):
        next_hops = list(map(str, inventory.value(host, "ovn_gateway_next_hop")))
    else:
        versions = {face.version for face in addresses}
        next_hops = [hop for hop in inventory.facts(host).next_hops(shared_links(nic)) if family(hop) in versions]
    return {
        "physical_interface": "",
        "shared_interface": nic,
        "bridge_interface": uplink_bridge(nic),
        "physical_ips": list(map(str, addresses)),
        "default_gws": next_hops,
    }
