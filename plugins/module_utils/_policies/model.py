# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Network policies of Kubernetes (networking.k8s.io/v1), as the watcher keeps them in memory.

Decoding never fails: what can't be read, or is larger than what is served, allows nothing, and isolates what the policy
selects. ``faults`` says so. The meaning of missing and empty fields is that of the API's documentation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .._common import names
from .._common.sharing import shared
from .._kube.reference import Reference
from .._pods.model import labels_of
from . import acl_log
from .acl_log import OFF, AclLogging
from .networks import MAXIMUM_BLOCKS, Span, left_of, networks, span
from .selectors import EVERYTHING, Selector, Unreadable

GROUP = "networking.k8s.io/v1"
MAXIMUM_RULES = 500  # of one direction of a policy
MAXIMUM_PEERS = 100  # different selectors of one policy: each is two sets, and a look at all pods
MAXIMUM_NAMED = 1000  # names of ports of a policy, each counted for each peer of its rule
MAXIMUM_PORTS = 500  # of one rule
FAULTS = 5  # that are named; the others are counted
PROTOCOLS = ("TCP", "UDP", "SCTP")
LAST_PORT = 65535
LONGEST_PORT_NAME = 15  # characters (IANA_SVC_NAME)
INGRESS, EGRESS = "Ingress", "Egress"
ACTIONS = ACCEPT, DENY, PASS = "Accept", "Deny", "Pass"


class Namespace(NamedTuple):
    """A namespace.

    :ivar logging: which of its policies' ACLs are logged.
    :ivar fault: why its annotation asks for nothing, in words; empty: it does, or there is none.
    :ivar has_multicast: an annotation lets its pods send multicast to each other.
    """

    name: str
    labels: Mapping[str, str]
    logging: AclLogging = OFF
    fault: str = ""
    uid: str = ""
    has_multicast: bool = False

    @classmethod
    def from_object(cls, item: Mapping[str, Any]) -> Namespace:
        """Make a namespace from an object."""
        meta = item["metadata"]
        annotations = meta.get("annotations")
        annotations = annotations if isinstance(annotations, dict) else {}
        logging, fault = acl_log.of_object(meta)
        has_multicast = annotations.get(names.MULTICAST_ANNOTATION) == "true"
        return cls(shared(meta["name"]), labels_of(meta), logging, fault, meta["uid"], has_multicast)


class PodPeer(NamedTuple):
    """Pods that a rule lets through.

    :ivar namespaces: the labels of their namespaces; None: they are in the policy's own.
    """

    namespaces: Selector | None
    pods: Selector


class PortRange(NamedTuple):
    """Ports of one protocol (lower case); from 0 to 65535: all packets of the protocol."""

    protocol: str
    first: int
    last: int


class PortName(NamedTuple):
    """The name of a port, whose number each pod has by itself; the protocol in lower case."""

    protocol: str
    name: str


class Ports(NamedTuple):
    """The ports of a rule: sorted, and none in two ranges."""

    ranges: tuple[PortRange, ...] = ()
    names: tuple[PortName, ...] = ()


class Rule(NamedTuple):
    """What a rule is about, and what becomes of it.

    :ivar everyone: from, or to, anywhere; else only what the peers are.
    :ivar networks: of its ``ipBlock`` peers, without what they except.
    :ivar ports: None: all of all protocols.

    Those of a NetworkPolicy let through, and have no more than that. Those of a ClusterNetworkPolicy have more:

    :ivar action: one of ACTIONS.
    :ivar number: its place among those of its direction.
    :ivar nodes: peers that are nodes, by their labels.
    :ivar domains: domain names of peers.
    """

    everyone: bool
    peers: tuple[PodPeer, ...] = ()
    networks: tuple[str, ...] = ()
    ports: Ports | None = None
    action: str = ACCEPT
    number: int = 0
    nodes: tuple[Selector, ...] = ()
    domains: tuple[str, ...] = ()


