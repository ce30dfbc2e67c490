# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Complete settings with facts of this host: the tunnels' address, the MTU, the datapath, a shared NIC's addresses and
next hops."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from .._common import addressing, names, remotes
from .._common.errors import HostError
from .._host import facts
from .._nic.moved import moved_nics
from . import node as node_policy
from .node_host import NodeHost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

DEFAULT_LINK_MTU = 1500  # RFC 894


class CompleteNode(NamedTuple):
    """A node's host with all settings, and the NIC that its tunnels need in a bridge; None where they need none."""

    host: NodeHost
    underlay_nic: str | None


class HostFacts:
    """Facts of this host.

    :param check: plan only: a fact that can't be learnt yet is None, and no error.
    """

    def __init__(self, check: bool) -> None:
        self._check = check

    def learn(self, fact: Callable[..., Any], *arguments: Any) -> Any:
        """Return a fact of :mod:`.._host.facts`; in check mode None where it can't be learnt; :raises HostError:
        else."""
        try:
            return fact(*arguments)
        except HostError:
            if self._check:
                return None
            raise

    def node_host(self, settings: Mapping[str, Any]) -> CompleteNode:
        """Complete a node's settings.

        :raises SettingsError: the settings can't work.
        :raises HostError: the tunnels' address is not on this host, or not known.
        """
        node = node_policy.Node(settings["name"], tuple(settings["subnets"]), tuple(settings["cluster_subnets"]))
        node_policy.check(node, settings.get("mtu"))
        given = settings.get("encap_ip") or self.default_address()
        encap_ip = addressing.normalized(given) or given  # as others write it, to compare
        link = self.learn(facts.link_of_address, encap_ip)
        if link is None and not self._check:
            raise HostError(
                f"encap_ip {encap_ip} is on no link of this host: "
                "give the address of the NIC that is connected to the other nodes"
            )
        datapath_type = settings.get("datapath_type") or self.datapath_type()
        if datapath_type == "netdev" and link is not None and self.learn(facts.leads_out, link) is False:
            raise HostError(
                f"encap_ip {encap_ip} is on {link}, and the userspace datapath sends tunnels through the bridge of a "
                "NIC only: give the address of the NIC that is connected to the other nodes"
            )
        host = NodeHost(
            node,
            settings["southbound"],
            settings.get("encap_type") or "geneve",
            encap_ip,
            settings.get("mtu") or self._mtu(encap_ip, settings["southbound"]),
            datapath_type,
            routes=tuple(settings.get("routes") or ()),
            programs=os.path.exists(names.ARCHIVE),
            scale=settings.get("scale") or {},
        )
        # The userspace datapath sends tunnels only through a bridge of its own; a NIC in its bridge has its address
        # there.
        underlay_nic = None
        if datapath_type == "netdev":
            underlay_nic = next((nic for nic in moved_nics() if link == names.uplink_bridge(nic)), link)
        return CompleteNode(host, underlay_nic)

    def _mtu(self, encap_ip: str, southbound: str) -> int:
        """Return what the tunnels' way out leaves to the pods, in bytes."""
        outgoing = self.learn(facts.outgoing_mtu, encap_ip, remotes.addresses(southbound))
        return int(outgoing or DEFAULT_LINK_MTU) - addressing.GENEVE_OVERHEAD[addressing.family(encap_ip)]

    def bridge(self, bridge: str, versions: Iterable[int]) -> dict[str, Any]:
        """Return what a gateway takes from a shared NIC's bridge, as facts of a result.

        :param versions: the IP versions of the cluster.
        :raises HostError: the bridge does not exist.
        """
        mac = self.learn(facts.link_mac, bridge)
        if mac is None and not self._check:
            raise HostError(
                f"bridge_interface {bridge} does not exist on this host: move the NIC into it first (nics_to_bridge)"
            )
        addresses = self.learn(facts.configured_addresses, bridge) or ()
        physical_ips = []
        next_hops = []
        for version in versions:
            physical_ips += [cidr for cidr in addresses if addressing.family(cidr) == version][:1]
            next_hop = self.learn(facts.next_hop, bridge, version)
            next_hops += [next_hop] if next_hop else []
        nic = next((nic for nic in moved_nics() if bridge == names.uplink_bridge(nic)), bridge)
        return {
            "physical_mac": mac,
            "physical_mtu": self.learn(facts.link_mtu, nic),
            "bridge": bridge,
            "physical_ip": physical_ips,
            "default_gw": next_hops,
        }

    def default_address(self) -> str:
        """Return the address of the default route's link; :raises HostError: there is no default route."""
        for version in (4, 6):
            link = self.learn(facts.default_route_link, version)
            addresses = (self.learn(facts.configured_addresses, link) or ()) if link else ()
            for cidr in addresses:
                if addressing.family(cidr) == version:
                    return str(cidr).split("/", maxsplit=1)[0]
        raise HostError(
            "this host has no default route, so its tunnel address is not known: "
            "set encap_ip (in the inventory ovn_encap_ip)"
        )

    def datapath_type(self) -> str:
        """Return ``system`` where the kernel has Open vSwitch's datapath, else ``netdev``."""
        return "system" if self.learn(facts.has_kernel_datapath) in (True, None) else "netdev"
