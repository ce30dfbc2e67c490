# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of systemd-networkd (systemd.network(5)): the bridge gets what the NIC's .network file says, the NIC a file
without addresses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..._common.errors import HostError
from ..._host.desired import File

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .base import NicConfiguration

DIRECTORY = "/etc/systemd/network"
# Sections about addresses and what uses them: the bridge's. All others are about the hardware: the NIC's.
BRIDGE_SECTIONS = {
    "Network",
    "Address",
    "Neighbor",
    "IPv6AddressLabel",
    "RoutingPolicyRule",
    "NextHop",
    "Route",
    "DHCPv4",
    "DHCPv6",
    "DHCPPrefixDelegation",
    "IPv6AcceptRA",
    "DHCPServer",
    "DHCPServerStaticLease",
    "IPv6SendRA",
    "IPv6Prefix",
    "IPv6RoutePrefix",
    "IPv6PREF64Prefix",
}
# Keys of [Network] whose value is a link that has the NIC as a port.
MASTER_KEYS = {"Bridge", "Bond", "VRF", "BatmanAdvanced"}
# Keys of [Network] whose value is a link that takes its packets from the NIC.
STACKED_KEYS = {
    "VLAN",
    "MACVLAN",
    "MACVTAP",
    "IPVLAN",
    "IPVTAP",
    "VXLAN",
    "Tunnel",
    "Xfrm",
    "IPoIB",
    "MACsec",
    "L2TP",
    "FooOverUDP",
}
DHCP_IDENTITY_KEYS = {"ClientIdentifier", "IAID", "DUIDType", "DUIDRawData"}
NIC_FILE = """\
# Part of the Ansible collection ovn.kubernetes: {nic} is a port of {bridge}, which has its addresses. \
The file beside this one configures {bridge}.
[Match]
Name={nic}

[Network]
DHCP=no
LinkLocalAddressing=no
IPv6AcceptRA=no
LLDP=no

[Link]
RequiredForOnline=no
"""
ALONE_FILE = """\
# Part of the Ansible collection ovn.kubernetes: {nic} is a port of {bridge}, and only the gateway uses it.
[Match]
Name={nic}

[Network]
DHCP=no
LinkLocalAddressing=no
IPv6AcceptRA=no
LLDP=no

[Link]
RequiredForOnline=no
"""
BRIDGE_FILE = """\
# Part of the Ansible collection ovn.kubernetes: {bridge} in the place of {nic}, as in {sources}. \
Change it here as long as {nic} is in {bridge}.
[Match]
Name={bridge}
"""


@dataclass(frozen=True)
class Entry:
    """A line KEY=VALUE of a section: its key, and the whole line."""

    key: str
    line: str

    @property
    def value(self) -> str:
        return self.line.partition("=")[2].strip()

    def for_bridge(self, nic: str, bridge: str) -> str:
        """Return the line with the bridge as its value, where that is the NIC. What follows the NIC's carrier still
        does."""
        key, sign, value = self.line.partition("=")
        return f"{key}{sign}{bridge}" if value.strip() == nic and self.key != "BindCarrier" else self.line


@dataclass(frozen=True)
class Section:
    """A section of a file."""

    name: str
    entries: list[Entry]


def paths(nic: str, bridge: str) -> tuple[str, str]:
    """Return the paths of the NIC's and of the bridge's file. They sort before those of other programs."""
    return f"{DIRECTORY}/00-ovn-kubernetes-{nic}.network", f"{DIRECTORY}/00-ovn-kubernetes-{bridge}.network"


def files(nic: NicConfiguration, bridge: str) -> tuple[File, ...]:
    """Return the NIC's and the bridge's file.

    :raises HostError: the NIC's own files say that it can't be moved.
    """
    nic_path, bridge_path = _path_of_nic(nic, bridge), paths(nic.nic, bridge)[1]
    nic_lines, bridge_lines = _split(nic, bridge)
    sources = ", ".join(file.path for file in nic.files)
    nic_head = NIC_FILE.format(nic=nic.nic, bridge=bridge)
    bridge_head = BRIDGE_FILE.format(nic=nic.nic, bridge=bridge, sources=sources)
    return (
        File(nic_path, nic_head + "".join(f"{line}\n" for line in nic_lines)),
        File(bridge_path, bridge_head + "".join(f"{line}\n" for line in [*bridge_lines, *dhcp_identity(nic)])),
    )


def files_alone(nic: NicConfiguration, bridge: str) -> tuple[File, ...]:
    """Return the files of a NIC that the host does not use, and of its bridge: both without addresses.

    :raises HostError: the NIC's own files say that it can't be moved.
    """
    nic_path = _path_of_nic(nic, bridge)
    nic_lines, _bridge_lines = _split(nic, bridge)
    text = ALONE_FILE.format(nic=nic.nic, bridge=bridge) + "".join(f"{line}\n" for line in nic_lines)
    return File(nic_path, text), unmanaged_bridge(nic.nic, bridge)


