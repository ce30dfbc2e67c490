# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who configures a NIC of this host: in the files that managers keep while they run, and in their configuration."""

from __future__ import annotations

import glob
import ipaddress
import os
import re
import shlex

from ..._common.errors import HostError
from ..._common.files import read_file
from ..._host.desired import File
from ..._netlink.addresses import read_addresses
from ..._netlink.constants import INFINITY
from ..._netlink.links import link_index, read_kind, read_link
from ..._netlink.socket import RouteSocket
from .dhclient import clients
from .model import IFUPDOWN, NETWORK_MANAGER, NETWORKD, Lease, Managed

IFUP = "/sbin/ifup"
INTERFACES = "/etc/network/interfaces"
IFSTATE = "/run/network/ifstate"
NETWORKING, MASK = "/etc/systemd/system/*.wants/networking.service", "/etc/systemd/system/networking.service"
NETIF = "/run/systemd/netif"
WAIT_ONLINE = "/run/systemd/system/systemd-networkd-wait-online.service.d/*.conf"
DHCLIENT_CONF = "/etc/dhcp/dhclient.conf"
NM_DEVICES = "/run/NetworkManager/devices"
RESOLV_CONF = "/etc/resolv.conf"
MADE = {
    "bond": "bond",
    "team": "team",
    "vlan": "VLAN interface",
    "macvlan": "macvlan",
    "dummy": "dummy",
}  # a boot has them if somebody makes them
CLIENTS = {"dhclient", "dhcpcd", "udhcpc", "pump", "dhcp6c", "odhcp6c", "wickedd-dhcp4", "wickedd-dhcp6"}
MANAGERS = {"connmand", "wickedd", "netifd", "dhcpcd"}  # they take every NIC that they find
ADVICE = "let one of systemd-networkd, NetworkManager and ifupdown configure it"


def find(nic):
    """Who configures the NIC, and how.

    :returns: a :class:`.managed.Managed`.
    :raises HostError: in one sentence, when several do at once, or somebody whom we don't know.
    """
    try:
        return _find(nic)
    except OSError as error:
        raise HostError("who configures %s can't be found out: %s" % (nic, error)) from error


def _find(nic):
    with RouteSocket() as kernel:
        link, kind = read_link(kernel, nic), read_kind(kernel, nic)
        addresses = [
            address for address in read_addresses(kernel, {nic}) if address.configured and address.valid != INFINITY
        ]
    mac = link.mac if link else ""
    networkd, network_manager, stanzas = networkd_link(nic), nm_device(nic), _interfaces(nic)
    by = [
        name
        for name, there in (
            (NETWORKD, "NETWORK_FILE" in networkd),
            (NETWORK_MANAGER, network_manager.get("managed") == "true" and "connection-uuid" in network_manager),
            (IFUPDOWN, bool(stanzas)),
        )
        if there
    ]
    if len(by) > 1:
        raise HostError("%s is configured by %s at once: %s alone" % (nic, " and ".join(by), ADVICE))
    manager = by[0] if by else None
    if manager == NETWORK_MANAGER and kind and kind.kind in MADE:
        raise HostError(
            "%s is a %s that NetworkManager makes at boot, and it makes none that it is told to leave alone: "
            "let systemd-networkd or ifupdown configure it" % (nic, MADE[kind.kind])
        )
    _refuse_clients(nic, manager)
    leased = tuple(
        address.cidr
        for address in addresses
        if manager in (NETWORKD, NETWORK_MANAGER) or not _autoconfigured(address, mac)
    )
    files = {NETWORKD: lambda: _networkd_files(networkd), IFUPDOWN: lambda: stanzas}.get(manager, tuple)()
    lease = {NETWORKD: lambda: _lease(nic), NETWORK_MANAGER: lambda: _nm_lease(network_manager)}.get(
        manager, lambda: None
    )()
    running = tuple(
        name for name, folder in ((NETWORKD, NETIF + "/state"), (NETWORK_MANAGER, NM_DEVICES)) if os.path.exists(folder)
    )
    more = {
        NETWORKD: lambda: {"awaited": _awaited(nic)},
        NETWORK_MANAGER: lambda: {
            "dns": _dns(),
            "profile": network_manager["connection-uuid"],
            "helper": _helper(nic),
            "metric": default_metric(network_manager),
        },
    }.get(manager, dict)()
    return Managed(nic, mac, manager, files, lease, leased, running, **more)


def _refuse_clients(nic, manager):
    """:raises HostError: for programs that give the NIC addresses beside its manager."""
    links = set(os.listdir("/sys/class/net"))
    for program, words in _programs(MANAGERS):
        if not links.intersection(words):
            raise HostError(
                "%s runs on this host and takes every NIC, and how it would treat a bridge is not known: %s"
                % (program, ADVICE)
            )
    own = [(program, words) for program, words in _programs(CLIENTS) if nic in words]
    families = [6 if "-6" in words else 4 for _program, words in own]
    programs = sorted({program for program, _words in own})
    if len(families) > len(set(families)) or (own and manager == NETWORKD):
        raise HostError(
            "%s has two DHCP clients (%s): end one of them"
            % (nic, ", ".join(programs + ([NETWORKD] if manager == NETWORKD else [])))
        )
    if own and manager != NETWORK_MANAGER and (manager is None or programs != ["dhclient"]):
        reason = "its leases can't be handed over" if manager else "what starts it at boot is not known"
        raise HostError("%s runs for %s, and %s: %s" % (programs[0], nic, reason, ADVICE))
    conf = read_file(DHCLIENT_CONF) if own else None
    if conf and re.search(r'^\s*interface\s+"%s"' % re.escape(nic), conf.content, re.M):
        raise HostError(
            '%s has settings for interface "%s" alone, which would not count for its bridge: write them for all interfaces'
            % (DHCLIENT_CONF, nic)
        )


