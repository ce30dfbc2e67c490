# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values of the inventory, read and checked one by one. Private to the collection.

A reader takes what Ansible has and gives what the rest works with: numbers, booleans, text, and netaddr's
addresses and networks. Networks and addresses come as lists with at most one of each family; text may hold
several, separated by commas, since surveys only give text.
"""

from __future__ import annotations

import functools
import json
import re
import typing as t
from urllib.parse import urlsplit

from ._variables import Variable

try:
    import netaddr
except ImportError:
    netaddr = None

NETADDR_MISSING = "the Python library netaddr is missing on the controller: install netaddr next to ansible-core"

BITS = {4: 32, 6: 128}

# One label or several, RFC 1123 as Kubernetes reads it for names of nodes.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
# What Linux takes as a link's name (dev_valid_name in net/core/dev.c), without the quoting that nobody wants.
_LINK = re.compile(r"[^\s/:\"']{1,15}")

# Networks that can carry neither pods nor services: RFC 6890's "this host", loopback, link-local and multicast.
_UNUSABLE = ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/127", "fe80::/10", "ff00::/8")

_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}


class InventoryError(Exception):
    """The inventory can't be used as it is; the text is one sentence for the user, ``host`` the host that it is about."""

    def __init__(self, text: str, host: str = "") -> None:
        super().__init__("%s: %s" % (host, text) if host else text)
        self.text = text
        self.host = host


class Unreadable(ValueError):
    """A value that its variable can't take. ``value`` is the part that is wrong, ``text`` goes on after it."""

    def __init__(self, value: t.Any, text: str) -> None:
        super().__init__(text)
        self.value = value
        self.text = text


def show(value: t.Any) -> str:
    """A value in a message, told from the words around it."""
    if netaddr is not None and isinstance(value, (netaddr.IPNetwork, netaddr.IPAddress)):
        value = str(value)
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 100 else "%s..." % text[:97]


def is_empty(value: t.Any) -> bool:
    """Whether somebody wrote the variable down and gave it nothing."""
    return (
        value is None
        or (isinstance(value, str) and not value.strip())
        or (isinstance(value, (list, dict)) and not value)
    )


def read(variable: Variable, value: t.Any) -> t.Any:
    """The value that the collection works with.

    :raises Unreadable: when it isn't one.
    """
    if is_empty(value):
        raise Unreadable(value, "is empty: remove the line, or write it like %s" % show(variable.example))
    return READERS[variable.kind](variable, value)


def parse_address(text: t.Any):
    """An ``IPAddress``, or None. Abbreviations (``10.1``) and leading zeros, which programs read differently, are none."""
    if not isinstance(text, str):
        return None
    try:
        return netaddr.IPAddress(text, flags=netaddr.INET_PTON)
    except (netaddr.AddrFormatError, ValueError):
        return None


def _items(value: t.Any) -> list:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _likely_prefix(address) -> int:
    """The prefix that whoever left it out most likely meant."""
    if address.version == 6:
        return 64
    zeros = re.search(r"(\.0)*$", str(address)).group().count(".0")
    return 32 - 8 * zeros if zeros else 24


def _cidr(text: t.Any, what: str, example: str):
    """An ``IPNetwork``, host bits and all; ``what`` is said of text that is none."""
    parts = text.split("/") if isinstance(text, str) else []
    address = parse_address(parts[0]) if len(parts) in (1, 2) else None
    if address is None:
        raise Unreadable(text, "is not %s: write it like %s" % (what, show(example)))
    if len(parts) == 1:
        raise Unreadable(
            text, "has no prefix length: write it like %s" % show("%s/%d" % (address, _likely_prefix(address)))
        )
    if re.fullmatch(r"[0-9]{1,3}", parts[1]) and int(parts[1]) <= BITS[address.version]:
        return netaddr.IPNetwork("%s/%d" % (address, int(parts[1])))
    mask = parse_address(parts[1])
    if mask is not None and mask.version == 4 == address.version and mask.is_netmask():
        raise Unreadable(
            text, "has a netmask instead of a prefix length: write %s" % show("%s/%d" % (address, mask.netmask_bits()))
        )
    raise Unreadable(
        text,
        "has a prefix length that IPv%d does not have: it goes from 0 to %d" % (address.version, BITS[address.version]),
    )


def _one_of_each_family(value: t.Any, read_item: t.Callable) -> list:
    items = [read_item(item) for item in _items(value)]
    versions = [item.version for item in items]
    if not items:
        raise Unreadable(value, "names nothing: remove it, or give a value")
    if len(items) > 2:
        raise Unreadable(value, "has %d entries: give one of IPv4, one of IPv6, or one of each" % len(items))
    if len(set(versions)) < len(versions):
        raise Unreadable(value, "has two entries of IPv%d: give one of IPv4, one of IPv6, or one of each" % versions[0])
    return items


@functools.cache
def _unusable_networks() -> tuple:
    return tuple(map(netaddr.IPNetwork, _UNUSABLE))


def _networks(variable: Variable, value: t.Any) -> list:
    def one(text):
        network = _cidr(text, "a network", variable.example)
        if network.ip != network.network:
            raise Unreadable(text, "has host bits set: write %s" % show(str(network.cidr)))
        for unusable in _unusable_networks():
            if network.version == unusable.version and (network in unusable or unusable in network):
                raise Unreadable(
                    text,
                    "overlaps %s, which has a meaning of its own: take a private network, like %s"
                    % (unusable, show(variable.example)),
                )
        return network

    return _one_of_each_family(value, one)


