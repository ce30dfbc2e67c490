# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of ifupdown (interfaces(5)): the NIC's stanzas become the bridge's, and the NIC gets one that only sets it
up."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..._common.errors import HostError
from ..._host.desired import File

if TYPE_CHECKING:
    from .base import NicConfiguration

STANZAS = {"auto", "iface", "mapping", "source", "source-directory", "rename", "no-auto-down", "no-scripts", "template"}
COMMANDS = {"pre-up", "up", "post-up", "down", "pre-down", "post-down"}
# Options about addresses, which the bridge gets: interfaces(5), and dns-* of resolvconf(8).
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
# Options about the hardware, which the NIC keeps.
NIC_OPTIONS = {"mtu", "hwaddress", "slaves", "vlan-raw-device", "vlan_raw_device"}
NIC_PREFIXES = ("bond-", "ethernet-", "link-", "offload-", "hardware-", "driver-", "gro-", "gso-", "tso-")
NIC_COMMAND = re.compile(r"(^|[\s/])(ethtool|ip\s+link|mii-tool)\s")
METHODS = {"inet": {"static", "dhcp"}, "inet6": {"static", "auto", "dhcp"}}
MARK_ALONE = "# Part of the Ansible collection ovn.kubernetes: {nic} is a port of {bridge}, for the gateway alone."
MARK = "# Part of the Ansible collection ovn.kubernetes: {nic} is a port of {bridge}, which has its addresses."


@dataclass(frozen=True)
class Stanza:
    """A stanza of a file: the words of its first line (empty: the lines before the first stanza), and all its
    lines."""

    words: list[str]
    lines: list[str]

    def is_iface(self, name: str) -> bool:
        return self.words[:2] == ["iface", name]

    @property
    def family(self) -> str:
        return (*self.words[2:3], "")[0]

    @property
    def method(self) -> str:
        return (*self.words[3:4], "")[0]


@dataclass(frozen=True)
class Options:
    """The lines of a stanza after its first, by who gets them."""

    nic: list[str]
    bridge: list[str]


def move_stanzas(nic: NicConfiguration, bridge: str, alone: bool = False) -> tuple[tuple[File, ...], tuple[File, ...]]:
    """Return the files that have to change, as they are to be and as they are.

    :param alone: whether the host does not use the NIC, so that the bridge gets nothing.
    :raises HostError: a file says that the NIC can't be moved, or none has a stanza of the NIC.
    """
    desired: list[File] = []
    previous: list[File] = []
    has_stanza = False
    for file in nic.files:
        current = file.content or ""
        text = _move_in_file(file.path, current, nic.nic, bridge, has_stanza, alone)
        if text == current:
            continue
        if file.path.startswith("/run/"):
            raise HostError(
                f"{file.path}, which configures {nic.nic}, is made anew at each boot: write the NIC's stanza into "
                "/etc/network/interfaces"
            )
        desired.append(File(file.path, text, file.mode))
        previous.append(file)
        has_stanza = has_stanza or bool(re.search(rf"^iface {re.escape(nic.nic)} inet manual$", text, re.M))
    if not has_stanza:
        raise HostError(
            f"ifupdown has set up {nic.nic}, but none of its files has an iface stanza for it any more: write one, or "
            f"run ifdown {nic.nic}"
        )
    return tuple(desired), tuple(previous)


def _move_in_file(path: str, text: str, nic: str, bridge: str, has_stanza: bool, alone: bool) -> str:
    """Return the text with the NIC's stanzas made the bridge's.

    :param has_stanza: whether a file before this one has the NIC's own stanza already.
    """
    out: list[str] = []
    begun = False
    for stanza in stanzas(text):
        if not stanza.is_iface(nic):
            _refuse(stanza, nic, path)
            out += stanza.lines if alone else _with_bridge_at_boot(stanza, nic, bridge)
            continue
        options = _options(stanza, nic, bridge, path)
        if not has_stanza and not begun:
            mark = MARK_ALONE if alone else MARK
            out += [mark.format(nic=nic, bridge=bridge), f"iface {nic} inet manual", *options.nic]
            begun = True
        elif options.nic:
            out += [f"iface {nic} {stanza.family} manual", *options.nic]
        if stanza.method != "manual" and not alone:
            out += [f"iface {bridge} {' '.join(stanza.words[2:])}", *options.bridge]
    if begun and not alone and bridge not in _names_at_boot(out):
        out += [f"auto {bridge}"]
    return "\n".join(out) + "\n"


