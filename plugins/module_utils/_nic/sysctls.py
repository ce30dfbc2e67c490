# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kernel settings of a NIC that its bridge needs instead: how packets and router advertisements are accepted (ip-sysctl
of the kernel)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._host import facts
from .._host.desired import Sysctl
from .managers import registry

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS = ("ipv4/{link}/rp_filter", "ipv4/{link}/arp_ignore", "ipv4/{link}/arp_announce")
# A manager that handles advertisements itself switches the kernel's handling off.
ADVERTISEMENTS = "ipv6/{link}/accept_ra"


def own_settings(nic: str, manager: str | None) -> dict[str, str]:
    """Return the settings of the NIC that differ from those of a new link: setting to value.

    :param manager: the name of the NIC's network manager.
    """
    by_manager = manager is not None and registry.manager(manager).handles_advertisements
    settings = SETTINGS if by_manager else (*SETTINGS, ADVERTISEMENTS)
    values = {setting: facts.sysctl(_key(setting, nic)) for setting in settings}
    return {
        setting: value
        for setting, value in values.items()
        if value is not None and value != facts.sysctl(_key(setting, "default"))
    }


def for_bridge(bridge: str, saved: Mapping[str, str]) -> tuple[Sysctl, ...]:
    """Return the settings that the bridge is to have: those of the NIC that nobody has set for the bridge."""
    untouched = [
        setting
        for setting in saved
        if facts.sysctl(_key(setting, bridge)) in (None, facts.sysctl(_key(setting, "default")))
    ]
    return tuple(Sysctl(_key(setting, bridge), saved[setting]) for setting in untouched)


def _key(setting: str, link: str) -> str:
    """Return the key of a setting as sysctl(8) writes it, with slashes, since the name of a link may have dots."""
    family, _link, name = setting.split("/")
    return f"/net/{family}/conf/{link}/{name}"
