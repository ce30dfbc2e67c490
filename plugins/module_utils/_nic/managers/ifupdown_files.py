# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ifupdown: in the files that interfaces(5) reads, the NIC's stanzas become the bridge's, and the NIC gets one that only sets it up.

ifupdown knows no order between files, so that the NIC's own files are edited; the inverse is their text as it was.
"""

from __future__ import annotations

import fnmatch
import re

from ..._common.errors import HostError
from ..._host.desired import File

STANZAS = {"auto", "iface", "mapping", "source", "source-directory", "rename", "no-auto-down", "no-scripts", "template"}
COMMANDS = {"pre-up", "up", "post-up", "down", "pre-down", "post-down"}
# Options of the address families' methods; interfaces(5), and dns-* of resolvconf(8).
BRIDGE_OPTIONS = {
    "address",
    "netmask",
    "broadcast",
    "gateway",
    "metric",
    "pointopoint",
    "scope",
    "label",
    "network",
    "hostname",
    "client",
    "vendor",
    "leasehours",
    "leasetime",
    "request_prefix",
    "ll-attempts",
    "ll-interval",
    "accept_ra",
    "autoconf",
    "privext",
    "dad-attempts",
    "dad-interval",
    "preferred-lifetime",
    "dns-nameserver",
    "dns-nameservers",
    "dns-search",
    "dns-domain",
    "dns-sortlist",
}
NIC_OPTIONS = {"mtu", "hwaddress", "slaves", "vlan-raw-device", "vlan_raw_device"}
NIC_PREFIXES = ("bond-", "ethernet-", "link-", "offload-", "hardware-", "driver-", "gro-", "gso-", "tso-")
METHODS = {"inet": {"static", "dhcp"}, "inet6": {"static", "auto", "dhcp"}}
MARK = "# Part of the Ansible collection ovn.kubernetes: {nic} is a port of {bridge}, which has its addresses."
# Open vSwitch has to have made the bridge before the addresses come.
ORDER = File(
    "/etc/systemd/system/networking.service.d/ovn-kubernetes.conf",
    """\
