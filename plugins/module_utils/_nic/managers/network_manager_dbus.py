# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""NetworkManager over D-Bus (org.freedesktop.NetworkManager): it releases a NIC or takes it again, and configures a
bridge by a copy of a profile.

The copy is not on disk and goes with the bridge, and nobody would make it again between two boots: so its clients never
give up. NetworkManager sees devices of Open vSwitch that it has not made as what they are to the kernel: a tap of the
userspace datapath, or a device of no known type.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING

from ..._common.dbus import call, read_property, write_property
from ..._common.errors import HostError
from ..._common.retry import Pause, retry, wait_until
from ..._netlink.links import link_index
from .base import link_exists, read_assignments
from .network_manager_profile import AUTOMATIC, NO_METRIC, TunMode, bridge_profile, route_metric

if TYPE_CHECKING:
    from collections.abc import Callable

    from .base import Profile
    from .network_manager_profile import Settings

DEVICES = "/run/NetworkManager/devices"
TIMEOUT = 20.0  # seconds
PAUSE = Pause(0.05)
NM, PATH = "org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager"
SETTINGS = (NM, PATH + "/Settings", NM + ".Settings")
DEVICE, ACTIVE, PROFILE = NM + ".Device", NM + ".Connection.Active", NM + ".Settings.Connection"
FAMILIES = ("ipv4", "ipv6")
NO_OBJECT = "/"  # the D-Bus path that means: none


class DeviceState(IntEnum):
    """NMDeviceState of nm-dbus-interface.h."""

    DISCONNECTED = 30
    PREPARE = 40
    ACTIVATED = 100


class DeviceType(IntEnum):
    """NMDeviceType of nm-dbus-interface.h."""

    GENERIC = 14
    TUN = 16


class ActivationFlag(IntFlag):
    """NMActivationStateFlags of nm-dbus-interface.h. EXTERNAL: another program configured the device."""

    EXTERNAL = 0x80


class Capability(IntEnum):
    """NMCapability of nm-dbus-interface.h. OVS: the plugin for Open vSwitch is loaded."""

    OVS = 2


def device_state(index: int, directory: str = DEVICES) -> dict[str, str]:
    """Return what NetworkManager keeps of a link in its file, empty where it does not run or does not know the link."""
    return read_assignments(f"{directory}/{index}")


def default_metric(device: dict[str, str]) -> int:
    """Return the metric of routes whose profile has none; NO_METRIC: it is not known."""
    return int(device.get("route-metric-default-effective", NO_METRIC))


def refuse(nic: str, profile: Profile, datapath: str) -> None:
    """Check that the bridge can have the profile, and that NetworkManager can leave the NIC alone.

    :raises HostError: it can't.
    """
    path = _profile_path(profile.uuid)
    if path and "802-1x" in _profile_settings(path):
        raise HostError(
            f"{nic} is authenticated by 802.1X, which NetworkManager ends on a NIC that it is told to leave alone: "
            "let another program authenticate it"
        )
    if profile.on_bridge and datapath == "system" and Capability.OVS in read_property(NM, PATH, NM, "Capabilities"):
        raise HostError(
            f"{nic} has a leased address, and NetworkManager with its plugin for Open vSwitch takes no bridge of the "
            "kernel's datapath that it has not "
            f"made itself: remove that plugin, give {nic} static addresses, or let systemd-networkd configure it"
        )


def current_metric(nic: str, uuid: str, default: int) -> int:
    """Return the metric of the NIC's routes where its profile has none, also when NetworkManager would choose another
    one now."""
    path = _profile_path(uuid)
    profile = _profile_settings(path) if path else {}
    try:
        applied = call(NM, _device(nic), DEVICE, "GetAppliedConnection", "u", (0,))[0]
    except HostError:  # it is not active
        return default
    metrics = [
        route_metric(applied, part)
        for part in FAMILIES
        if route_metric(profile, part) == NO_METRIC != route_metric(applied, part)
    ]
    return metrics[0] if metrics else default


def takes_advertisements(uuid: str) -> bool:
    """Return whether a profile takes addresses from router advertisements (``ipv6.method`` of nm-settings(5))."""
    path = _profile_path(uuid)
    profile = _profile_settings(path) if path else AUTOMATIC
    return profile.get("ipv6", {}).get("method", ("s", "auto"))[1] in ("auto", "dhcp")


def static_addresses(uuid: str) -> tuple[str, ...]:
    """Return the static addresses of a profile, without prefix length."""
    path = _profile_path(uuid)
    profile = _profile_settings(path) if path else {}
    data = [entry for part in FAMILIES for entry in profile.get(part, {}).get("address-data", ("", []))[1]]
    return tuple(str(entry["address"][1]) for entry in data if "address" in entry)


def reload() -> None:
    """Let NetworkManager read its files again."""
    call(NM, PATH, NM, "Reload", "u", (0,))


def set_managed(link: str, managed: bool) -> None:
    """Let NetworkManager manage a link, or leave it alone."""
    if not link_exists(link):
        return
    device = _device(link)
    if bool(read_property(NM, device, DEVICE, "Managed")) != managed:
        write_property(NM, device, DEVICE, "Managed", "b", managed)


