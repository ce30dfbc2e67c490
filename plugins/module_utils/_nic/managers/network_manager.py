# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""NetworkManager, also where netplan writes its profiles. It is told to leave the NIC alone; then there are two ways:

- no address is leased: it leaves the bridge alone too, and this collection's unit gives the bridge what the NIC had.
  Nothing is unreachable meanwhile;
- one is leased: it configures the bridge by a copy of the NIC's profile, as the same DHCP client. The copy is not in a
  file, since it is for a device that Open vSwitch makes again at each boot: this collection's unit has it made then
  (:mod:`.network_manager_dbus`).
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..._common.errors import HostError
from ..._common.failures import do_all
from ..._common.files import read_file
from ..._host.desired import File
from . import dhclient
from . import network_manager_dbus as dbus
from .base import Lease, Manager, ManagerFiles, NicConfiguration, NicLink, Profile, link_exists, removed
from .network_manager_profile import NO_METRIC

if TYPE_CHECKING:
    from typing import ClassVar

    from ..steps import Handover, HandoverStep

DEVICES = dbus.DEVICES
RESOLV_CONF = "/etc/resolv.conf"
DIRECTORY = "/etc/NetworkManager/conf.d"
HEAD_ALONE = "# Part of the Ansible collection ovn.kubernetes: {nic} is a port of {bridge}, for the gateway alone.\n"
HEAD = "# Part of the Ansible collection ovn.kubernetes: {nic} is a port of {bridge}, which has its addresses.\n"
DEVICE = "[device-ovn-kubernetes-{nic}]\nmatch-device={links}\nmanaged=0\n"
STATIC_ADVICE = "give {nic} static addresses (nmcli connection modify), or let systemd-networkd configure it"
# Kinds of links that a boot has only if somebody makes them: kind of ip-link(8) -> what a sentence calls it.
MADE_LINKS = {"bond": "bond", "team": "team", "vlan": "VLAN interface", "macvlan": "macvlan", "dummy": "dummy"}
INTERFACE_IDENTIFIER = 2**64 - 1  # the last 64 bits of an IPv6 address


@dataclass(frozen=True)
class NetworkManagerNic(NicConfiguration):
    """A NIC that NetworkManager configures.

    :ivar profile: the uuid of its connection profile.
    :ivar metric: of the routes of a profile that has none; -1: not known.
    :ivar dns: the lines of /etc/resolv.conf, where NetworkManager wrote that file.
    :ivar helper: a DHCP client that NetworkManager runs for the NIC; None: it uses its own.
    """

    profile: str = ""
    metric: int = NO_METRIC
    dns: tuple[str, ...] = ()
    helper: str | None = None


class NetworkManager(Manager):
    """NetworkManager. It keeps what it knows of a link in /run/NetworkManager/devices."""

    name: ClassVar[str] = "NetworkManager"
    handles_advertisements: ClassVar[bool] = True
    dhcp_programs: ClassVar[frozenset[str] | None] = None
    told_first: ClassVar[bool] = True

    def is_running(self) -> bool:
        return os.path.exists(DEVICES)

    def detect(self, link: NicLink) -> NetworkManagerNic | None:
        device = dbus.device_state(link.index, DEVICES)
        if device.get("managed") != "true" or "connection-uuid" not in device:
            return None
        if link.kind in MADE_LINKS:
            raise HostError(
                f"{link.name} is a {MADE_LINKS[link.kind]} that NetworkManager makes at boot, and it makes none that "
                "it is told to leave alone: let systemd-networkd or ifupdown configure it"
            )
        return NetworkManagerNic(
            nic=link.name,
            manager=self.name,
            lease=_lease(device),
            profile=device["connection-uuid"],
            metric=dbus.default_metric(device),
            dns=_dns_lines(),
            helper=dhclient.helper(link.name),
        )

    def query(self, nic: NicConfiguration) -> NicConfiguration:
        """Return the configuration with the metric that the NIC's routes have now, and what its profile says."""
        if not isinstance(nic, NetworkManagerNic):
            return nic
        metric = dbus.current_metric(nic.nic, nic.profile, nic.metric)
        static = dbus.static_addresses(nic.profile)
        return replace(nic, metric=metric, advertised=dbus.takes_advertisements(nic.profile), addresses=static)

    def refuse(self, nic: NicConfiguration, datapath: str) -> None:
        dbus.refuse(nic.nic, profile_of(nic), datapath)

    def files(self, nic: NicConfiguration, bridge: str) -> ManagerFiles:
        profile = profile_of(nic)
        links = [nic.nic] if profile.on_bridge else [nic.nic, bridge]
        content = _unmanaged(nic.nic, bridge, links)
        if not profile.on_bridge and isinstance(nic, NetworkManagerNic):
            content += _global_dns(nic.dns)
        desired = (File(_path(nic.nic), content),)
        return ManagerFiles(desired, removed(desired), configures_bridge=profile.on_bridge, profile=profile)

    def files_alone(self, nic: NicConfiguration, bridge: str) -> ManagerFiles:
        links = ",".join(f"interface-name:{link}" for link in (nic.nic, bridge))
        head = HEAD_ALONE.format(nic=nic.nic, bridge=bridge)
        desired = (File(_path(nic.nic), head + DEVICE.format(nic=nic.nic, links=links)),)
        uuid = nic.profile if isinstance(nic, NetworkManagerNic) else ""
        metric = nic.metric if isinstance(nic, NetworkManagerNic) else NO_METRIC
        return ManagerFiles(desired, removed(desired), profile=Profile(uuid, metric=metric))

    def unmanaged_bridge(self, nic: str, bridge: str) -> File | None:
        return File(_path(nic), _unmanaged(nic, bridge, [bridge]))

    def notify(self, step: HandoverStep) -> None:
        do_all(
            dbus.reload,
            lambda: dbus.set_managed(step.nic, not step.to_bridge),
            lambda: self._configure(step),
        )

    @staticmethod
    def _configure(step: HandoverStep) -> None:
        """Let NetworkManager configure the NIC, or the bridge, or nothing."""
        if step.profile is None or not step.profile.on_bridge:
            dbus.set_managed(step.bridge, False)
        elif step.to_bridge and link_exists(step.bridge):
            dbus.activate_bridge(step.bridge, step.profile, step.waits)
        if not step.to_bridge and link_exists(step.nic):
            dbus.activate_nic(step.nic, step.profile)

    def notify_alone(self, step: HandoverStep) -> None:
        def activate() -> None:
            if not step.to_bridge and link_exists(step.nic):
                dbus.activate_nic(step.nic, step.profile, completely=False)

        do_all(
            dbus.reload,
            lambda: dbus.set_managed(step.nic, not step.to_bridge),
            lambda: dbus.set_managed(step.bridge, False),
            activate,
        )

    def must_restore(self, handover: Handover, had_addresses: bool) -> bool:
        profile = handover.profile
        return profile is not None and profile.on_bridge and not dbus.configures(handover.bridge)


