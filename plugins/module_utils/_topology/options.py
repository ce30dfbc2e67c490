# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings of nodes and gateways from the options of modules and commands, which have the same names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common import names
from .._common.addressing import family
from .._common.errors import SettingsError
from . import gateway_checks
from .gateway import Gateway
from .node import Node

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

NODE_HOST_OPTIONS = ("southbound", "encap_type", "encap_ip", "mtu", "datapath_type", "routes")
SCALE_OPTIONS = {"monitor_all": "ovn-monitor-all", "remote_probe": "ovn-remote-probe-interval"}  # ovn-controller(8)


def node(
    options: Mapping[str, Any], cluster_subnets: Sequence[str], subnet_option: str = "minion_switch_subnet"
) -> Node:
    """Return the node of some options, unchecked.

    :param subnet_option: the option with the node's subnets.
    """
    subnets = tuple(options[subnet_option] or ())
    encap_ips = tuple(filter(None, [options.get("encap_ip")]))
    return Node(options["node_name"], subnets, tuple(cluster_subnets), options["chassis"], encap_ips)


def gateway(options: Mapping[str, Any], cluster_subnets: Sequence[str]) -> Gateway:
    """Return the gateway of some options; :raises SettingsError: when it can't work."""
    nic, bridge = options["physical_interface"], options["bridge_interface"]
    if bool(nic) == bool(bridge):
        raise SettingsError(
            f"gateway {options['node_name']} needs exactly one of physical_interface and bridge_interface"
        )
    settings = Gateway(
        options["node_name"],
        tuple(cluster_subnets),
        tuple(options["physical_ip"] or ()),
        tuple(options["default_gw"] or ()),
        bridge or names.uplink_bridge(nic),
        options["chassis"],
        options["physical_mac"],
        options["mtu"],
        options["physical_mtu"],
        shared=bool(bridge),
    )
    gateway_checks.check(settings)
    return settings


def node_host(
    options: Mapping[str, Any], cluster_subnets: Sequence[str], subnet_option: str = "minion_switch_subnet"
) -> dict[str, Any]:
    """Return the settings of a node's host part, as :meth:`.host.Host.node` takes and saves them."""
    settings = {
        "name": options["node_name"],
        "subnets": options[subnet_option] or [],
        "cluster_subnets": list(cluster_subnets),
    }
    settings.update((key, options[key]) for key in NODE_HOST_OPTIONS)
    scale = {key: options[option] for option, key in SCALE_OPTIONS.items() if options.get(option) is not None}
    if scale:
        settings["scale"] = {key: str(value).lower() for key, value in scale.items()}
    return settings


def gateway_host(options: Mapping[str, Any], cluster_subnets: Sequence[str]) -> dict[str, Any]:
    """Return the settings of a gateway's host part, as :meth:`.host.Host.gateway` takes and saves them."""
    settings = {"nic": options["physical_interface"], "datapath_type": options.get("datapath_type")}
    if options["bridge_interface"]:
        families = sorted({family(subnet) for subnet in cluster_subnets})
        settings.update(bridge=options["bridge_interface"], families=families)
    return settings
