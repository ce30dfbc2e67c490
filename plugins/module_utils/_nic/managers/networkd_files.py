# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""systemd-networkd, and netplan that renders to it: the bridge gets what the NIC's .network file says, the NIC a file that leaves it bare.

Both are new files that sort before the one that is there; it stays as it is.
"""

from __future__ import annotations

import re

from ..._common.errors import HostError
from ..._host.desired import File

FOLDER = "/etc/systemd/network"
# Sections of systemd.network(5) about addresses and what goes on above them: the bridge's. All others are about the hardware: the NIC's.
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
BELONGS = {"Bridge", "Bond", "VRF", "BatmanAdvanced"}
STACKED = {
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
IDENTITY = {"ClientIdentifier", "IAID", "DUIDType", "DUIDRawData"}
# Without arguments it waits for all links that networkd configures, but for those that say RequiredForOnline=no.
ONLINE = """\
# Part of the Ansible collection ovn.kubernetes: {nic} is a port of {bridge} and has no addresses, so that a boot must not wait for it.
[Service]
ExecStart=
ExecStart=/lib/systemd/systemd-networkd-wait-online
"""
LONE = """\
# Part of the Ansible collection ovn.kubernetes: {nic} is a port of {bridge}, which has its addresses. The file beside this one configures {bridge}.
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
HEAD = """\
# Part of the Ansible collection ovn.kubernetes: {bridge} in the place of {nic}, as in {sources}. Change it here as long as {nic} is in {bridge}.
[Match]
Name={bridge}
"""


def paths(nic, bridge):
    """The two files: the NIC's, the bridge's."""
    return f"{FOLDER}/00-ovn-kubernetes-{nic}.network", f"{FOLDER}/00-ovn-kubernetes-{bridge}.network"


def files(managed, bridge):
    """The files that make the bridge stand in for the NIC. :raises HostError: in one sentence."""
    nic = managed.nic
    found = managed.files[0].path
    if found.rpartition("/")[2] < paths(nic, bridge)[0].rpartition("/")[2]:
        raise HostError(
            f"{found}, which configures {nic}, comes before any file that could take its place: rename it, so that it begins with 10- or more"
        )
    lone, stand_in = [], []
    for section, entries in sections("\n".join(file.content for file in managed.files)):
        if section == "Match":
            continue
        kept = [entry for entry in entries if not _refuse(section, entry, managed, found)]
        if section not in BRIDGE_SECTIONS:
            lone += [
                "",
                f"[{section}]",
                *[text for key, text in kept if not (section == "Link" and key.startswith("Required"))],
            ]
            kept = [entry for entry in kept if section == "Link" and entry[0].startswith("Required")]
            if not kept:
                continue
        if section in ("DHCPv4", "DHCPv6") and managed.lease and managed.lease.client_id:
            kept = [(key, text) for key, text in kept if key not in IDENTITY]
        stand_in += ["", f"[{section}]", *[_for_bridge(key, text, nic, bridge) for key, text in kept]]
    stand_in += identity(managed)
    nic_path, bridge_path = paths(nic, bridge)
    names = ", ".join(file.path for file in managed.files)
    online = File(
        f"/etc/systemd/system/systemd-networkd-wait-online.service.d/20-ovn-kubernetes-{nic}.conf",
        ONLINE.format(nic=nic, bridge=bridge),
    )
    return (
        File(nic_path, "\n".join([LONE.format(nic=nic, bridge=bridge).rstrip("\n"), *lone]) + "\n"),
        File(
            bridge_path, "\n".join([HEAD.format(nic=nic, bridge=bridge, sources=names).rstrip("\n"), *stand_in]) + "\n"
        ),
        *([online] if managed.awaited else []),
    )


def aside(nic, bridge):
    """The file that makes networkd leave a bridge alone, where it runs and somebody else configures the NIC."""
    return File(
        f"{FOLDER}/00-ovn-kubernetes-{bridge}.network",
        f"# Part of the Ansible collection ovn.kubernetes: {bridge} has the addresses of {nic}, which are not systemd-networkd's.\n"
        f"[Match]\nName={bridge}\n\n[Link]\nUnmanaged=yes\n",
    )


def sections(text):
    """[(section, [(key, line), ...]), ...] of a file as systemd.syntax(7) has them; comments go, continued lines become one."""
    found = []
    for line in re.sub(r"\\\n(?:[ \t]*[#;].*\n)*", " ", text).splitlines():
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            found.append((line[1:-1], []))
        elif found:
            found[-1][1].append((line.partition("=")[0].strip(), line))
    return found


def identity(managed):
    """Lines that make the DHCP clients of the bridge the same clients: networkd makes identifiers of the link's name otherwise.

    A client identifier is 01 and a MAC, or ff, an IAID of four bytes, and a DUID: two bytes of type, then its data (RFC 4361).
    """
    if managed.lease is None or not managed.lease.client_id:
        leased = [address for address in managed.leased if ":" not in address]
        if leased:
            raise HostError(
                f"{', '.join(leased)} on {managed.nic} is leased, but systemd-networkd does not say under which client identifier: "
                "set ClientIdentifier=mac in its .network file and reload, or give the NIC a static address"
            )
        return []
    raw = bytes.fromhex(managed.lease.client_id)
    if raw[:1] == b"\x01":
        return ["", "[DHCPv4]", "ClientIdentifier=mac"]
    if raw[:1] != b"\xff" or len(raw) < 8:
        raise HostError(
            f"the DHCP client of {managed.nic} has the identifier {managed.lease.client_id}, which systemd-networkd can't be told "
            "to use on a bridge: set ClientIdentifier=mac in its .network file, or give the NIC a static address"
        )
    pins = [
        f"IAID={int.from_bytes(raw[1:5], 'big')}",
        f"DUIDType={int.from_bytes(raw[5:7], 'big')}",
        "DUIDRawData=" + raw[7:].hex(":"),
    ]
    return ["", "[DHCPv4]", "ClientIdentifier=duid", *pins, "", "[DHCPv6]", *pins]


def _for_bridge(key, text, nic, bridge):
    """A line whose value names the NIC names the bridge; what follows the NIC's carrier still does."""
    name, sign, value = text.partition("=")
    return f"{name}{sign}{bridge}" if value.strip() == nic and key != "BindCarrier" else text


def _refuse(section, entry, managed, path):
    """:returns: False; :raises HostError: for a line that says that the NIC can't be moved."""
    key, text = entry
    value = text.partition("=")[2].strip()
    if section == "Network" and key in BELONGS:
        raise HostError(
            f"{managed.nic} belongs to {value} ({key}= in {path}): move {value} instead, or take {managed.nic} out of it"
        )
    if section == "Network" and key in STACKED:
        raise HostError(
            f"{value} stands on {managed.nic} ({key}= in {path}), and would see no packets there any more: take it away first"
        )
    if key == "Token" and value.startswith("prefixstable"):
        raise HostError(
            f"{managed.nic} makes its IPv6 addresses from its name (Token=prefixstable in {path}), so {managed.nic}'s bridge would get others: "
            "use Token=eui64 or static addresses"
        )
    return False
