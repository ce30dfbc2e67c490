# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host's plan is made of: steps that can tell what they do, and know their inverse. Data only.

Every step has

- ``describe()``: one line of a plan; ``as_dict()``: the same for a module's result, plain values;
- ``before()`` and ``after()``: lines of a diff;
- ``undo()``: the step that takes it back, or None when there is nothing to take back;
- ``parts()``: the steps that are each done or not done as a whole; of most steps only itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .._common.files import FileContent
from .current import FoundAddress, FoundLink, FoundResolver, FoundRoute, FoundRule
from .desired import MAIN_TABLE, Profile

VERBS = {True: "add", False: "remove"}


class Step:
    """Common to all steps: a plan of one part, which is all or nothing."""

    whole = True  # False: when it fails something of it may have been done

    def parts(self):
        return (self,)


class _Presence(Step):
    """A step that adds (``present``) or removes one thing, whose text is ``thing``."""

    def describe(self):
        return "%s: %s" % (self.thing, VERBS[self.present])

    def before(self):
        return [] if self.present else [self.thing]

    def after(self):
        return [self.thing] if self.present else []

    def undo(self):
        return replace(self, present=not self.present)


@dataclass(frozen=True)
class AddressStep(_Presence):
    """Give a link an address, or take it."""

    address: FoundAddress
    present: bool

    @property
    def thing(self):
        return "address %s on %s" % (self.address.cidr, self.address.link)

    def as_dict(self):
        return {
            "kind": "address",
            "operation": VERBS[self.present],
            "link": self.address.link,
            "address": self.address.cidr,
        }


@dataclass(frozen=True)
class RouteStep(_Presence):
    """Add or remove a route."""

    route: FoundRoute
    present: bool

    @property
    def thing(self):
        return "route %s" % route_text(self.route)

    def as_dict(self):
        return dict(route_values(self.route), kind="route", operation=VERBS[self.present])


@dataclass(frozen=True)
class RuleStep(_Presence):
    """Add or remove a rule of policy routing that is bound to a link."""

    rule: FoundRule
    present: bool

    @property
    def thing(self):
        bound = " ".join("%s %s" % pair for pair in (("iif", self.rule.iif), ("oif", self.rule.oif)) if pair[1])
        return "IPv%d rule %d %s" % (self.rule.version, self.rule.priority, bound)

    def as_dict(self):
        values = {"iif": self.rule.iif, "oif": self.rule.oif}
        return dict(
            {key: value for key, value in values.items() if value},
            kind="rule",
            operation=VERBS[self.present],
            priority=self.rule.priority,
        )


@dataclass(frozen=True)
class DropStep(_Presence):
    """Drop, or let in again, what a NIC hands to the host's own stack."""

    nic: str
    present: bool

    @property
    def thing(self):
        return "ingress drop on %s" % self.nic

    def as_dict(self):
        return {"kind": "drop", "operation": VERBS[self.present], "link": self.nic}


@dataclass(frozen=True)
class LinkStep(Step):
    """Change of a link what is not None.

    :ivar found: the link as it is; None: it does not exist yet.
    """

    name: str
    up: bool | None = None
    mtu: int | None = None
    mac: str | None = None
    found: FoundLink | None = None
    promiscuous: bool | None = None
    whole = False

    def _texts(self, link):
        states = {True: "up", False: "down"}
        return [
            text
            for wish, text in (
                (self.up, states[bool(link.up)]),
                (self.mtu, "mtu %s" % link.mtu),
                (self.mac, "mac %s" % link.mac),
                (self.promiscuous, "promiscuous" if link.promiscuous else "not promiscuous"),
            )
            if wish is not None
        ]

    def describe(self):
        return "link %s: %s" % (self.name, ", ".join(self._texts(self)))

    def as_dict(self):
        values = {"up": self.up, "mtu": self.mtu, "mac": self.mac, "promiscuous": self.promiscuous}
        return dict(
            {key: value for key, value in values.items() if value is not None},
            kind="link",
            operation="change",
            link=self.name,
        )

    def before(self):
        return ["link %s %s" % (self.name, text) for text in self._texts(self.found)] if self.found else []

    def after(self):
        return ["link %s %s" % (self.name, text) for text in self._texts(self)]

    def undo(self):
        now = FoundLink(self.name, self.up, self.mtu, self.mac, bool(self.promiscuous))
        if self.found is None:
            return LinkStep(self.name, up=False, found=now)
        return LinkStep(
            self.name,
            found=now,
            **{
                key: None if getattr(self, key) is None else getattr(self.found, key)
                for key in ("up", "mtu", "mac", "promiscuous")
            },
        )