def configures(bridge: str, completely: bool = False) -> bool:
    """Return whether NetworkManager configures the bridge.

    :param completely: whether it must have finished.
    """
    if not link_exists(bridge):
        return False
    device = _device(bridge)
    lowest = DeviceState.ACTIVATED if completely else DeviceState.PREPARE
    state = read_property(NM, device, DEVICE, "State")
    return bool(lowest <= state <= DeviceState.ACTIVATED) and _active_profile(device) is not None


def activate_bridge(bridge: str, profile: Profile, completely: bool) -> None:
    """Let NetworkManager configure the bridge by a copy of the profile.

    :param completely: wait until the bridge has its addresses.
    :raises HostError: it does not.
    """
    device = _device(bridge)
    if _active_profile(device) is None:
        path = _profile_path(profile.uuid)
        original = _profile_settings(path) if path else AUTOMATIC
        copy = bridge_profile(original, profile, bridge, _device_settings(device, bridge))
        options = {"persist": ("s", "volatile")}
        call(NM, PATH, NM, "AddAndActivateConnection2", "a{sa{sv}}ooa{sv}", (copy, device, NO_OBJECT, options))
    _wait(lambda: configures(bridge, completely), bridge)


def activate_nic(nic: str, profile: Profile | None, completely: bool = True) -> None:
    """Let NetworkManager configure the NIC by the profile that it had.

    :param completely: wait until the NIC has its addresses.

    Without that it would see the addresses, leave them as they are, and not set the name servers.

    :raises HostError: it does not.
    """
    device = _device(nic)
    path = _profile_path(profile.uuid) if profile else None
    lowest = DeviceState.ACTIVATED if completely else DeviceState.PREPARE
    if profile is None or path is None:
        _wait(lambda: bool(lowest <= read_property(NM, device, DEVICE, "State") <= DeviceState.ACTIVATED), nic)
        return
    uuid = profile.uuid
    _wait(lambda: read_property(NM, device, DEVICE, "State") >= DeviceState.DISCONNECTED, nic)
    if _active_profile(device) != uuid:
        call(NM, PATH, NM, "ActivateConnection", "ooo", (path, device, NO_OBJECT))
    _wait(
        lambda: (
            bool(lowest <= read_property(NM, device, DEVICE, "State") <= DeviceState.ACTIVATED)
            and _active_profile(device) == uuid
        ),
        nic,
    )
    if completely and profile.metric not in (NO_METRIC, default_metric(device_state(_index(nic)))):
        _set_metric(device, profile.metric)


def _device_settings(device: str, bridge: str) -> Settings:
    """Return the part of a profile that says for which type of device it is."""
    number = read_property(NM, device, DEVICE, "DeviceType")
    if number == DeviceType.GENERIC:
        return {"generic": {}}
    if number != DeviceType.TUN:
        raise HostError(
            f"NetworkManager takes {bridge} for a device (type {number}) that it wants to have made itself: remove "
            "its plugin for Open vSwitch, "
            "or give the NIC static addresses"
        )

    def tun(name: str) -> bool:
        return bool(read_property(NM, device, DEVICE + ".Tun", name))

    return {
        "tun": {
            "mode": ("u", int(TunMode.TAP)),
            "pi": ("b", not tun("NoPi")),
            "vnet-hdr": ("b", tun("VnetHdr")),
            "multi-queue": ("b", tun("MultiQueue")),
        }
    }


def _set_metric(device: str, metric: int) -> None:
    """Give the NIC's routes the metric that they had.

    To a profile without one NetworkManager gives the next after those of all other devices, so the NIC's routes would
    come after theirs.
    """
    applied, version = call(NM, device, DEVICE, "GetAppliedConnection", "u", (0,))
    bare = [part for part in FAMILIES if route_metric(applied, part) == NO_METRIC]
    if bare:
        for part in bare:
            applied.setdefault(part, {})["route-metric"] = ("x", metric)
        call(NM, device, DEVICE, "Reapply", "a{sa{sv}}tu", (applied, version, 0))


def _device(link: str) -> str:
    """Return the D-Bus path of a link, which NetworkManager knows a moment later than the kernel."""

    def path() -> str:
        found: str = call(NM, PATH, NM, "GetDeviceByIpIface", "s", (link,))[0]
        return found

    return retry(path, HostError, TIMEOUT, PAUSE)


def _profile_path(uuid: str) -> str | None:
    """Return the D-Bus path of a profile; None: there is no such profile any more."""
    try:
        path: str = call(*SETTINGS, "GetConnectionByUuid", "s", (uuid,))[0]
        return path
    except HostError:
        return None


def _profile_settings(path: str) -> Settings:
    settings: Settings = call(NM, path, PROFILE, "GetSettings")[0]
    return settings


def _active_profile(device: str) -> str | None:
    """Return the uuid of the profile by which NetworkManager configures a device; None: it does not, or another program
    does."""
    active = read_property(NM, device, DEVICE, "ActiveConnection")
    if active == NO_OBJECT or read_property(NM, active, ACTIVE, "StateFlags") & ActivationFlag.EXTERNAL:
        return None
    uuid: str | None = read_property(NM, active, ACTIVE, "Uuid")
    return uuid


def _index(link: str) -> int:
    try:
        return link_index(link)
    except OSError:
        return 0


def _wait(condition: Callable[[], bool], link: str) -> None:
    if not wait_until(condition, TIMEOUT, PAUSE):
        raise HostError(f"NetworkManager has not connected {link} in {TIMEOUT:g} seconds: look at nmcli device status")