def _options(stanza: Stanza, nic: str, bridge: str, path: str) -> Options:
    """Return the lines of an iface stanza that the NIC keeps, and those that the bridge gets.

    :raises HostError: a bridge can't have this stanza.
    """
    where = f"iface {' '.join(stanza.words[1:])} in {path}"
    if len(stanza.words) > 4:
        raise HostError(f"{where} inherits from another stanza: write its options out")
    if stanza.method not in METHODS.get(stanza.family, ()) and stanza.method != "manual":
        raise HostError(
            f"{where} has the method {stanza.method}, which can't be had on a bridge: use static, dhcp or auto"
        )
    options = Options([], [])
    for line in stanza.lines[1:]:
        option, value = (*line.split(None, 1), "", "")[:2]
        if option in COMMANDS:
            if stanza.method == "manual" or NIC_COMMAND.search(value):
                options.nic.append(line)
            else:
                options.bridge.append(_renamed(line, nic, bridge))
        elif not option or option.startswith("#") or option in BRIDGE_OPTIONS:
            options.bridge.append(line)
        elif option in NIC_OPTIONS or option.startswith(NIC_PREFIXES):
            options.nic.append(line)
        else:
            raise HostError(
                f"{where} has the option {option}, of which it is not known whether it is about {nic} or about the "
                "addresses: "
                "take it out, or write it as a command (up ...)"
            )
    return options


def stanzas(text: str) -> list[Stanza]:
    """Return the stanzas of a file. Comments, empty lines and continued lines stay as they are, with the stanza before
    them."""
    found: list[Stanza] = []
    continued = False
    for line in text.splitlines():
        words = [] if continued else line.split()
        begins = bool(words) and (words[0] in STANZAS or words[0].startswith("allow-"))
        if begins or not found:
            found.append(Stanza(words if begins else [], [line]))
        else:
            found[-1].lines.append(line)
        continued = line.endswith("\\")
    return found


def _with_bridge_at_boot(stanza: Stanza, nic: str, bridge: str) -> list[str]:
    """Return the lines of a stanza, with the bridge beside the NIC where NICs are listed that are set up at boot
    ("auto").

    A hotplugged NIC's bridge ("allow-hotplug") is set up at boot too, since Open vSwitch makes it then: it gets a line
    of its own.
    """
    names = stanza.words[1:]
    if stanza.words[:1] == ["auto"] and nic in names and bridge not in names:
        return [f"{stanza.lines[0].rstrip()} {bridge}", *stanza.lines[1:]]
    return stanza.lines


def _names_at_boot(lines: list[str]) -> set[str]:
    return {name for line in lines if line.split()[:1] == ["auto"] for name in line.split()[1:]}


def _renamed(line: str, nic: str, bridge: str) -> str:
    return re.sub(rf"(?<![\w.-]){re.escape(nic)}(?![\w.:-])", bridge, line)


def _refuse(stanza: Stanza, nic: str, path: str) -> None:
    """Check a stanza that is not the NIC's.

    :raises HostError: it says that the NIC can't be moved.
    """
    words = stanza.words
    if words[:1] == ["mapping"] and any(fnmatch.fnmatchcase(nic, pattern) for pattern in words[1:]):
        raise HostError(
            f"mapping {' '.join(words[1:])} in {path} chooses the settings of {nic} at boot: write them into an iface "
            f"stanza of {nic}"
        )
    if words[:1] != ["iface"] or len(words) < 2:
        return
    name = words[1]
    for line in stanza.lines[1:]:
        option, *values = line.replace(",", " ").split() or [""]
        if option in ("bridge_ports", "bridge-ports", "bond-slaves", "slaves") and nic in values:
            raise HostError(
                f"{nic} belongs to {name} ({option} in {path}): move {name} instead, or take {nic} out of it"
            )
        if option in ("vlan-raw-device", "vlan_raw_device") and nic in values:
            raise HostError(
                f"{name} is a link on top of {nic} ({option} in {path}), and would get no packets any more: remove it "
                "first"
            )
    if name.startswith(f"{nic}."):
        raise HostError(
            f"{name} in {path} is a link on top of {nic}, and would get no packets any more: remove it first"
        )
    if name.startswith(f"{nic}:"):
        raise HostError(
            f"{name} in {path} is an alias of {nic}: write its address into a second stanza 'iface {nic} inet static'"
        )