class Policy(NamedTuple):
    """A network policy.

    :ivar pods: those that it is for, in its own namespace.
    :ivar ingress: what they may receive; None: the policy says nothing of that.
    :ivar egress: the same of what they send.
    :ivar faults: what of it allows nothing because it can't be read, in words.
    """

    namespace: str
    name: str
    uid: str
    pods: Selector
    ingress: tuple[Rule, ...] | None
    egress: tuple[Rule, ...] | None
    faults: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    @property
    def reference(self) -> Reference:
        """The object that an event about it names."""
        return Reference("NetworkPolicy", self.namespace, self.name, self.uid, GROUP)

    @classmethod
    def from_object(cls, item: Mapping[str, Any]) -> Policy:
        """Make a policy from an object, whatever is in its ``spec``."""
        meta, spec = item["metadata"], item.get("spec")
        decoder = _Decoder()
        pods, ingress, egress = decoder.spec(spec if isinstance(spec, dict) else {})
        return cls(shared(meta["namespace"]), meta["name"], meta["uid"], pods, ingress, egress, decoder.told())


def bounded(faults: Sequence[str]) -> tuple[str, ...]:
    """Return the first faults, and how many more there are."""
    rest = len(faults) - FAULTS
    return (*faults[:FAULTS], *((f"and {rest} more",) if rest > 0 else ()))


