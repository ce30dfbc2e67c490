# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The connection profile of a bridge: a copy of the NIC's.

By it the bridge is the same DHCP client and the same neighbour as the NIC.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from .base import Profile

    # A profile as NetworkManager has it: part -> key -> (D-Bus type, value), nm-settings-dbus(5).
    Settings = dict[str, dict[str, tuple[str, Any]]]

NO_METRIC = -1
FOR_EVER = 0x7FFFFFFF  # as a time-out
# Keys of the profile's part "connection" that go with the addresses.
ADDRESS_KEYS = ("zone", "mdns", "llmnr", "dns-over-tls", "metered", "stable-id")
# What NetworkManager does for a NIC that has no profile.
AUTOMATIC: Settings = {"ipv4": {"method": ("s", "auto")}, "ipv6": {"method": ("s", "auto")}}


class TunMode(IntEnum):
    """NMSettingTunMode of nm-setting-tun.h."""

    TAP = 2


def bridge_profile(original: Settings, profile: Profile, bridge: str, device: Settings) -> Settings:
    """Return the settings of the bridge: those of the NIC's profile, and what makes the bridge the same client and
    neighbour.

    :param device: the part that says for which type of device the profile is.
    """
    connection = original.get("connection", {})
    (device_type,) = device
    lasting = {"may-fail": ("b", True), "dhcp-timeout": ("i", FOR_EVER)}
    four: dict[str, tuple[str, Any]] = {
        "route-metric": ("x", profile.metric),
        **original.get("ipv4", {}),
        **lasting,
    }
    six: dict[str, tuple[str, Any]] = {
        "route-metric": ("x", profile.metric),
        **original.get("ipv6", {}),
        **lasting,
        "ra-timeout": ("i", FOR_EVER),
    }
    if profile.client_id:
        four["dhcp-client-id"] = ("s", profile.client_id)
    if profile.token:
        six.update({"addr-gen-mode": ("i", 0), "token": ("s", profile.token)})
    return {
        "connection": {
            "id": ("s", bridge),
            "type": ("s", device_type),
            "interface-name": ("s", bridge),
            "autoconnect": ("b", False),
            "stable-id": ("s", profile.uuid),
            **{key: connection[key] for key in ADDRESS_KEYS if key in connection},
        },
        **device,
        "ipv4": four,
        "ipv6": six,
        **({"proxy": original["proxy"]} if "proxy" in original else {}),
    }


def route_metric(settings: Settings, part: str) -> int:
    metric: int = settings.get(part, {}).get("route-metric", ("x", NO_METRIC))[1]
    return metric
