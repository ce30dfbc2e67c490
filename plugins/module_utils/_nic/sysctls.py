# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kernel settings of a NIC that its bridge needs instead: those of the link, and of its neighbours, of both IP versions
(ip-sysctl of the kernel)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .._host import facts
from .._host.desired import Sysctl
from .._host.sysctl import SYSCTLS, read_sysctl

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

# Where the settings of links are. A setting is kept under its path, with {link} for the link.
FOLDERS = ("ipv4/conf", "ipv6/conf", "ipv4/neigh", "ipv6/neigh")
# A manager that handles advertisements itself switches the kernel's handling off, and makes the link-local address.
ADVERTISEMENTS, LINK_LOCAL = "ipv6/conf/{link}/accept_ra", "ipv6/conf/{link}/addr_gen_mode"
# The kernel itself writes the first. The others are older names of settings.
NOT_SETTINGS = ("mc_forwarding", "base_reachable_time", "retrans_time", "unres_qlen")
IPV6_MTU = "ipv6/conf/{link}/mtu"  # by default the link's own


def own_settings(nic: str, by_manager: Container[str] = ()) -> dict[str, str]:
    """Return the settings of the NIC that differ from those of a new link: path to value.

    :param by_manager: those that its network manager sets for each link that it configures.
    :raises HostError: the NIC can't be read.
    """
    found = {}
    for folder in FOLDERS:
        for name in _names(f"{SYSCTLS}/net/{folder}/{nic}"):
            setting = f"{folder}/{{link}}/{name}"
            value = _read(setting, nic)
            if name in NOT_SETTINGS or setting in by_manager or value in (None, _default(setting, nic)):
                continue
            found[setting] = str(value)
    return found


def for_bridge(bridge: str, saved: Mapping[str, str]) -> tuple[Sysctl, ...]:
    """Return the settings that the bridge is to have: those of the NIC that nobody has set for the bridge."""
    untouched = [setting for setting in saved if _read(setting, bridge) in (None, _default(setting, bridge))]
    return tuple(Sysctl(_key(setting, bridge), saved[setting]) for setting in untouched)


def for_nic(nic: str, bridge: str, saved: Mapping[str, str]) -> tuple[Sysctl, ...]:
    """Return the settings that the NIC is to have when it is back: its own, and what was set for the bridge since."""
    values = {**saved, **own_settings(bridge, (ADVERTISEMENTS, LINK_LOCAL))}
    return tuple(Sysctl(_key(setting, nic), value) for setting, value in values.items() if _read(setting, nic))


def set_again(bridge: str) -> tuple[Sysctl, ...]:
    """Return the settings that the bridge has, for one that is made again."""
    return tuple(Sysctl(_key(setting, bridge), value) for setting, value in own_settings(bridge).items())


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:  # a kernel without this IP version
        return []


def _default(setting: str, link: str) -> str | None:
    """Return the value that a new link has.

    The kernel shows the defaults of neighbours' settings in its first network namespace only; lo has them too.
    """
    if setting == IPV6_MTU:
        return str(facts.link_mtu(link))
    default = _read(setting, "default")
    return _read(setting, "lo") if default is None else default


def _read(setting: str, link: str) -> str | None:
    """Return the value of a setting; None where there is none, such as a secret that was never set."""
    try:
        return read_sysctl(Sysctl(_key(setting, link), "").parts)
    except OSError:
        return None


def _key(setting: str, link: str) -> str:
    """Return the key of a setting as sysctl(8) writes it, with slashes, since the name of a link may have dots."""
    return f"/net/{setting.replace('{link}', link)}"