@dataclass(frozen=True)
class SysctlStep(Step):
    """Set a kernel setting.

    :ivar parts_of_key: as :attr:`.state.Sysctl.parts`.
    :ivar link: whose setting it is, or None.
    :ivar found: its value now, None where there is none yet.
    """

    key: str
    parts_of_key: tuple
    link: str | None
    value: str
    found: str | None

    def describe(self):
        return "sysctl %s: %s" % (self.key, self.value if self.found is None else "%s -> %s" % (self.found, self.value))

    def as_dict(self):
        return {"kind": "sysctl", "operation": "set", "key": self.key, "value": self.value}

    def before(self):
        return [] if self.found is None else ["sysctl %s = %s" % (self.key, self.found)]

    def after(self):
        return ["sysctl %s = %s" % (self.key, self.value)]

    def undo(self):
        return None if self.found is None else replace(self, value=self.found, found=self.value)


@dataclass(frozen=True)
class OffloadStep(Step):
    """Switch offloads of a link off or, to undo, on.

    :ivar names: of :data:`.offload.OFFLOADS`; empty: those of a link that does not exist yet.
    """

    link: str
    names: tuple
    on: bool = False
    whole = False

    def _text(self, on):
        return "offload of %s: %s %s" % (self.link, " ".join(self.names) or "tx", "on" if on else "off")

    def describe(self):
        return self._text(self.on)

    def as_dict(self):
        return {
            "kind": "offload",
            "operation": "on" if self.on else "off",
            "link": self.link,
            "offloads": list(self.names),
        }

    def before(self):
        return [self._text(not self.on)] if self.names else []

    def after(self):
        return [self._text(self.on)]

    def undo(self):
        return replace(self, on=not self.on) if self.names else None


@dataclass(frozen=True)
class FileStep(Step):
    """Write a file, or remove it (``wanted`` None).

    :ivar found: the file as it is, None where there is none.
    """

    path: str
    wanted: FileContent | None
    found: FileContent | None = field(default=None)

    @property
    def secret(self):
        """Whether no plan may show its content."""
        return any(file is not None and not file.mode & 0o004 for file in (self.wanted, self.found))

    def _verb(self):
        if self.wanted is None:
            return "remove"
        return "add" if self.found is None else "change"

    def describe(self):
        return "file %s: %s" % (self.path, self._verb())

    def as_dict(self):
        values = {"kind": "file", "operation": self._verb(), "path": self.path}
        return values if self.wanted is None else dict(values, mode="%04o" % self.wanted.mode)

    def _lines(self, file):
        if file is None:
            return []
        head = ["file %s mode %04o" % (self.path, file.mode)]
        if self.secret:
            return head  # changed content shows in describe() only
        return head + ["%s: %s" % (self.path, line) for line in file.content.splitlines()]

    def before(self):
        return self._lines(self.found)

    def after(self):
        return self._lines(self.wanted)

    def undo(self):
        return FileStep(self.path, self.found, self.wanted)


@dataclass(frozen=True)
class ResolverStep(Step):
    """Take a link's name servers of systemd-resolved, and give them to another.

    :ivar source, target: links; the source is None where they are only given.
    """

    source: str | None
    target: str
    resolver: FoundResolver
    whole = False

    def describe(self):
        return "name servers: %s" % (
            "move from %s to %s" % (self.source, self.target) if self.source else "add to %s" % self.target
        )

    def as_dict(self):
        return {
            "kind": "resolver",
            "operation": "move" if self.source else "add",
            "from": self.source,
            "to": self.target,
        }

    def before(self):
        return ["name servers of %s" % self.source] if self.source else []

    def after(self):
        return ["name servers of %s" % self.target]

    def undo(self):
        return replace(self, source=self.target, target=self.source) if self.source else None


@dataclass(frozen=True)
class HandoverStep(Step):
    """Tell a network manager that what it did for a NIC it does for its bridge now (or the NIC again), as its files say.

    :ivar tells, tells_back: whether it and its inverse do anything. One that stands before all else has an inverse that comes last.
    :ivar profile: NetworkManager's :class:`.state.Profile` of the NIC.
    :ivar waits: whether the bridge must have its addresses; False: it is enough that the manager is about to get them.
    """

    manager: str
    nic: str
    bridge: str
    to_bridge: bool = True
    tells: bool = True
    tells_back: bool = False
    profile: Profile | None = None
    waits: bool = True

    whole = False

    def first(self, early):
        """The step that stands before all else: it tells early, or only its inverse tells."""
        return replace(self, tells=early, tells_back=True)

    def _way(self):
        return "%s in the place of %s" % ((self.bridge, self.nic) if self.to_bridge else (self.nic, self.bridge))

    def describe(self):
        return "%s: %s" % (self.manager, self._way() if self.tells else "files about to change")

    def as_dict(self):
        return {
            "kind": "manager",
            "operation": "tell" if self.tells else "mark",
            "manager": self.manager,
            "nic": self.nic,
            "bridge": self.bridge,
            "to_bridge": self.to_bridge,
        }

    def before(self):
        return []

    def after(self):
        return [self.describe()] if self.tells else []

    def undo(self):
        return replace(self, to_bridge=not self.to_bridge, tells=self.tells_back, tells_back=self.tells)