def _programs(names):
    """[(name, words of its command line), ...]; some write what they do there, in one piece."""
    return [(name, " ".join(words).split()) for _process, name, words in clients(names)]


def _autoconfigured(address, mac):
    """Whether the kernel made the address of a router's advertisement and the MAC: it will do so on the bridge."""
    if address.version != 6 or not mac or not address.cidr.endswith("/64"):
        return False
    first, *rest = bytes.fromhex(mac.replace(":", ""))
    made = bytes([first ^ 2, *rest[:2], 0xFF, 0xFE, *rest[2:]]).hex()
    return ipaddress.ip_address(address.ip).packed[8:].hex() == made


# systemd-networkd


def networkd_link(name):
    """What networkd keeps of a link, empty where it does not run or does not know it; :returns: key -> value."""
    try:
        index = link_index(name)
    except OSError:
        return {}
    return _assignments("%s/links/%d" % (NETIF, index))


def _networkd_files(link):
    paths = [link["NETWORK_FILE"], *shlex.split(link.get("NETWORK_FILE_DROPINS", ""))]
    return tuple(
        File(path, file.content, file.mode) for path, file in ((path, read_file(path)) for path in paths) if file
    )


def _lease(nic):
    lease = _assignments("%s/leases/%d" % (NETIF, link_index(nic)))
    return Lease(lease["ADDRESS"], lease.get("CLIENTID", "")) if "ADDRESS" in lease else None


def _awaited(nic):
    files = filter(None, map(read_file, glob.glob(WAIT_ONLINE)))
    return any(re.search(r"^ExecStart=.*\s%s(:|\s|$)" % re.escape(nic), file.content, re.M) for file in files)


# NetworkManager


def nm_device(name):
    """What NetworkManager keeps of a link, empty where it does not run or does not know it; :returns: key -> value."""
    try:
        return _assignments("%s/%d" % (NM_DEVICES, link_index(name)))
    except OSError:
        return {}


def default_metric(device):
    """The metric that NetworkManager has for the routes of a profile that says none, -1: it is not known."""
    return int(device.get("route-metric-default-effective", -1))


def _nm_lease(device):
    ip, six = device.get("dhcp4.ip_address"), any(key.startswith("dhcp6.") for key in device)
    return Lease(ip or "", device.get("dhcp4.dhcp_client_identifier", "").replace(":", ""), six) if ip or six else None


def _helper(nic):
    return next((program for program, words in _programs(CLIENTS) if nic in words), None)


def _dns():
    file = read_file(RESOLV_CONF)
    lines = file.content.splitlines() if file else []
    return tuple(lines) if lines[:1] == ["# Generated by NetworkManager"] else ()


# ifupdown


def _interfaces(nic):
    """The files that ifupdown reads, when it has set the NIC up or will at boot; else none."""
    files = _sources(INTERFACES, set()) if os.path.exists(IFUP) else ()
    state = read_file(IFSTATE)
    words = [line.split() for file in files for line in file.content.splitlines()]
    up = state is not None and any(line.partition("=")[0] == nic for line in state.content.splitlines())
    if not any(line[:2] == ["iface", nic] for line in words) and not up:
        return ()
    at_boot = any(
        line[:1] and (line[0] == "auto" or line[0].startswith("allow-")) and nic in line[1:] for line in words
    )
    if not up and not (at_boot and glob.glob(NETWORKING) and os.path.realpath(MASK) != os.devnull):
        return ()
    if not up:
        raise HostError(
            "%s has a stanza in the files of ifupdown that has not been used: run ifup %s, or take the stanza out"
            % (nic, nic)
        )
    return files


def _sources(path, seen):
    file = read_file(path)
    if file is None or path in seen:
        return ()
    seen.add(path)
    files = [File(path, file.content, file.mode)]
    for line in file.content.splitlines():
        words = line.split()
        if words[:1] == ["source"]:
            patterns = [os.path.join(os.path.dirname(path), word) for word in words[1:]]
        elif words[:1] == ["source-directory"]:
            patterns = [os.path.join(os.path.dirname(path), word, "*") for word in words[1:]]
        else:
            continue
        for pattern in patterns:
            for one in sorted(glob.glob(pattern)):
                files += _sources(one, seen) if os.path.isfile(one) else ()
    return tuple(files)


def _assignments(path):
    """KEY=value lines of a file, empty where there is none."""
    file = read_file(path)
    lines = file.content.splitlines() if file else []
    return {key: value for key, sign, value in (line.partition("=") for line in lines) if sign}
