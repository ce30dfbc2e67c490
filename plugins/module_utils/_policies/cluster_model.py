# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cluster network policies (policy.networking.k8s.io, network-policy-api v0.3.0), as the watcher keeps them in memory.

v1alpha2 and v1beta1 have the same fields. Their meaning is that of the API's documentation, also for what can't be
read, or is larger than what is served: an Accept rule matches nothing then, and a Deny or Pass rule denies everything
("fail closed"). A policy whose tier, priority or subject can't be read is refused as a whole: it says nothing of any
pod.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .._common.sharing import shared
from .._kube.reference import Reference
from . import acl_log, domain_names, model, tiers
from .acl_log import OFF, AclLogging
from .model import PROTOCOLS, PodPeer, PortName, PortRange, Ports, Rule
from .networks import Span, networks, span
from .selectors import EVERYTHING, Selector, Unreadable

GROUP = "policy.networking.k8s.io"
VERSIONS = ("v1beta1", "v1alpha2")  # the one that is asked for first comes first
COLLECTION = "clusternetworkpolicies"
KIND = "ClusterNetworkPolicy"
TIERS = {"Admin": tiers.ADMIN, "Baseline": tiers.BASELINE}
MAXIMUM_PEERS = 250  # different selectors of one policy: each is two sets, and a look at all pods
MAXIMUM_ITEMS = 25  # peers, protocols, networks and names in one list (the API's definition)
CONDITION = "Enforced"  # the type of the condition that the watcher writes


class Condition(NamedTuple):
    """A condition of an object's status (metav1.Condition), without its type.

    :ivar generation: of the object that it is about.
    :ivar since: when ``status`` became what it is (RFC 3339).
    """

    status: str
    reason: str
    message: str
    generation: int
    since: str = ""


class ClusterPolicy(NamedTuple):
    """A cluster network policy.

    :ivar generation: of the object's ``spec``.
    :ivar tier: :data:`.tiers.ADMIN` or :data:`.tiers.BASELINE`.
    :ivar priority: a lower number comes first.
    :ivar subject: the pods that it is for; None: the policy is refused.
    :ivar ingress: :ivar egress: rules in their order. Their numbers have gaps where a rule matches nothing.
    :ivar faults: what of it is not enforced as written, in words.
    :ivar version: of the API, by which the object was read.
    :ivar condition: what the object says of itself in :data:`CONDITION`.
    :ivar logging: what its annotation asks for; :ivar log_fault: why that asks for nothing, in words.
    """

    name: str
    uid: str
    generation: int
    tier: int
    priority: int
    subject: PodPeer | None
    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]
    faults: tuple[str, ...] = ()
    version: str = VERSIONS[0]
    condition: Condition | None = None
    logging: AclLogging = OFF
    log_fault: str = ""

    def is_as(self, other: ClusterPolicy) -> bool:
        """Return whether another one differs in nothing but what its status says."""
        return self._replace(condition=other.condition) == other

    @property
    def key(self) -> str:
        """Its name: no other kind of policy has such a key."""
        return self.name

    @property
    def namespace(self) -> Selector:
        """What selects the namespaces of the pods that it is for."""
        return self.subject.namespaces if self.subject and self.subject.namespaces is not None else EVERYTHING

    @property
    def pods(self) -> Selector:
        """The pods that it is for, in these namespaces."""
        return self.subject.pods if self.subject else EVERYTHING

    @property
    def reference(self) -> Reference:
        """The object that an event about it names."""
        return Reference(KIND, "", self.name, self.uid, f"{GROUP}/{self.version}")

    @classmethod
    def from_object(cls, item: Mapping[str, Any]) -> ClusterPolicy:
        """Make a policy from an object, whatever is in its ``spec``."""
        meta, spec = item["metadata"], item.get("spec")
        generation = meta.get("generation")
        version = str(item.get("apiVersion") or "").rpartition("/")[2]
        logging, log_fault = acl_log.of_object(meta)
        return cls(
            shared(meta["name"]),
            meta["uid"],
            generation if isinstance(generation, int) else 0,
            *_Decoder().spec(spec if isinstance(spec, dict) else {}),
            version if version in VERSIONS else VERSIONS[0],
            _condition(item.get("status")),
            logging,
            log_fault,
        )


