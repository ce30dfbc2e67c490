# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""NetworkManager, over D-Bus: it lets go of a NIC or takes it again, and configures a NIC's bridge by a copy of the NIC's profile.

The copy is not on disk and goes with the bridge, and nobody would make it again between two boots: so it never gives up.
NetworkManager knows devices of Open vSwitch that it has not made as what they are to the kernel, a tap of the userspace datapath, or a device of no
known type.
"""

from __future__ import annotations

import os
import time

from ..._common.dbus import call, read_property, write_property
from ..._common.errors import HostError
from .detect import default_metric, nm_device

PATIENCE = 20.0  # seconds
NM, PATH = "org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager"
SETTINGS = (NM, PATH + "/Settings", NM + ".Settings")
DEVICE, ACTIVE, PROFILE = NM + ".Device", NM + ".Connection.Active", NM + ".Settings.Connection"
DISCONNECTED, PREPARE, ACTIVATED = 30, 40, 100  # NMDeviceState
EXTERNAL = 0x80  # NMActivationStateFlags: somebody else has configured it
GENERIC, TUN = 14, 16  # NMDeviceType
OPEN_VSWITCH = 2  # NMCapability
FOR_EVER = 0x7FFFFFFF  # as a time-out
NO_METRIC = -1
FAMILIES = ("ipv4", "ipv6")
TAP = 2  # NMSettingTunMode
NOTHING = "/"
# Of the profile's part "connection": what goes with the addresses.
GOES_ALONG = ("zone", "mdns", "llmnr", "dns-over-tls", "metered", "stable-id")
AUTOMATIC = {
    "ipv4": {"method": ("s", "auto")},
    "ipv6": {"method": ("s", "auto")},
}  # as NetworkManager does it where there is no profile


def hand_over(step):
    """:param step: a :class:`.steps.HandoverStep`. :raises HostError: when NetworkManager can't be told, or says that it failed."""
    call(NM, PATH, NM, "Reload", "u", (0,))
    copied = step.profile is not None and step.profile.on_bridge
    _manage(step.nic, not step.to_bridge)
    if not copied:
        _manage(step.bridge, False)
    elif step.to_bridge and _exists(step.bridge):
        _take_bridge(step)
    if not step.to_bridge and _exists(step.nic):
        _take_nic(step)


def serves(bridge, done=False):
    """Whether NetworkManager configures the bridge; with ``done``, whether it has."""
    if not _exists(bridge):
        return False
    device = _device(bridge)
    return (ACTIVATED if done else PREPARE) <= read_property(NM, device, DEVICE, "State") <= ACTIVATED and _profile_of(
        device
    ) is not None


def refuse(nic, profile, datapath):
    """:raises HostError: for a profile that can't be the bridge's too, or not together with the NIC in it, on this datapath."""
    path = _path(profile.uuid)
    if path and "802-1x" in call(NM, path, PROFILE, "GetSettings")[0]:
        raise HostError(
            "%s speaks 802.1X, which NetworkManager ends on a NIC that it is told to leave alone: let somebody else authenticate it"
            % nic
        )
    if profile.on_bridge and datapath == "system" and OPEN_VSWITCH in read_property(NM, PATH, NM, "Capabilities"):
        raise HostError(
            "%s has a leased address, and NetworkManager with its plugin for Open vSwitch takes no bridge of the kernel's datapath that it has not "
            "made itself: remove that plugin, give %s static addresses, or let systemd-networkd configure it"
            % (nic, nic)
        )


def _exists(link):
    return os.path.exists("/sys/class/net/" + link)


def _device(link):
    """NetworkManager's object for a link, which it comes to know a moment after the kernel."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return call(NM, PATH, NM, "GetDeviceByIpIface", "s", (link,))[0]
        except HostError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _manage(link, managed):
    if not _exists(link):
        return
    device = _device(link)
    if bool(read_property(NM, device, DEVICE, "Managed")) != managed:
        write_property(NM, device, DEVICE, "Managed", "b", managed)


def _profile_of(device):
    """The uuid of the profile by which NetworkManager configures a device; None where it doesn't, or only sees what others have configured."""
    active = read_property(NM, device, DEVICE, "ActiveConnection")
    if active == NOTHING or read_property(NM, active, ACTIVE, "StateFlags") & EXTERNAL:
        return None
    return read_property(NM, active, ACTIVE, "Uuid")


def _take_nic(step):
    """Let it configure the NIC by the profile of before: seeing the addresses there, it would only look on, and leave out the name servers."""
    device = _device(step.nic)
    path = _path(step.profile.uuid) if step.profile else None
    if path is not None:
        _wait(lambda: read_property(NM, device, DEVICE, "State") >= DISCONNECTED, step.nic)
        if _profile_of(device) != step.profile.uuid:
            call(NM, PATH, NM, "ActivateConnection", "ooo", (path, device, NOTHING))
    _wait(
        lambda: (
            read_property(NM, device, DEVICE, "State") == ACTIVATED
            and (path is None or _profile_of(device) == step.profile.uuid)
        ),
        step.nic,
    )
    if path is not None and step.profile.metric not in (NO_METRIC, default_metric(nm_device(step.nic))):
        _keep_metric(device, step.profile.metric)


