# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The few of Ansible's facts that defaults are derived from. Private to the collection."""

from __future__ import annotations

import ipaddress
import typing as t
from collections.abc import Iterable, Iterator, Mapping

from ._values import parse_address

if t.TYPE_CHECKING:
    from ..module_utils._common.addressing import IPAddress, IPInterface, IPNetwork

DEFAULT_ROUTES = ("default_ipv4", "default_ipv6")
NO_WAY_OUT = ("lo", "dummy")  # beginnings of names of links that packets don't leave the host through
Fact = Mapping[str, t.Any]


class Link(t.NamedTuple):
    """A link that has an address. ``mtu`` and ``network`` are None when the facts don't have them."""

    name: str
    mtu: int | None
    network: IPNetwork | None


class OwnFacts(t.NamedTuple):
    """What the host itself knows of its node, as M(ovn.kubernetes.ovn_facts) gathers it; empty where it knows
    nothing.

    ``in_use`` is None where it was not asked what of our networks it uses. ``foreign`` is what other program uses its
    Open vSwitch, ``southbound_before`` the Southbound database that it has without being a node, ``certificates`` what
    it has of them; None where it was not asked. ``cut_off`` are its daemons that are not connected to a database,
    ``ovn_user`` is as which user OVN's packages for EL run its daemons.
    """

    system_id: str
    node: str
    subnets: tuple[IPNetwork, ...]
    problem: str
    in_use: tuple[InUse, ...] | None
    foreign: str = ""
    gateway: bool = False
    central: bool = False
    databases: tuple[str, ...] = ()
    southbound_before: str = ""
    certificates: Fact | None = None
    cut_off: tuple[str, ...] = ()
    ovn_user: str = ""


class InUse(t.NamedTuple):
    """A part of a network of ours that the host has or uses: the network, and the use in words."""

    network: str
    use: str


NOTHING = OwnFacts("", "", (), "", None)