def _condition(status: object) -> Condition | None:
    """Return the condition that a watcher has written."""
    found = status.get("conditions") if isinstance(status, dict) else None
    for one in found if isinstance(found, list) else ():
        if isinstance(one, dict) and one.get("type") == CONDITION:
            status_now, reason, message = (str(one.get(field) or "") for field in ("status", "reason", "message"))
            generation = one.get("observedGeneration")
            number = generation if isinstance(generation, int) else -1
            return Condition(status_now, reason, message, number, str(one.get("lastTransitionTime") or ""))
    return None


class _Decoder:
    """Reads one policy, and notes what it can't read."""

    def __init__(self) -> None:
        self._faults: list[str] = []
        self._peers: set[PodPeer] = set()

    def spec(
        self, spec: Mapping[str, Any]
    ) -> tuple[int, int, PodPeer | None, tuple[Rule, ...], tuple[Rule, ...], tuple[str, ...]]:
        """Return the tier, the priority, the subject, the rules of both directions, and what can't be read."""
        try:
            tier = TIERS.get(spec.get("tier"))  # type: ignore[arg-type]
            priority = spec.get("priority")
            if tier is None:
                raise Unreadable("a tier that is neither Admin nor Baseline")
            if not _is_number(priority, 0, tiers.MAXIMUM_PRIORITY):
                raise Unreadable(f"a priority that is no number from 0 to {tiers.MAXIMUM_PRIORITY}")
            subject = _pods_of(spec.get("subject"), "a subject")
            found = [_list(spec.get(field), field, tiers.MAXIMUM_RULES) for field in ("ingress", "egress")]
        except (Unreadable, TypeError) as exc:
            text = str(exc) if isinstance(exc, Unreadable) else "a tier that is neither Admin nor Baseline"
            return tiers.ADMIN, 0, None, (), (), (f"it says nothing of any pod: it has {text}",)
        ingress, egress = self._rules("ingress", found[0]), self._rules("egress", found[1])
        return tier, int(priority), subject, ingress, egress, model.bounded(self._faults)  # type: ignore[arg-type]

    def _rules(self, direction: str, items: list[Any]) -> tuple[Rule, ...]:
        found = []
        for number, item in enumerate(items):
            action = item.get("action") if isinstance(item, dict) else None
            peers_before = set(self._peers)
            try:
                if action not in model.ACTIONS:
                    raise Unreadable("an action that is none")
                found.append(self._rule(item, direction)._replace(action=action, number=number))
            except Unreadable as exc:
                self._peers = peers_before
                effect = "matches nothing" if action == model.ACCEPT else "denies everything"
                self._faults.append(f"{direction} rule {number} {effect}: it has {exc}")
                if action != model.ACCEPT:
                    found.append(Rule(True, action=model.DENY, number=number))
        return tuple(found)

    def _rule(self, item: Mapping[str, Any], direction: str) -> Rule:
        field = "from" if direction == "ingress" else "to"
        ports = _ports(item.get("protocols"))
        peers: set[PodPeer] = set()
        nodes: set[Selector] = set()
        domains: set[str] = set()
        spans: list[Span] = []
        values = _list(item.get(field), field)
        for one in values:
            kind, value = _only(one, "a peer")
            if kind in ("namespaces", "pods"):
                peers.add(self._count(_pods_of(one, "a peer")))
            elif direction == "egress" and kind == "nodes":
                nodes.add(Selector.parse(value))
            elif direction == "egress" and kind == "networks":
                spans += map(span, _filled(value, "networks"))
            elif direction == "egress" and kind == "domainNames":
                domains.update(map(domain_names.parse, _filled(value, "domainNames")))
            else:
                raise Unreadable(f"a peer of an unknown kind {str(kind)[:20]!r}")
        if not values:
            raise Unreadable("no peers")
        if domains and item.get("action") != model.ACCEPT:
            raise Unreadable("domainNames, which only Accept rules may have")
        if ports is not None and ports.names and (nodes or spans or domains):
            raise Unreadable("the name of a port together with peers that are no pods")
        return Rule(
            False,
            tuple(sorted(peers, key=str)),
            networks(spans),
            ports,
            nodes=tuple(sorted(nodes)),
            domains=tuple(sorted(domains)),
        )

    def _count(self, peer: PodPeer) -> PodPeer:
        self._peers.add(peer)
        if len(self._peers) > MAXIMUM_PEERS:
            raise Unreadable(f"selectors of peers of which the policy has more than {MAXIMUM_PEERS}")
        return peer


