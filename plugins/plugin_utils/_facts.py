# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The few of Ansible's facts that defaults are taken from. Private to the collection."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ._values import netaddr, parse_address


class Link(t.NamedTuple):
    """A link that holds an address."""

    name: str
    mtu: int | None
    network: t.Any  # IPNetwork, or None when the facts don't say


def _text(value: t.Any) -> str:
    return str(value) if isinstance(value, str) else ""


class Facts:
    """``hostvars[host]['ansible_facts']``, which may be missing, or gathered without the network's part."""

    def __init__(self, facts: t.Any) -> None:
        self._facts = facts if isinstance(facts, Mapping) else {}
        self.known = "default_ipv4" in self._facts or "default_ipv6" in self._facts

    def _dict(self, name: str) -> Mapping:
        value = self._facts.get(name)
        return value if isinstance(value, Mapping) else {}

    @property
    def default_address(self) -> str:
        """The address of the default route's interface, IPv4 before IPv6; empty without a default route."""
        return _text(self._dict("default_ipv4").get("address")) or _text(self._dict("default_ipv6").get("address"))

    @property
    def default_links(self) -> set[str]:
        """The links of the default routes."""
        return {_text(self._dict(name).get("interface")) for name in ("default_ipv4", "default_ipv6")} - {""}

    @property
    def links(self) -> list[str]:
        """The names of all links."""
        return [_text(name) for name in self._facts.get("interfaces") or []]

    @property
    def addresses(self) -> list:
        """All addresses of the host but the loopback's."""
        both = [*(self._facts.get("all_ipv4_addresses") or []), *(self._facts.get("all_ipv6_addresses") or [])]
        return [address for address in map(parse_address, both) if address is not None]

    def link_addresses(self, names: t.Iterable[str]) -> list:
        """The addresses of these links as ``IPNetwork`` with their host bits, the one that the default route uses first, without link-local ones."""
        found = []
        for name in names:
            facts = self._dict(name.replace("-", "_"))
            entries = [facts.get("ipv4") or {}, *(facts.get("ipv4_secondaries") or []), *(facts.get("ipv6") or [])]
            for entry in entries:
                network = _network(entry) if isinstance(entry, Mapping) else None
                if network is not None and not (network.version == 6 and network.ip.is_link_local()):
                    found.append(netaddr.IPNetwork("%s/%d" % (entry["address"], network.prefixlen)))
        preferred = {_text(self._dict(name).get("address")) for name in ("default_ipv4", "default_ipv6")}
        return sorted(found, key=lambda one: (one.version, str(one.ip) not in preferred))

    def next_hops(self, names: t.Iterable[str]) -> list[str]:
        """The routers of the default routes over these links."""
        routes = [self._dict(name) for name in ("default_ipv4", "default_ipv6")]
        return [
            _text(route.get("gateway"))
            for route in routes
            if _text(route.get("interface")) in set(names) and _text(route.get("gateway"))
        ]

    def mtu_of(self, name: str) -> int | None:
        """The MTU of the link of this name; None where there is none, or the facts don't say."""
        return _mtu(self._dict(name.replace("-", "_")))

    def link_of(self, address) -> Link | None:
        """The link that holds this ``IPAddress``."""
        for name in ("default_ipv4", "default_ipv6"):
            facts = self._dict(name)
            if parse_address(facts.get("address")) == address:
                return Link(_text(facts.get("interface")), _mtu(facts), _network(facts))
        for name in self.links:
            facts = self._dict(name.replace("-", "_"))  # how Ansible names the fact of a link
            ipv4 = [facts.get("ipv4") or {}, *(facts.get("ipv4_secondaries") or [])]
            for entry in [*ipv4, *(facts.get("ipv6") or [])]:
                if isinstance(entry, Mapping) and parse_address(entry.get("address")) == address:
                    return Link(name, _mtu(facts), _network(entry))
        return None


def _mtu(facts: Mapping) -> int | None:
    mtu = facts.get("mtu")
    return int(mtu) if isinstance(mtu, int) or (isinstance(mtu, str) and mtu.isdigit()) else None


def _network(facts: Mapping):
    """Of an entry with an address and a prefix length, or a netmask as older versions of Ansible give it."""
    address, size = _text(facts.get("address")), facts.get("prefix") or facts.get("netmask")
    if not address or size in (None, ""):
        return None
    try:
        return netaddr.IPNetwork("%s/%s" % (address, size)).cidr
    except (netaddr.AddrFormatError, ValueError):
        return None