@dataclass(frozen=True)
class MoveStep(Step):
    """Take addresses and routes from one link and give them to another, so that as little as possible is unreachable meanwhile.

    The target gets its addresses while the source still has them, the routes change links in one go, the source's addresses go last: routes of other
    links that use one of the addresses as their source stay valid throughout.

    :ivar source, target: links; the target is None where the source's are only taken, the source is None where they are only given.
    :ivar taken_addresses, taken_routes: of the source, as they are there.
    :ivar given_addresses, given_routes: the same for the target, without what it has already.
    :ivar taken_rules, given_rules: rules that are bound to the links; a given one is there before its routes are.
    :ivar raise_target: the target as found when it has to be set up first (False: it is up; None: it does not exist yet).
    """

    source: str | None
    target: str | None
    taken_addresses: tuple = ()
    taken_routes: tuple = ()
    given_addresses: tuple = ()
    given_routes: tuple = ()
    raise_target: FoundLink | bool | None = False
    taken_rules: tuple = ()
    given_rules: tuple = ()

    def parts(self):
        first = () if self.raise_target is False else (LinkStep(self.target, up=True, found=self.raise_target),)
        return (
            first
            + tuple(AddressStep(address, True) for address in oldest_first(self.given_addresses))
            + tuple(RuleStep(rule, True) for rule in self.given_rules)
            + tuple(RouteStep(route, False) for route in reversed(in_order(self.taken_routes)))
            + tuple(RouteStep(route, True) for route in in_order(self.given_routes))
            + tuple(RuleStep(rule, False) for rule in reversed(self.taken_rules))
            + tuple(AddressStep(address, False) for address in reversed(oldest_first(self.taken_addresses)))
        )

    def undo(self):
        # The target stays up: whoever made it may have found it up, and up it does no harm.
        return MoveStep(
            self.target,
            self.source,
            self.given_addresses,
            self.given_routes,
            self.taken_addresses,
            self.taken_routes,
            taken_rules=self.given_rules,
            given_rules=self.taken_rules,
        )

    def describe(self):
        things = [address.cidr for address in self.taken_addresses or self.given_addresses]
        routes = len(self.taken_routes or self.given_routes)
        rules = len(self.taken_rules or self.given_rules)
        things += [
            "%d %s%s" % (count, what, "s" if count > 1 else "")
            for count, what in ((routes, "route"), (rules, "rule"))
            if count
        ]
        return "%s: %s" % (", ".join(things), self._way())

    def _way(self):
        if self.target is None:
            return "remove from %s" % self.source
        return "move from %s to %s" % (self.source, self.target) if self.source else "add to %s" % self.target

    def as_dict(self):
        operation = "remove" if self.target is None else "move" if self.source else "add"
        return {
            "kind": "uplink",
            "operation": operation,
            "from": self.source,
            "to": self.target,
            "addresses": [address.cidr for address in self.taken_addresses or self.given_addresses],
            "routes": [route_values(route) for route in self.taken_routes or self.given_routes],
        }

    def before(self):
        return _things(self.taken_addresses, self.taken_routes, self.taken_rules)

    def after(self):
        return _things(self.given_addresses, self.given_routes, self.given_rules)


def in_order(routes):
    """Routes so that each finds the one that leads to its next hop: networks on the link first, default routes last."""
    return sorted(routes, key=lambda route: (not route.direct, -int(route.destination.split("/")[1])))


def oldest_first(addresses):
    """Found addresses in the order in which they have to be added to be found in the same order again: the kernel lists new IPv6 addresses first."""
    return [address for address in addresses if address.family == 4] + [
        address for address in reversed(addresses) if address.family == 6
    ]


def _things(addresses, routes, rules):
    return (
        [AddressStep(address, True).thing for address in addresses]
        + [RouteStep(route, True).thing for route in in_order(routes)]
        + [RuleStep(rule, True).thing for rule in rules]
    )


def route_text(route):
    """A route as ip-route(8) would write it, the parts that differ from the usual only."""
    hops = ["%sdev %s" % ("via %s " % hop.via if hop.via else "", hop.link) for hop in route.nexthops]
    more = [
        ("src", route.source),
        ("metric", route.metric),
        ("table", route.table if route.table != MAIN_TABLE else None),
    ]
    return " ".join(
        [route.destination, " nexthop ".join(hops)] + ["%s %s" % (key, value) for key, value in more if value]
    )


def route_values(route):
    """A route as plain values: destination, via and link (of the first way), metric, table, source."""
    hop = route.nexthops[0]
    values = {
        "destination": route.destination,
        "via": hop.via,
        "link": hop.link,
        "metric": route.metric,
        "table": route.table,
        "source": route.source,
    }
    return {key: value for key, value in values.items() if value is not None}