class _Decoder:
    """Reads one policy, and notes what it can't read."""

    def __init__(self) -> None:
        self._faults: list[str] = []
        self._peers: set[PodPeer] = set()
        self._named = self._blocks = 0

    def told(self) -> tuple[str, ...]:
        """Return what could not be read, bounded."""
        return bounded(self._faults)

    def spec(self, spec: Mapping[str, Any]) -> tuple[Selector, tuple[Rule, ...] | None, tuple[Rule, ...] | None]:
        """Return the pods, and the rules of both directions."""
        try:
            # The field is required; an API server takes its absence for an empty one, which selects all pods.
            pods = Selector.parse(spec.get("podSelector") or {})
        except Unreadable as exc:
            self._faults.append(f"podSelector has {exc}: all pods of the namespace are isolated")
            pods = EVERYTHING
        types = self._types(spec)
        return (
            pods,
            self._rules(INGRESS, spec.get("ingress"), "from") if INGRESS in types else None,
            self._rules(EGRESS, spec.get("egress"), "to") if EGRESS in types else None,
        )

    def _types(self, spec: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the directions that the policy is about: without ``policyTypes`` it is ingress, and egress where there
        are rules for it.
        """
        types = spec.get("policyTypes")
        if types is None or types == []:
            return (INGRESS, EGRESS) if spec.get("egress") else (INGRESS,)
        if isinstance(types, list) and all(one in (INGRESS, EGRESS) for one in types):
            return tuple(types)
        self._faults.append("policyTypes has something else than Ingress and Egress: pods are isolated in both")
        return INGRESS, EGRESS

    def _rules(self, direction: str, value: object, peers: str) -> tuple[Rule, ...]:
        if value is not None and not isinstance(value, list):
            self._faults.append(f"{direction.lower()} is no list, and allows nothing")
            return ()
        items = value or []
        if len(items) > MAXIMUM_RULES:
            self._faults.append(f"{direction.lower()} has more than {MAXIMUM_RULES} rules: the others allow nothing")
        found: dict[Rule, int] = {}
        for number, item in enumerate(items[:MAXIMUM_RULES]):
            peers_before = set(self._peers)
            try:
                found.setdefault(self._rule(item, peers), number)
            except Unreadable as exc:
                self._peers = peers_before
                self._faults.append(f"{direction.lower()} rule {number} allows nothing: it has {exc}")
        return tuple(rule._replace(number=number) for rule, number in found.items())

    def _rule(self, item: object, field: str) -> Rule:
        if not isinstance(item, dict):
            raise Unreadable("no fields")
        ports = _ports(item.get("ports"))
        values = item.get(field)
        if values is None or values == []:
            self._count_names(ports, 1)
            return Rule(True, ports=ports)
        if not isinstance(values, list):
            raise Unreadable(f"a field {field} that is no list")
        peers: set[PodPeer] = set()
        spans: list[Span] = []
        for one in values:
            if not isinstance(one, dict):
                raise Unreadable("a peer that is no object")
            if one.get("ipBlock") is not None:
                if one.get("podSelector") is not None or one.get("namespaceSelector") is not None:
                    raise Unreadable("a peer with ipBlock and a selector")
                spans += self._block(one["ipBlock"])
            else:
                peers.add(self._peer(one))
        self._count_names(ports, len(peers) + bool(spans))
        return Rule(False, tuple(sorted(peers, key=str)), networks(spans), ports)

    def _count_names(self, ports: Ports | None, peers: int) -> None:
        named = len(ports.names) * peers if ports is not None else 0
        if self._named + named > MAXIMUM_NAMED:
            raise Unreadable(f"names of ports of which the policy has more than {MAXIMUM_NAMED}, each with each peer")
        self._named += named

    def _peer(self, one: Mapping[str, Any]) -> PodPeer:
        """Return a peer by its selectors: of the two a missing one selects the policy's own namespace, or all pods."""
        namespaces, pods = one.get("namespaceSelector"), one.get("podSelector")
        if namespaces is None and pods is None:
            raise Unreadable("a peer without podSelector, namespaceSelector and ipBlock")
        peer = PodPeer(
            None if namespaces is None else Selector.parse(namespaces),
            EVERYTHING if pods is None else Selector.parse(pods),
        )
        if peer not in self._peers and len(self._peers) >= MAXIMUM_PEERS:
            raise Unreadable(f"selectors of peers of which the policy has more than {MAXIMUM_PEERS}")
        self._peers.add(peer)
        return peer

    def _block(self, value: object) -> Iterable[Span]:
        if not isinstance(value, dict):
            raise Unreadable("an ipBlock that is no object")
        exceptions = value.get("except") or []
        if not isinstance(exceptions, list):
            raise Unreadable("exceptions of an ipBlock that are no list")
        self._blocks += 1 + len(exceptions)
        if self._blocks > MAXIMUM_BLOCKS:
            raise Unreadable(f"networks of which the policy has more than {MAXIMUM_BLOCKS}")
        return left_of(span(value.get("cidr")), map(span, exceptions))


def _ports(value: object) -> Ports | None:
    """Return the ports of a rule; None: all, since there is no list, or an empty one.

    :raises Unreadable: when one of them is none.
    """
    if value is None or value == []:
        return None
    if not isinstance(value, list):
        raise Unreadable("ports that are no list")
    if len(value) > MAXIMUM_PORTS:
        raise Unreadable(f"more than {MAXIMUM_PORTS} ports")
    ranges: set[PortRange] = set()
    found_names: set[PortName] = set()
    for one in value:
        if not isinstance(one, dict):
            raise Unreadable("a port that is no object")
        protocol = one.get("protocol") or "TCP"
        if protocol not in PROTOCOLS:
            raise Unreadable(f"protocol {str(protocol)[:20]!r}")
        _add_port(protocol.lower(), one.get("port"), one.get("endPort"), ranges, found_names)
    return Ports(merged(ranges), tuple(sorted(found_names)))


def _add_port(protocol: str, port: object, end: object, ranges: set[PortRange], found_names: set[PortName]) -> None:
    """Add what one port says: without a number it is the whole protocol, and only numbers have an ``endPort``."""
    if port is None and end is None:
        ranges.add(PortRange(protocol, 0, LAST_PORT))
    elif isinstance(port, str) and end is None and 0 < len(port) <= LONGEST_PORT_NAME:
        found_names.add(PortName(protocol, shared(port)))
    elif _is_port(port) and (end is None or (_is_port(end) and end >= port)):  # type: ignore[operator]
        ranges.add(PortRange(protocol, port, port if end is None else end))  # type: ignore[arg-type]
    else:
        raise Unreadable(f"port {str(port)[:20]!r} with endPort {str(end)[:20]!r}")


def _is_port(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LAST_PORT


def merged(ranges: Iterable[PortRange]) -> tuple[PortRange, ...]:
    """Return ranges of ports, sorted, none in two of them."""
    found: list[PortRange] = []
    for one in sorted(ranges):
        last = found[-1] if found else None
        if last is not None and last.protocol == one.protocol and one.first <= last.last + 1:
            found[-1] = last._replace(last=max(last.last, one.last))
        else:
            found.append(one)
    return tuple(found)
