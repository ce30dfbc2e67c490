# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Results of the CNI specification (section 5, "Result Types"), as JSON objects.

The versions differ: up to 0.4.0 each address says its IP version, and 1.1.0 has added the MTU.
"""

from __future__ import annotations

from typing import Any

from ..._common import addressing
from ..annotation import PodNetwork
from .errors import CniError
from .protocol import USUAL, VERSIONS, Request

WITH_IP_VERSION = ("0.3.0", "0.3.1", "0.4.0")
WITH_MTU = ("1.1.0",)


def success(request: Request, host_link: str, host_mac: str, network: PodNetwork, mtu: int) -> dict[str, Any]:
    """Return the result of ADD; what a plugin before this one has made comes first.

    :param host_link: name of the host's end of the pair of links.
    :param host_mac: its MAC.
    """
    previous = request.config.get("prevResult") or {}
    made: list[dict[str, Any]] = [
        {"name": host_link, "mac": host_mac},
        {"name": request.ifname, "mac": network.mac, "sandbox": request.netns},
    ]
    if request.version in WITH_MTU:
        for interface in made:
            interface["mtu"] = mtu
    interfaces = [*(previous.get("interfaces") or ()), *made]
    ips = [*(previous.get("ips") or ())]
    for cidr in network.addresses:
        ip: dict[str, Any] = {"address": cidr, "interface": len(interfaces) - 1}
        if request.version in WITH_IP_VERSION:
            ip["version"] = str(addressing.family(cidr))
        gateway = network.gateway(cidr)
        if gateway:
            ip["gateway"] = gateway
        ips.append(ip)
    routes = [
        *(previous.get("routes") or ()),
        *({"dst": route.destination, "gw": route.next_hop} for route in network.all_routes()),
    ]
    return {
        "cniVersion": request.version,
        "interfaces": interfaces,
        "ips": ips,
        "routes": routes,
        "dns": previous.get("dns") or {},
    }


def versions(request: Request) -> dict[str, Any]:
    """Return the result of VERSION."""
    return {
        "cniVersion": request.version if request.version in VERSIONS else VERSIONS[-1],
        "supportedVersions": list(VERSIONS),
    }


def error(exc: CniError, version: str) -> dict[str, Any]:
    """Return an error's object."""
    result = {
        "cniVersion": version if version in VERSIONS else USUAL,
        "code": int(exc.code),
        "msg": exc.msg,
    }
    if exc.details:
        result["details"] = exc.details
    return result


def contradiction(request: Request, network: PodNetwork) -> str | None:
    """Return where the prevResult of CHECK differs from the pod's network, as a sentence; None: nowhere."""
    previous = request.config["prevResult"]
    interfaces = [
        (item.get("name"), item.get("sandbox", ""))
        for item in previous.get("interfaces") or ()
        if isinstance(item, dict)
    ]
    if (request.ifname, request.netns) not in interfaces:
        return f"prevResult has no interface {request.ifname} in {request.netns}"
    addresses = [item.get("address") for item in previous.get("ips") or () if isinstance(item, dict)]
    missing = [cidr for cidr in network.addresses if cidr not in addresses]
    if missing:
        says = ", ".join(map(str, addresses)) or "no address"
        return f"the pod has {', '.join(missing)}, and prevResult says {says}"
    return None