def _unusable_host(address) -> bool:
    return (
        address.is_multicast()
        or address.is_loopback()
        or int(address) == 0
        or (address.version == 6 and address.is_link_local())
    )


def _interface_addresses(variable: Variable, value: t.Any) -> list:
    def one(text):
        entry = _cidr(text, "an address with a prefix length", variable.example)
        if _unusable_host(entry.ip):
            raise Unreadable(text, "can't be a host's address: write it like %s" % show(variable.example))
        if entry.prefixlen < BITS[entry.version] - 1:
            likely = "%s/%d" % (netaddr.IPAddress(entry.first + 1, entry.version), entry.prefixlen)
            if int(entry.ip) == entry.first:
                raise Unreadable(
                    text, "is the network's own address, not a host's: write one in it, like %s" % show(likely)
                )
            if entry.version == 4 and int(entry.ip) == entry.last:
                raise Unreadable(
                    text, "is the network's broadcast address, not a host's: write one in it, like %s" % show(likely)
                )
        return entry

    return _one_of_each_family(value, one)


def _bare_address(variable: Variable, text: t.Any):
    address = parse_address(text)
    if address is None and isinstance(text, str) and "/" in text and parse_address(text.split("/")[0]) is not None:
        raise Unreadable(text, "has a prefix length, which does not belong here: write %s" % show(text.split("/")[0]))
    if address is None:
        raise Unreadable(text, "is not an address: write it like %s" % show(variable.example))
    return address


def _addresses(variable: Variable, value: t.Any) -> list:
    def one(text):
        address = _bare_address(variable, text)
        if address.is_multicast() or address.is_loopback() or int(address) == 0:
            raise Unreadable(text, "can't be a router's address: write it like %s" % show(variable.example))
        return address

    return _one_of_each_family(value, one)


def _address(variable: Variable, value: t.Any):
    address = _bare_address(variable, value)
    if _unusable_host(address):
        raise Unreadable(
            value,
            "can't be reached from other hosts: write an address that they reach, like %s" % show(variable.example),
        )
    return address


def _whole(variable: Variable, value: t.Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,9}\s*", value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unreadable(value, "is not a whole number: write it like %s" % variable.example)
    return int(value)


def _prefixes(variable: Variable, value: t.Any) -> list:
    numbers = [_whole(variable, item) for item in _items(value)]
    if len(numbers) not in (1, 2):
        raise Unreadable(value, "has %d entries: give one number, or one for IPv4 and one for IPv6" % len(numbers))
    return numbers


def _boolean(variable: Variable, value: t.Any) -> bool:
    if isinstance(value, str):
        value = _BOOLEANS.get(value.strip().lower(), value)
    if not isinstance(value, bool):
        raise Unreadable(value, "is neither true nor false: write true or false")
    return value


def _text(variable: Variable, value: t.Any) -> str:
    if not isinstance(value, str):
        raise Unreadable(value, "is not text: write it like %s" % show(variable.example))
    return value


# Why tunnels that OVN or others know are not offered.
_WHY_NOT = {
    "vxlan": "is too small for OVN's metadata (24 bits, so few switches and ports, and no gateways as they are built here)",
    "stt": "is not in Linux' own openvswitch module, and OVN has given it up",
    "gre": "can't carry OVN's metadata",
}


def _choice(variable: Variable, value: t.Any) -> str:
    text = value.strip() if isinstance(value, str) else value
    if text not in variable.choices:
        why = (
            _WHY_NOT.get(text, "is not offered")
            if variable.name == "ovn_encap_type" and isinstance(text, str)
            else "is not offered"
        )
        raise Unreadable(value, "%s: write %s" % (why, " or ".join(map(show, variable.choices))))
    return text


def _url(variable: Variable, value: t.Any) -> str:
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
        good = (
            parts is not None
            and parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:  # brackets or a port that are none
        good = False
    if not good:
        raise Unreadable(value, "is not the address of an API server: write it like %s" % show(variable.example))
    return value


def _name(variable: Variable, value: t.Any) -> str:
    text = value.lower() if isinstance(value, str) else ""
    if not _NAME.fullmatch(text) or len(text) > 253 or any(len(label) > 63 for label in text.split(".")):
        likely = re.sub(r"[^a-z0-9.-]+", "-", str(value).lower()).strip("-.")[:63] or variable.example
        raise Unreadable(
            value,
            "is not a name that Kubernetes takes (RFC 1123: a to z, 0 to 9, '-' and '.'): write it like %s"
            % show(likely),
        )
    return text


def _interface(variable: Variable, value: t.Any) -> str:
    if not isinstance(value, str) or not _LINK.fullmatch(value) or value in (".", ".."):
        raise Unreadable(
            value,
            "is not the name of a NIC (1 to 15 characters, without spaces and '/'): write it like %s"
            % show(variable.example),
        )
    return value


def _hosts(variable: Variable, value: t.Any) -> list:
    names = _items(value)
    if not all(isinstance(name, str) and name for name in names):
        raise Unreadable(value, "is not a list of hosts: write it like %s" % show([variable.example]))
    return names


READERS: dict[str, t.Callable[[Variable, t.Any], t.Any]] = {
    "networks": _networks,
    "interface_addresses": _interface_addresses,
    "addresses": _addresses,
    "address": _address,
    "prefixes": _prefixes,
    "whole": _whole,
    "boolean": _boolean,
    "text": _text,
    "choice": _choice,
    "url": _url,
    "name": _name,
    "interface": _interface,
    "hosts": _hosts,
}