# Part of the Ansible collection ovn.kubernetes: a NIC is in a bridge of Open vSwitch, and the bridge has its addresses.
[Unit]
Wants=ovs-vswitchd.service
After=ovs-vswitchd.service
""",
)


def files(managed, bridge):
    """(files that make the bridge stand in for the NIC, the same files as they are). :raises HostError: in one sentence."""
    nic, mine, inverse, lone = managed.nic, [], [], False
    for file in managed.files:
        text = _rewritten(file, managed, bridge, lone)
        if text != file.content:
            if file.path.startswith("/run/"):
                raise HostError(
                    f"{file.path}, which configures {nic}, is made anew at each boot: write the NIC's stanza into /etc/network/interfaces"
                )
            mine.append(File(file.path, text, file.mode))
            inverse.append(file)
            lone = lone or bool(re.search(rf"^iface {re.escape(nic)} inet manual$", text, re.M))
    if not lone:
        raise HostError(
            f"ifupdown has set up {nic}, but none of its files has an iface stanza for it any more: write one, or run ifdown {nic}"
        )
    return (*mine, ORDER), (*inverse, File(ORDER.path, None))


def _rewritten(file, managed, bridge, lone):
    """The text with the NIC's stanzas made the bridge's; ``lone``: the NIC has its own stanza already."""
    nic, out, started = managed.nic, [], False
    for words, lines in stanzas(file.content):
        if not words or words[0] != "iface" or words[1:2] != [nic]:
            _refuse(words, lines, nic, file.path)
            out += (
                [_with_bridge(lines[0], words, nic, bridge, managed), *lines[1:]]
                if words and _is_auto(words)
                else lines
            )
            continue
        family, method = (*words[2:4], "", "")[:2]
        own, others = _parts(words, lines[1:], nic, bridge, file.path)
        if not lone and not started:
            out += [MARK.format(nic=nic, bridge=bridge), f"iface {nic} inet manual", *own]
            started = True
        elif own:
            out += [f"iface {nic} {family} manual", *own]
        if method != "manual":
            out += [f"iface {bridge} {' '.join(words[2:])}", *others]
    if started and bridge not in _listed(out):
        out += [f"auto {bridge}"]
    return "\n".join(out) + "\n"


def _parts(words, lines, nic, bridge, path):
    """The lines of an iface stanza: (those that the NIC keeps, those that go to the bridge)."""
    family, method = (*words[2:4], "", "")[:2]
    where = f"iface {' '.join(words[1:])} in {path}"
    if len(words) > 4:
        raise HostError(f"{where} inherits from another stanza: write its options out")
    if method not in METHODS.get(family, ()) and method != "manual":
        raise HostError(f"{where} has the method {method}, which can't be had on a bridge: use static, dhcp or auto")
    own, others = [], []
    for line in lines:
        option, value = (*line.split(None, 1), "", "")[:2]
        if option in COMMANDS:
            to_nic = method == "manual" or re.search(r"(^|[\s/])(ethtool|ip\s+link|mii-tool)\s", value)
            (own if to_nic else others).append(line if to_nic else _renamed(line, nic, bridge))
        elif not option or option.startswith("#") or option in BRIDGE_OPTIONS:
            others.append(line)
        elif option in NIC_OPTIONS or option.startswith(NIC_PREFIXES):
            own.append(line)
        else:
            raise HostError(
                f"{where} has the option {option}, of which it is not known whether it is {nic}'s or goes with the addresses: "
                "take it out, or write it as a command (up ...)"
            )
    return own, others


def stanzas(text):
    """[(words of the first line, lines), ...]; comments and empty lines before the first stanza, and continued lines, are kept as they are."""
    found, going_on = [], False
    for line in text.splitlines():
        words = [] if going_on else line.split()
        starts = words and (words[0] in STANZAS or words[0].startswith("allow-"))
        if starts or not found:
            found.append((words if starts else [], [line]))
        else:
            found[-1][1].append(line)
        going_on = line.endswith("\\")
    return found


def _is_auto(words):
    return words[0] == "auto" or (words[0].startswith("allow-") and words[0] != "allow-")


def _with_bridge(line, words, nic, bridge, managed):
    """A line of NICs that are set up at boot; a hotplugged NIC's bridge is set up at boot too, since Open vSwitch makes it then."""
    if words[0] == "auto" and nic in words[1:] and bridge not in words[1:]:
        return f"{line.rstrip()} {bridge}"
    return line


def _listed(lines):
    """Names that "auto" has."""
    return {name for line in lines if line.split()[:1] == ["auto"] for name in line.split()[1:]}


def _renamed(line, nic, bridge):
    return re.sub(rf"(?<![\w.-]){re.escape(nic)}(?![\w.:-])", bridge, line)


def _refuse(words, lines, nic, path):
    """:raises HostError: for a stanza that says that the NIC can't be moved."""
    if words[:1] == ["mapping"] and any(fnmatch.fnmatchcase(nic, pattern) for pattern in words[1:]):
        raise HostError(
            f"mapping {' '.join(words[1:])} in {path} chooses the settings of {nic} at boot: write them into an iface stanza of {nic}"
        )
    if words[:1] == ["iface"] and words[1:2] != [nic]:
        for line in lines[1:]:
            option, *values = line.replace(",", " ").split() or [""]
            if option in ("bridge_ports", "bridge-ports", "bond-slaves", "slaves") and nic in values:
                raise HostError(
                    f"{nic} belongs to {words[1]} ({option} in {path}): move {words[1]} instead, or take {nic} out of it"
                )
            if option in ("vlan-raw-device", "vlan_raw_device") and nic in values:
                raise HostError(
                    f"{words[1]} stands on {nic} ({option} in {path}), and would see no packets there any more: take it away first"
                )
        if words[1].startswith(nic + "."):
            raise HostError(
                f"{words[1]} in {path} stands on {nic}, and would see no packets there any more: take it away first"
            )
        if words[1].startswith(nic + ":"):
            raise HostError(
                f"{words[1]} in {path} is an alias of {nic}: write its address into a second stanza 'iface {nic} inet static'"
            )
