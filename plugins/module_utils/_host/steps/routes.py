# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Steps that add or remove one address, one neighbour, one route or one rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..._netlink.addresses import add_address, remove_address
from ..._netlink.constants import RT_TABLE_MAIN, Rtn
from ..._netlink.neighbours import add_neighbour, remove_neighbour
from ..._netlink.records import KernelAddress, KernelNeighbour, KernelRoute, KernelRule
from ..._netlink.routes import add_route, remove_route
from ..._netlink.rules import add_rule, remove_rule
from .base import PresenceStep

if TYPE_CHECKING:
    from .base import StepContext


# Types of routes that ip-route(8) names.
TYPES: dict[int, str] = {
    Rtn.LOCAL: "local",
    Rtn.BLACKHOLE: "blackhole",
    Rtn.UNREACHABLE: "unreachable",
    Rtn.PROHIBIT: "prohibit",
    Rtn.THROW: "throw",
}


@dataclass(frozen=True)
class AddressStep(PresenceStep):
    """Add an address to its link, or remove it."""

    address: KernelAddress
    present: bool

    @property
    def thing(self) -> str:
        return f"address {self.address.cidr} on {self.address.link}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": "address",
            "operation": self.verb,
            "link": self.address.link,
            "address": self.address.cidr,
        }

    def apply(self, context: StepContext) -> bool:
        if not self.present:
            return remove_address(context.kernel, self.address)
        context.require_link(self.address.link)
        return add_address(context.kernel, self.address)


@dataclass(frozen=True)
class NeighbourStep(PresenceStep):
    """Add a configured neighbour to its link, or remove it."""

    neighbour: KernelNeighbour
    present: bool

    @property
    def thing(self) -> str:
        kind = "proxy neighbour" if self.neighbour.proxy else "neighbour"
        return f"{kind} {self.neighbour.ip} on {self.neighbour.link}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": "neighbour",
            "operation": self.verb,
            "link": self.neighbour.link,
            "address": self.neighbour.ip,
            "mac": self.neighbour.mac,
        }

    def apply(self, context: StepContext) -> bool:
        if not self.present:
            return remove_neighbour(context.kernel, self.neighbour)
        context.require_link(self.neighbour.link)
        return add_neighbour(context.kernel, self.neighbour)


@dataclass(frozen=True)
class RouteStep(PresenceStep):
    """Add or remove a route."""

    route: KernelRoute
    present: bool

    @property
    def thing(self) -> str:
        return f"route {route_text(self.route)}"

    def as_dict(self) -> dict[str, Any]:
        return {**route_values(self.route), "kind": "route", "operation": self.verb}

    def apply(self, context: StepContext) -> bool:
        if not self.present:
            return remove_route(context.kernel, self.route)
        for hop in self.route.nexthops:
            context.require_link(hop.link)
        return add_route(context.kernel, self.route)


@dataclass(frozen=True)
class RuleStep(PresenceStep):
    """Add or remove a rule of policy routing that is bound to a link."""

    rule: KernelRule
    present: bool

    def _links(self) -> dict[str, str]:
        links = {"iif": self.rule.iif, "oif": self.rule.oif}
        return {key: link for key, link in links.items() if link}

    @property
    def thing(self) -> str:
        links = " ".join(f"{key} {link}" for key, link in self._links().items())
        return f"IPv{self.rule.version} rule {self.rule.priority} {links}"

    def as_dict(self) -> dict[str, Any]:
        return {**self._links(), "kind": "rule", "operation": self.verb, "priority": self.rule.priority}

    def apply(self, context: StepContext) -> bool:
        return add_rule(context.kernel, self.rule) if self.present else remove_rule(context.kernel, self.rule)


def route_text(route: KernelRoute) -> str:
    """Return a route as ip-route(8) writes it. What has its usual value is left out."""
    hops = [f"via {hop.via} dev {hop.link}" if hop.via else f"dev {hop.link}" for hop in route.nexthops]
    words = [TYPES[route.type]] if route.type in TYPES else []
    words += [route.destination, *([" nexthop ".join(hops)] if hops else [])]
    if route.source:
        words.append(f"src {route.source}")
    if route.metric:
        words.append(f"metric {route.metric}")
    if route.table and route.table != RT_TABLE_MAIN:
        words.append(f"table {route.table}")
    return " ".join(words)


def route_values(route: KernelRoute) -> dict[str, Any]:
    """Return a route for a module's result. ``via`` and ``link`` are those of the first next hop."""
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
