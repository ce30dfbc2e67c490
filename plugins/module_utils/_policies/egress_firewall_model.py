# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""EgressFirewall (k8s.ovn.org/v1), as the watcher keeps it in memory: what the pods of a namespace may reach outside.

Decoding never fails. A rule that can't be read, or that is more than what is served, is closed: an Allow allows
nothing, and a Deny denies everything from its place on. ``faults`` says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .._common.sharing import shared
from .._kube.reference import Reference
from .domain_names import parse
from .model import LAST_PORT, PROTOCOLS, PortRange
from .networks import Span, span
from .selectors import Selector, Unreadable

API = "k8s.ovn.org/v1"
NAME = "default"  # that an object must have: there is one for each namespace
ALLOW, DENY = "Allow", "Deny"
MAXIMUM_RULES = 8000
MAXIMUM_NAMES = 100  # of one object
MAXIMUM_SELECTORS = 50  # different ones of one object: each is a look at all nodes
MAXIMUM_PORTS = 100  # of one rule
LONGEST = 600  # characters of a text in a status that are read
FAULTS = 5  # that are named; the others are counted
EVERYTHING = (span("0.0.0.0/0"), span("::/0"))


class FirewallRule(NamedTuple):
    """A rule. It is about one of ``networks``, ``domain`` and ``nodes``.

    :ivar is_allow: else it denies.
    :ivar domain: a domain name.
    :ivar nodes: labels of nodes, whose addresses it is about.
    :ivar ports: sorted; None: all of all protocols.
    :ivar number: its place in the object, from 0.
    """

    is_allow: bool
    networks: tuple[Span, ...] = ()
    domain: str | None = None
    nodes: Selector | None = None
    ports: tuple[PortRange, ...] | None = None
    number: int = 0


DENY_ALL = FirewallRule(False, EVERYTHING)


class EgressFirewall(NamedTuple):
    """An egress firewall.

    :ivar rules: in their order; the first one that a packet matches counts.
    :ivar faults: what can't be served as it is written, in words.
    :ivar status: what its status says now: its text, and its messages.
    """

    namespace: str
    name: str
    uid: str
    rules: tuple[FirewallRule, ...]
    faults: tuple[str, ...] = ()
    status: tuple[str, tuple[str, ...]] = ("", ())

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    @property
    def reference(self) -> Reference:
        """The object that an event about it names."""
        return Reference("EgressFirewall", self.namespace, self.name, self.uid, API)

    @property
    def domains(self) -> tuple[str, ...]:
        """The domain names of its rules."""
        return tuple(dict.fromkeys(rule.domain for rule in self.rules if rule.domain is not None))

    @classmethod
    def from_object(cls, item: Mapping[str, Any]) -> EgressFirewall:
        """Make a firewall from an object, whatever is in its ``spec``."""
        meta, spec, status = item["metadata"], item.get("spec"), item.get("status")
        decoder = _Decoder()
        rules = tuple(decoder.rules(spec.get("egress") if isinstance(spec, dict) else None))
        said = _said(status if isinstance(status, dict) else {})
        return cls(shared(meta["namespace"]), meta["name"], meta["uid"], rules, decoder.told(), said)


def _said(status: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Return the text of a status, and its messages, as far as they may be ours."""
    text, messages = status.get("status"), status.get("messages")
    few = messages[:FAULTS] if isinstance(messages, list) else []
    return str(text or "")[:LONGEST], tuple(str(one)[:LONGEST] for one in few)


class _Decoder:
    """Reads one object, and notes what it can't read."""

    def __init__(self) -> None:
        self._faults: list[str] = []
        self._names: set[str] = set()
        self._selectors: set[Selector] = set()

    def told(self) -> tuple[str, ...]:
        """Return what could not be read, bounded."""
        rest = len(self._faults) - FAULTS
        return (*self._faults[:FAULTS], *((f"and {rest} more",) if rest > 0 else ()))

    def rules(self, items: object) -> Iterator[FirewallRule]:
        """Yield the rules. Nothing comes after one that denies everything."""
        if not isinstance(items, list):
            self._faults.append("egress is no list: everything is denied")
            yield DENY_ALL
            return
        for number, item in enumerate(items):
            if number == MAXIMUM_RULES:
                self._faults.append(f"it has more than {MAXIMUM_RULES} rules: everything is denied by the others")
                yield DENY_ALL._replace(number=number)
                return
            try:
                yield self._rule(item)._replace(number=number)
            except Unreadable as exc:
                is_allow = isinstance(item, dict) and item.get("type") == ALLOW
                effect = "allows nothing" if is_allow else "denies everything"
                self._faults.append(f"rule {number} {effect}: it has {exc}")
                if not is_allow:
                    yield DENY_ALL._replace(number=number)
                    return

    def _rule(self, item: object) -> FirewallRule:
        if not isinstance(item, dict):
            raise Unreadable("no fields")
        kind, target = item.get("type"), item.get("to")
        if kind not in (ALLOW, DENY):
            raise Unreadable(f"type {str(kind)[:20]!r}, which is neither {ALLOW} nor {DENY}")
        if not isinstance(target, dict):
            raise Unreadable("nothing that it is to")
        fields = {name for name, value in target.items() if value is not None}
        if len(fields) != 1:
            raise Unreadable("not one of cidrSelector, dnsName and nodeSelector")
        ports = _ports(item.get("ports"))
        is_allow = kind == ALLOW
        if "cidrSelector" in fields:
            return FirewallRule(is_allow, (span(target["cidrSelector"]),), ports=ports)
        if "dnsName" in fields:
            return FirewallRule(is_allow, domain=self._domain(target["dnsName"]), ports=ports)
        if "nodeSelector" in fields:
            return FirewallRule(is_allow, nodes=self._nodes(target["nodeSelector"]), ports=ports)
        raise Unreadable("not one of cidrSelector, dnsName and nodeSelector")

    def _domain(self, value: object) -> str:
        name = parse(value)
        if name not in self._names and len(self._names) >= MAXIMUM_NAMES:
            raise Unreadable(f"a domain name, of which the object has more than {MAXIMUM_NAMES}")
        self._names.add(name)
        return name

    def _nodes(self, value: object) -> Selector:
        selector = Selector.parse(value)
        if selector not in self._selectors and len(self._selectors) >= MAXIMUM_SELECTORS:
            raise Unreadable(f"a nodeSelector, of which the object has more than {MAXIMUM_SELECTORS}")
        self._selectors.add(selector)
        return selector


def _ports(value: object) -> tuple[PortRange, ...] | None:
    """Return the ports of a rule; None: all, since there are none.

    :raises Unreadable: one of them is none.
    """
    if value is None or value == []:
        return None
    if not isinstance(value, list):
        raise Unreadable("ports that are no list")
    if len(value) > MAXIMUM_PORTS:
        raise Unreadable(f"more than {MAXIMUM_PORTS} ports")
    found: set[PortRange] = set()
    for one in value:
        protocol = one.get("protocol") if isinstance(one, dict) else None
        port = one.get("port") if isinstance(one, dict) else None
        if protocol not in PROTOCOLS:
            raise Unreadable(f"protocol {str(protocol)[:20]!r}")
        if not isinstance(port, int) or isinstance(port, bool) or not 0 < port <= LAST_PORT:
            raise Unreadable(f"port {str(port)[:20]!r}")
        found.add(PortRange(protocol.lower(), port, port))
    return tuple(sorted(found))
