# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""NetworkManager, and netplan that renders to it: it leaves NIC and bridge alone, and our own unit gives the bridge what the NIC had.

NetworkManager configures bridges of Open vSwitch only when it has made them itself, ports and all; so it can't run a DHCP client on ours.
"""

from __future__ import annotations

from ..hostnet.errors import HostError
from ..hostnet.state import File

FOLDER = "/etc/NetworkManager/conf.d"
HEAD = "# Part of the Ansible collection ovn.kubernetes: {nic} is a port of {bridge}, which has its addresses.\n"
DEVICE = "[device-ovn-kubernetes-{nic}]\nmatch-device={links}\nmanaged=0\n"


def files(managed, bridge):
    """The file that makes NetworkManager leave the NIC alone, and keep its name servers. :raises HostError: in one sentence."""
    nic = managed.nic
    if managed.leased:
        raise HostError(f"{', '.join(managed.leased)} on {nic} is leased to NetworkManager, which can't renew it on a bridge that it has not made: "
                        f"give {nic} static addresses (nmcli connection modify), or let systemd-networkd configure it")
    content = HEAD.format(nic=nic, bridge=bridge) + DEVICE.format(nic=nic, links=f"interface-name:{nic},interface-name:{bridge}")
    servers = [line.split()[1] for line in managed.dns if line.startswith("nameserver ")]
    searches = [name for line in managed.dns if line.startswith("search ") for name in line.split()[1:]]
    if servers:
        content += "\n[global-dns]\n" + (f"searches={','.join(searches)}\n" if searches else "")
        content += f"\n[global-dns-domain-*]\nservers={','.join(servers)}\n"
    return (File(_path(nic), content),)


def aside(nic, bridge):
    """The file that makes NetworkManager leave a bridge alone, where it runs and somebody else configures the NIC."""
    return File(_path(nic), HEAD.format(nic=nic, bridge=bridge) + DEVICE.format(nic=nic, links=f"interface-name:{bridge}"))


def _path(nic):
    return f"{FOLDER}/90-ovn-kubernetes-{nic}.conf"