def profile_of(nic: NicConfiguration) -> Profile:
    """Return the NIC's profile, and whether the bridge gets a copy of it.

    :raises HostError: an address is leased, and the bridge can't be told to be the same client.
    """
    uuid, metric, helper = "", NO_METRIC, None
    if isinstance(nic, NetworkManagerNic):
        uuid, metric, helper = nic.profile, nic.metric, nic.helper
    if not nic.leased:
        return Profile(uuid, metric=metric)
    lease, advice = nic.lease, STATIC_ADVICE.format(nic=nic.nic)
    leased = f"{', '.join(nic.leased)} on {nic.nic}"
    if helper:
        raise HostError(
            f"{leased} is leased to {helper}, which NetworkManager runs: let it use its own client (dhcp=internal), "
            f"or {advice}"
        )
    if lease and lease.ipv6:
        raise HostError(
            f"{leased} is leased to NetworkManager by DHCPv6, whose identity on a bridge can't be told to be the "
            f"same: {advice}"
        )
    if any(":" not in cidr for cidr in nic.leased) and not (lease and lease.client_id):
        raise HostError(
            f"{leased} is leased to NetworkManager, but it does not say under which client identifier: {advice}"
        )
    tokens = sorted({_interface_identifier(cidr) for cidr in nic.leased if ":" in cidr})
    if len(tokens) > 1:
        raise HostError(
            f"{leased} is made by NetworkManager of several interface identifiers, of which a bridge can be given one: "
            f"set ipv6.addr-gen-mode eui64 in the profile of {nic.nic}"
        )
    client_id = bytes.fromhex(lease.client_id).hex(":") if lease and lease.client_id else ""
    return Profile(uuid, True, client_id, tokens[0] if tokens else "", metric)


def _interface_identifier(cidr: str) -> str:
    """Return the last 64 bits of an address, as an IPv6 address (the form of ``token`` in nm-settings(5))."""
    return str(ipaddress.IPv6Address(int(ipaddress.ip_interface(cidr).ip) & INTERFACE_IDENTIFIER))


def _lease(device: dict[str, str]) -> Lease | None:
    ip, ipv6 = device.get("dhcp4.ip_address", ""), any(key.startswith("dhcp6.") for key in device)
    if not ip and not ipv6:
        return None
    return Lease(ip, device.get("dhcp4.dhcp_client_identifier", "").replace(":", ""), ipv6)


def _dns_lines() -> tuple[str, ...]:
    file = read_file(RESOLV_CONF)
    lines = file.content.splitlines() if file else []
    return tuple(lines) if lines[:1] == ["# Generated by NetworkManager"] else ()


def _path(nic: str) -> str:
    return f"{DIRECTORY}/90-ovn-kubernetes-{nic}.conf"


def _unmanaged(nic: str, bridge: str, links: list[str]) -> str:
    """Return the text that makes NetworkManager leave links alone (NetworkManager.conf(5), device section)."""
    matches = ",".join(f"interface-name:{link}" for link in links)
    return HEAD.format(nic=nic, bridge=bridge) + DEVICE.format(nic=nic, links=matches)


def _global_dns(lines: tuple[str, ...]) -> str:
    """Return the text that keeps the name servers, which NetworkManager would forget with the NIC; empty: there are
    none."""
    servers = [line.split()[1] for line in lines if line.startswith("nameserver ")]
    searches = [name for line in lines if line.startswith("search ") for name in line.split()[1:]]
    if not servers:
        return ""
    search = f"searches={','.join(searches)}\n" if searches else ""
    return f"\n[global-dns]\n{search}\n[global-dns-domain-*]\nservers={','.join(servers)}\n"