def _pods_of(value: object, what: str) -> PodPeer:
    """Return the pods of a subject or a peer: ``namespaces``, or ``pods`` with two selectors, of which an empty one, or
    a missing ``namespaceSelector``, selects everything.
    """
    kind, content = _only(value, what)
    if kind == "namespaces":
        return PodPeer(Selector.parse(content), EVERYTHING)
    if kind == "pods" and isinstance(content, dict):
        namespaces = content.get("namespaceSelector")
        pods = Selector.parse(content.get("podSelector"))
        return PodPeer(EVERYTHING if namespaces is None else Selector.parse(namespaces), pods)
    raise Unreadable(f"{what} that selects no pods by a known field")


def _only(value: object, what: str) -> tuple[str, object]:
    """Return the name and the value of the only field of an object."""
    fields = [(key, one) for key, one in value.items() if one is not None] if isinstance(value, dict) else []
    if len(fields) != 1:
        raise Unreadable(f"{what} that has not exactly one field")
    return fields[0]


def _list(value: object, what: str, longest: int = MAXIMUM_ITEMS) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise Unreadable(f"{what} that is no list")
    if value is not None and len(value) > longest:
        raise Unreadable(f"{what} with more than {longest} members")
    return value or []


def _filled(value: object, what: str) -> list[Any]:
    """Return a list with members."""
    found = _list(value, what)
    if not found:
        raise Unreadable(f"{what} without a member")
    return found


def _ports(value: object) -> Ports | None:
    """Return the ports of a rule; None: all, since it has no ``protocols``."""
    if value is None:
        return None
    ranges: set[PortRange] = set()
    names: set[PortName] = set()
    for one in _filled(value, "protocols"):
        kind, content = _only(one, "a protocol")
        if kind == "destinationNamedPort":
            if not isinstance(content, str) or not 0 < len(content) <= model.LONGEST_PORT_NAME:
                raise Unreadable("the name of a port that is none")
            names.update(PortName(protocol.lower(), shared(content)) for protocol in PROTOCOLS)
        elif kind.upper() in PROTOCOLS and kind.islower() and isinstance(content, dict):
            ranges.add(_range(kind, content))
        else:
            raise Unreadable(f"protocol {str(kind)[:20]!r}")
    return Ports(model.merged(ranges), tuple(sorted(names)))


def _range(protocol: str, content: Mapping[str, Any]) -> PortRange:
    """Return the ports of a protocol; without ``destinationPort`` all of them."""
    if not set(content) <= {"destinationPort"}:
        raise Unreadable(f"a condition of {protocol} that is not known")
    if content.get("destinationPort") is None:
        return PortRange(protocol, 0, model.LAST_PORT)
    kind, value = _only(content["destinationPort"], "a destinationPort")
    if kind == "range" and isinstance(value, dict):
        first, last = value.get("start"), value.get("end")
    else:
        first = last = value if kind == "number" else None
    if not (_is_number(first, 1, model.LAST_PORT) and _is_number(last, 1, model.LAST_PORT)) or first > last:  # type: ignore[operator]
        raise Unreadable("a port that is none")
    return PortRange(protocol, first, last)  # type: ignore[arg-type]


def _is_number(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