class Facts:
    """``hostvars[host]['ansible_facts']``, which may be missing, or gathered without the network.

    :ivar some: any facts were gathered.
    :ivar known: facts about the network were gathered.
    :param own: whether what the host says of its node counts.
    """

    def __init__(self, facts: t.Any, own: bool = True) -> None:
        self._facts: Fact = facts if isinstance(facts, Mapping) else {}
        self._has_own = own
        self.some = bool(self._facts)
        self.known = any(name in self._facts for name in DEFAULT_ROUTES)

    def _dict(self, name: str) -> Fact:
        value = self._facts.get(name)
        return value if isinstance(value, Mapping) else {}

    def _link(self, name: str) -> Fact:
        """Return the facts of a link; Ansible replaces ``-`` in names of facts."""
        return self._dict(name.replace("-", "_"))

    @property
    def own(self) -> OwnFacts:
        """What the host itself knows of its node."""
        own = self._dict("ovn_kubernetes") if self._has_own else {}
        subnets = tuple(net for net in map(_subnet, own.get("subnets") or ()) if net is not None)
        in_use = own.get("in_use")
        return OwnFacts(
            _text(own.get("system_id")),
            _text(own.get("node")),
            subnets,
            _text(own.get("problem")),
            None if in_use is None else tuple(_uses(in_use)),
            _text(own.get("foreign")),
            own.get("gateway") is True,
            own.get("central") is True,
            tuple(map(_text, own.get("databases") or ())),
            _text(own.get("southbound_before")),
            own["certificates"] if isinstance(own.get("certificates"), Mapping) else None,
            tuple(map(_text, own.get("cut_off") or ())),
            _text(own.get("ovn_user")),
        )

    @property
    def central_databases(self) -> Fact | None:
        """The state of OVN's databases on the host, as M(ovn.kubernetes.ovn_facts) gathers it; None: nobody knows."""
        found = self._dict("ovn_kubernetes").get("central_databases") if self._has_own else None
        return found if isinstance(found, Mapping) else None

    @property
    def os_family(self) -> str:
        """Which packages the host has, as Ansible calls it; empty where it was not asked."""
        return _text(self._facts.get("os_family"))

    @property
    def default_address(self) -> str:
        """The address of the default route's interface, IPv4 before IPv6; empty without a default route."""
        addresses = [_text(self._dict(name).get("address")) for name in DEFAULT_ROUTES]
        return next(filter(None, addresses), "")

    @property
    def default_links(self) -> set[str]:
        """The links of the default routes."""
        return {_text(self._dict(name).get("interface")) for name in DEFAULT_ROUTES} - {""}

    @property
    def links(self) -> list[str]:
        """The names of all links."""
        return [_text(name) for name in self._facts.get("interfaces") or []]

    @property
    def addresses(self) -> list[IPAddress]:
        """All addresses of the host, without loopback."""
        both = [*(self._facts.get("all_ipv4_addresses") or []), *(self._facts.get("all_ipv6_addresses") or [])]
        return [address for address in map(parse_address, both) if address is not None]

    @property
    def name_servers(self) -> list[IPAddress]:
        """The host's name servers, where all facts were gathered."""
        found = self._dict("dns").get("nameservers")
        return list(filter(None, map(parse_address, found if isinstance(found, list) else ())))

    def all_addresses(self) -> Iterator[tuple[str, IPInterface]]:
        """Yield the addresses of all links with the links' names."""
        for name in self.links:
            for entry in _entries(self._link(name)):
                face = _interface(entry)
                if face is not None:
                    yield name, face

    def link_addresses(self, names: Iterable[str]) -> list[IPInterface]:
        """Return the addresses of the links, the one that the default route uses first, without link-local IPv6
        ones."""
        addresses = []
        for name in names:
            for entry in _entries(self._link(name)):
                face = _interface(entry)
                if face is not None and not (face.version == 6 and face.ip.is_link_local):
                    addresses.append(face)
        preferred = {_text(self._dict(name).get("address")) for name in DEFAULT_ROUTES}
        return sorted(addresses, key=lambda face: (face.version, str(face.ip) not in preferred))

    def next_hops(self, names: Iterable[str]) -> list[str]:
        """Return the routers of the links' own default routes, one of each IP version.

        Ansible's own facts have the host's best default routes alone. They count where M(ovn.kubernetes.ovn_facts) has
        gathered nothing.
        """
        links = list(names)
        routers = self._dict("ovn_kubernetes").get("routers")
        if isinstance(routers, Mapping):
            found: dict[int, str] = {}
            for text in (text for link in links for text in routers.get(link) or ()):
                address = parse_address(text)
                if address is not None:
                    found.setdefault(address.version, str(address))
            return [found[version] for version in sorted(found)]
        routes = [self._dict(name) for name in DEFAULT_ROUTES]
        routers = [_text(route.get("gateway")) for route in routes if _text(route.get("interface")) in links]
        return list(filter(None, routers))

    def mtu_of(self, name: str) -> int | None:
        """Return the MTU of a link; None when there is no such link, or the facts don't have it."""
        return _mtu(self._link(name))

    def outgoing_mtu(self, address: IPAddress) -> int | None:
        """Return the MTU of the link through which packets from an address leave, where no route says it; None when the
        facts don't have it.

        The link that has the address says nothing of it where that is the loopback, as with addresses that hosts
        announce with BGP.
        """
        link = self.link_of(address)
        if link is None or not link.name.startswith(NO_WAY_OUT):
            return None if link is None else link.mtu
        default = _text(self._dict(f"default_ipv{address.version}").get("interface"))
        if default and not default.startswith(NO_WAY_OUT) and self.mtu_of(default) is not None:
            return self.mtu_of(default)
        others = [name for name in self.links if not name.startswith(NO_WAY_OUT) and any(_entries(self._link(name)))]
        return min((mtu for mtu in map(self.mtu_of, others) if mtu is not None), default=None)

    def way_mtu(self, version: int) -> int | None:
        """Return the MTU of the ways to the others' tunnel addresses, as M(ovn.kubernetes.ovn_facts) has found it."""
        ways = self._dict("ovn_kubernetes").get("way_mtus")
        return _mtu({"mtu": ways.get(f"IPv{version}")}) if isinstance(ways, Mapping) else None

    def link_of(self, address: IPAddress) -> Link | None:
        """Return the link that has the address."""
        for name in DEFAULT_ROUTES:
            facts = self._dict(name)
            if parse_address(facts.get("address")) == address:
                # Its MTU is that of the link that has the address, which need not be the link of the route.
                link = _text(facts.get("interface"))
                mtu = min(filter(None, (self.mtu_of(link), _mtu(facts))), default=None)
                return Link(link, mtu, _network(facts))
        for name in self.links:
            facts = self._link(name)
            for entry in _entries(facts):
                if parse_address(entry.get("address")) == address:
                    return Link(name, _mtu(facts), _network(entry))
        return None


def _text(value: t.Any) -> str:
    return str(value) if isinstance(value, str) else ""


def _entries(link: Fact) -> Iterator[Fact]:
    """Yield the entries of a link's addresses."""
    for entry in (link.get("ipv4"), *(link.get("ipv4_secondaries") or []), *(link.get("ipv6") or [])):
        if isinstance(entry, Mapping):
            yield entry


def _uses(entries: t.Any) -> Iterator[InUse]:
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping):
            yield InUse(_text(entry.get("network")), _text(entry.get("use")))


def _mtu(facts: Fact) -> int | None:
    mtu = facts.get("mtu")
    return int(mtu) if isinstance(mtu, int) or (isinstance(mtu, str) and mtu.isdigit()) else None


def _interface(entry: Fact) -> IPInterface | None:
    """Return the address of an entry with its prefix length, or with a netmask as older versions of Ansible give it."""
    address, size = _text(entry.get("address")), entry.get("prefix") or entry.get("netmask")
    if not address or not size:
        return None
    try:
        return ipaddress.ip_interface(f"{address}/{size}")
    except ValueError:
        return None


def _subnet(value: t.Any) -> IPNetwork | None:
    try:
        return ipaddress.ip_network(_text(value))
    except ValueError:
        return None


def _network(entry: Fact) -> IPNetwork | None:
    face = _interface(entry)
    return None if face is None else face.network
