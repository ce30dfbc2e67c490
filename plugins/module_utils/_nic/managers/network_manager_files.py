# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""NetworkManager, and netplan that renders to it. It leaves the NIC alone, and then there are two ways:

- all addresses are for ever: it leaves the bridge alone too, and our own unit gives the bridge what the NIC had. Nothing is unreachable meanwhile;
- one is leased: it configures the bridge by a copy of the NIC's profile, as the same DHCP client. The copy is not in a file, since it is for a device
  that Open vSwitch makes anew at each boot: our unit has it made then.
"""

from __future__ import annotations

import ipaddress

from ..._common.errors import HostError
from ..._host.desired import File
from .model import Profile

FOLDER = "/etc/NetworkManager/conf.d"
HEAD = "# Part of the Ansible collection ovn.kubernetes: {nic} is a port of {bridge}, which has its addresses.\n"
DEVICE = "[device-ovn-kubernetes-{nic}]\nmatch-device={links}\nmanaged=0\n"
ADVICE = "give {nic} static addresses (nmcli connection modify), or let systemd-networkd configure it"


def profile(managed):
    """The NIC's profile, and whether it is the bridge's too. :raises HostError: in one sentence."""
    if not managed.leased:
        return Profile(managed.profile, metric=managed.metric)
    lease, advice = managed.lease, ADVICE.format(nic=managed.nic)
    where = f"{', '.join(managed.leased)} on {managed.nic}"
    if managed.helper:
        raise HostError(
            f"{where} is leased to {managed.helper}, which NetworkManager runs: let it use its own client (dhcp=internal), or {advice}"
        )
    if lease and lease.six:
        raise HostError(
            f"{where} is leased to NetworkManager by DHCPv6, whose identity on a bridge can't be told to be the same: {advice}"
        )
    if any(":" not in cidr for cidr in managed.leased) and not (lease and lease.client_id):
        raise HostError(
            f"{where} is leased to NetworkManager, but it does not say under which client identifier: {advice}"
        )
    tokens = sorted({_identifier(cidr) for cidr in managed.leased if ":" in cidr})
    if len(tokens) > 1:
        raise HostError(
            f"{where} is made by NetworkManager of several interface identifiers, of which a bridge can be given one: "
            f"set ipv6.addr-gen-mode eui64 in the profile of {managed.nic}"
        )
    client_id = bytes.fromhex(lease.client_id).hex(":") if lease and lease.client_id else ""
    return Profile(managed.profile, True, client_id, *tokens or ("",), metric=managed.metric)


def _identifier(cidr):
    """The interface identifier of an address in a /64, as IPv6 writes it."""
    return str(ipaddress.IPv6Address(int(ipaddress.ip_interface(cidr).ip) & (2**64 - 1)))


def files(managed, bridge):
    """The file that makes NetworkManager leave the NIC alone, and, where it does not configure the bridge, the bridge, and keep its name servers."""
    nic, links = managed.nic, f"interface-name:{managed.nic}"
    if managed.leased:
        return (File(_path(nic), HEAD.format(nic=nic, bridge=bridge) + DEVICE.format(nic=nic, links=links)),)
    content = HEAD.format(nic=nic, bridge=bridge) + DEVICE.format(nic=nic, links=f"{links},interface-name:{bridge}")
    servers = [line.split()[1] for line in managed.dns if line.startswith("nameserver ")]
    searches = [name for line in managed.dns if line.startswith("search ") for name in line.split()[1:]]
    if servers:
        content += "\n[global-dns]\n" + (f"searches={','.join(searches)}\n" if searches else "")
        content += f"\n[global-dns-domain-*]\nservers={','.join(servers)}\n"
    return (File(_path(nic), content),)


def aside(nic, bridge):
    """The file that makes NetworkManager leave a bridge alone, where it runs and somebody else configures the NIC."""
    return File(
        _path(nic), HEAD.format(nic=nic, bridge=bridge) + DEVICE.format(nic=nic, links=f"interface-name:{bridge}")
    )


def _path(nic):
    return f"{FOLDER}/90-ovn-kubernetes-{nic}.conf"