def _keep_metric(device, metric):
    """Give the NIC's routes the metric that they had: to a profile without one NetworkManager gives the next after those of all other devices, so that a
    NIC that comes back would stand behind NICs that it stood before."""
    applied, version = call(NM, device, DEVICE, "GetAppliedConnection", "u", (0,))
    bare = [part for part in FAMILIES if _metric(applied, part) == NO_METRIC]
    if bare:
        for part in bare:
            applied.setdefault(part, {})["route-metric"] = ("x", metric)
        call(NM, device, DEVICE, "Reapply", "a{sa{sv}}tu", (applied, version, 0))


def _metric(settings, part):
    return settings.get(part, {}).get("route-metric", ("x", NO_METRIC))[1]


def metric_of(managed):
    """The metric of the NIC's routes where its profile says none, also when it is not what NetworkManager would choose now."""
    path = _path(managed.profile)
    profile = call(NM, path, PROFILE, "GetSettings")[0] if path else {}
    try:
        applied = call(NM, _device(managed.nic), DEVICE, "GetAppliedConnection", "u", (0,))[0]
    except HostError:  # it is not active
        return managed.metric
    kept = [
        _metric(applied, part) for part in FAMILIES if _metric(profile, part) == NO_METRIC != _metric(applied, part)
    ]
    return kept[0] if kept else managed.metric


def _take_bridge(step):
    device = _device(step.bridge)
    if _profile_of(device) is None:
        path = _path(step.profile.uuid)
        original = call(NM, path, PROFILE, "GetSettings")[0] if path else AUTOMATIC
        copy = copied(original, step.profile, step.bridge, _kind(device, step.bridge))
        call(
            NM,
            PATH,
            NM,
            "AddAndActivateConnection2",
            "a{sa{sv}}ooa{sv}",
            (copy, device, NOTHING, {"persist": ("s", "volatile")}),
        )
    _wait(lambda: serves(step.bridge, done=step.waits), step.bridge)


def _path(uuid):
    """The object of a profile; None where there is no such profile any more."""
    try:
        return call(*SETTINGS, "GetConnectionByUuid", "s", (uuid,))[0]
    except HostError:
        return None


def _kind(device, bridge):
    """The parts of a profile that say what sort of device it is for."""
    number = read_property(NM, device, DEVICE, "DeviceType")
    if number == TUN:
        no_pi, vnet_hdr, multi_queue = (
            read_property(NM, device, DEVICE + ".Tun", name) for name in ("NoPi", "VnetHdr", "MultiQueue")
        )
        return {
            "tun": {
                "mode": ("u", TAP),
                "pi": ("b", not no_pi),
                "vnet-hdr": ("b", vnet_hdr),
                "multi-queue": ("b", multi_queue),
            }
        }
    if number == GENERIC:
        return {"generic": {}}
    raise HostError(
        "NetworkManager takes %s for a device (type %d) that it wants to have made itself: remove its plugin for Open vSwitch, "
        "or give the NIC static addresses" % (bridge, number)
    )


def copied(original, profile, bridge, kind):
    """The settings of the bridge: those of the NIC's profile, and whatever makes the bridge the same client and neighbour."""
    head = original.get("connection", {})
    (name,) = kind
    connection = {
        "id": ("s", bridge),
        "type": ("s", name),
        "interface-name": ("s", bridge),
        "autoconnect": ("b", False),
        "stable-id": ("s", profile.uuid),
        **{key: head[key] for key in GOES_ALONG if key in head},
    }
    patient = {"may-fail": ("b", True), "dhcp-timeout": ("i", FOR_EVER)}
    four, six = (
        {"route-metric": ("x", profile.metric), **original.get(part, {}), **patient} for part in ("ipv4", "ipv6")
    )
    six["ra-timeout"] = ("i", FOR_EVER)
    if profile.client_id:
        four["dhcp-client-id"] = ("s", profile.client_id)
    if profile.token:
        six.update({"addr-gen-mode": ("i", 0), "token": ("s", profile.token)})
    return {
        "connection": connection,
        **kind,
        "ipv4": four,
        "ipv6": six,
        **({"proxy": original["proxy"]} if "proxy" in original else {}),
    }


def _wait(question, link):
    until = time.monotonic() + PATIENCE
    while not question():
        if time.monotonic() > until:
            raise HostError(
                "NetworkManager has not connected %s in %d seconds: look at nmcli device status" % (link, PATIENCE)
            )
        time.sleep(0.05)
