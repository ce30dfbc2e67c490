# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of ovn_master_init for a whole inventory: its nodes and its gateways. Private to the collection.

Part of each row is known only on the host itself. The roles node and gateway register it there as ``node_result`` and
``gateway_result``.
An option without a value is left out.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping

from ..module_utils._topology.chassis import ChassisOwner

NODE_RESULT, GATEWAY_RESULT = "node_result", "gateway_result"


def nodes(
    settings: Mapping[str, t.Any], subnets: Mapping[str, t.Any], hostvars: Mapping[str, t.Any]
) -> list[dict[str, t.Any]]:
    """Return the option ``nodes``: one entry for each host that has settings.

    :param settings: host to what the filter ``settings`` returns.
    :param subnets: host to its node subnets.
    """
    return [
        _without_empty(
            node_name=host_settings["node_name"],
            minion_switch_subnet=subnets[host],
            chassis=chassis_of(hostvars, host),
            encap_ip=host_settings.get("encap_ip"),
        )
        for host, host_settings in settings.items()
    ]


def gateways(
    settings: Mapping[str, t.Any], existing: Iterable[str], hostvars: Mapping[str, t.Any]
) -> list[dict[str, t.Any]]:
    """Return the option ``gateways``.

    A gateway whose host has not converged its own part has no uplink yet: it is left out, so that no egress traffic is
    sent there. One that has rows
    already keeps them.

    :param settings: host to what the filter ``settings`` returns.
    :param existing: names of nodes whose gateway is in the options in any case.
    """
    keep = set(existing)
    entries = []
    for host, host_settings in settings.items():
        gateway = host_settings["gateway"]
        result = _result(hostvars, host, GATEWAY_RESULT)
        if not gateway or not (host_settings["node_name"] in keep or (result and not result.get("failed"))):
            continue
        entries.append(
            _without_empty(
                node_name=host_settings["node_name"],
                physical_interface=gateway["physical_interface"],
                bridge_interface=gateway["bridge_interface"],
                physical_ip=gateway["physical_ips"],
                default_gw=gateway["default_gws"],
                physical_mac=result.get("physical_mac"),
                physical_mtu=result.get("physical_mtu"),
                mtu=host_settings["mtu"],
                chassis=chassis_of(hostvars, host),
            )
        )
    return entries


def chassis(settings: Mapping[str, t.Any], hostvars: Mapping[str, t.Any]) -> list[ChassisOwner]:
    """Return the chassis that hosts have now; hosts that have not converged their own part are left out."""
    found = {host: chassis_of(hostvars, host) for host in settings}
    return [
        ChassisOwner(settings[host]["node_name"], own, settings[host]["encap_ip"], settings[host]["tls"])
        for host, own in found.items()
        if own
    ]


def chassis_of(hostvars: Mapping[str, t.Any], host: str) -> str:
    """Return the system-id that a host's own part has returned; empty: it has not run, or the host has none."""
    return str(_result(hostvars, host, NODE_RESULT).get("chassis") or "")


def _result(hostvars: Mapping[str, t.Any], host: str, name: str) -> Mapping[str, t.Any]:
    """Return what a task of the host has registered; empty where it has not run."""
    try:
        result = hostvars[host][name]
    except KeyError:
        return {}
    return result if isinstance(result, Mapping) else {}


def _without_empty(**options: t.Any) -> dict[str, t.Any]:
    return {name: value for name, value in options.items() if value not in (None, "")}