def _path_of_nic(nic: NicConfiguration, bridge: str) -> str:
    """Return the path of the NIC's new file.

    :raises HostError: its own comes before.
    """
    source, (path, _bridge_path) = nic.files[0].path, paths(nic.nic, bridge)
    if source.rpartition("/")[2] < path.rpartition("/")[2]:
        raise HostError(
            f"{source}, which configures {nic.nic}, comes before any file that could take its place: rename it, so "
            "that it begins with 10- or more"
        )
    return path


def unmanaged_bridge(nic: str, bridge: str) -> File:
    """Return the file by which networkd leaves a bridge alone, where another manager configures the NIC."""
    return File(
        paths(nic, bridge)[1],
        f"# Part of the Ansible collection ovn.kubernetes: {bridge} has the addresses of {nic}, which are not "
        "systemd-networkd's.\n"
        f"[Match]\nName={bridge}\n\n[Link]\nUnmanaged=yes\n",
    )


def sections(text: str) -> list[Section]:
    """Return the sections of a file (systemd.syntax(7)). Comments are left out, continued lines are joined."""
    found: list[Section] = []
    for raw in re.sub(r"\\\n(?:[ \t]*[#;].*\n)*", " ", text).splitlines():
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            found.append(Section(line[1:-1], []))
        elif found:
            found[-1].entries.append(Entry(line.partition("=")[0].strip(), line))
    return found


def _split(nic: NicConfiguration, bridge: str) -> tuple[list[str], list[str]]:
    """Return the lines of the NIC's files that stay with it, and those that the bridge gets."""
    nic_lines: list[str] = []
    bridge_lines: list[str] = []
    has_client_id = nic.lease is not None and nic.lease.client_id
    for section in sections("\n".join(file.content or "" for file in nic.files)):
        if section.name == "Match":
            continue
        _refuse(section, nic)
        entries = section.entries
        if section.name not in BRIDGE_SECTIONS:
            # Whether a boot waits for the link is about its addresses.
            online = [one for one in entries if section.name == "Link" and one.key.startswith("Required")]
            nic_lines += _lines(section.name, (one.line for one in entries if one not in online))
            entries = online
            if not entries:
                continue
        if section.name in ("DHCPv4", "DHCPv6") and has_client_id:
            entries = [one for one in entries if one.key not in DHCP_IDENTITY_KEYS]
        bridge_lines += _lines(section.name, (one.for_bridge(nic.nic, bridge) for one in entries))
    return nic_lines, bridge_lines


def _lines(section: str, lines: Iterable[str]) -> list[str]:
    return ["", f"[{section}]", *lines]


def dhcp_identity(nic: NicConfiguration) -> list[str]:
    """Return lines that make the DHCP clients of the bridge those of the NIC: networkd derives identifiers from the
    link's name otherwise.

    A client identifier is 01 and a MAC, or ff, an IAID of four bytes, and a DUID: two bytes of type, then its data (RFC
    4361).

    :raises HostError: the identifier is not known, or networkd can't be told to use it.
    """
    if nic.lease is None or not nic.lease.client_id:
        leased = [address for address in nic.leased if ":" not in address]
        if leased:
            raise HostError(
                f"{', '.join(leased)} on {nic.nic} is leased, but systemd-networkd does not say under which client "
                "identifier: "
                "set ClientIdentifier=mac in its .network file and reload, or give the NIC a static address"
            )
        return []
    raw = bytes.fromhex(nic.lease.client_id)
    if raw[:1] == b"\x01":
        return _lines("DHCPv4", ["ClientIdentifier=mac"])
    if raw[:1] != b"\xff" or len(raw) < 8:
        raise HostError(
            f"the DHCP client of {nic.nic} has the identifier {nic.lease.client_id}, which systemd-networkd can't be "
            "told to use on a bridge: set ClientIdentifier=mac in its .network file, or give the NIC a static address"
        )
    iaid, duid_type = int.from_bytes(raw[1:5], "big"), int.from_bytes(raw[5:7], "big")
    pins = [f"IAID={iaid}", f"DUIDType={duid_type}", f"DUIDRawData={raw[7:].hex(':')}"]
    return [*_lines("DHCPv4", ["ClientIdentifier=duid", *pins]), *_lines("DHCPv6", pins)]


def _refuse(section: Section, nic: NicConfiguration) -> None:
    """Check a section.

    :raises HostError: it says that the NIC can't be moved.
    """
    path = nic.files[0].path
    for entry in section.entries:
        if section.name == "Network" and entry.key in MASTER_KEYS:
            raise HostError(
                f"{nic.nic} belongs to {entry.value} ({entry.key}= in {path}): move {entry.value} instead, or take "
                f"{nic.nic} out of it"
            )
        if section.name == "Network" and entry.key in STACKED_KEYS:
            raise HostError(
                f"{entry.value} is a link on top of {nic.nic} ({entry.key}= in {path}), and would get no packets any "
                "more: remove it first"
            )
        if entry.key == "Token" and entry.value.startswith("prefixstable"):
            raise HostError(
                f"{nic.nic} makes its IPv6 addresses from its name (Token=prefixstable in {path}), so its bridge "
                "would get others: "
                "use Token=eui64 or static addresses"
            )
