# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""AdminPolicyBasedExternalRoute (k8s.ovn.org/v1, as ovn-kubernetes has it), as the watcher keeps it in memory.

Decoding never fails. A next hop that can't be read, or is not served, counts as one that nobody reaches: the pods are
pinned all the same, and don't leave by another way. ``faults`` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .._common import addressing
from .._common.addressing import family
from .._kube.reference import Reference
from .selectors import Selector, Unreadable

GROUP, KIND = "k8s.ovn.org/v1", "AdminPolicyBasedExternalRoute"
PATH = f"/apis/{GROUP}/adminpolicybasedexternalroutes"
MAXIMUM_HOPS = 16  # of one object
VERSIONS = frozenset({4, 6})
SHOWN = 45  # characters of a user's text in a message
MAXIMUM_MESSAGES, LONGEST = 32, 2000  # of a status, and characters of one: ours has fewer


class NextHop(NamedTuple):
    """A static next hop.

    :ivar bfd: it counts only while it is known to be alive (``bfdEnabled``).
    """

    ip: str
    bfd: bool = False


class Status(NamedTuple):
    """What the ``status`` of an object says: ``Success`` or ``Fail``, and why."""

    status: str = ""
    messages: tuple[str, ...] = ()


class ExternalRoute(NamedTuple):
    """The way outside of the pods of some namespaces, or of some nodes.

    :ivar created: when the object was created (RFC 3339, in UTC): of two for the same pods the older one counts.
    :ivar namespaces, nodes: whose pods; one of them is None, or both where nobody is selected.
    :ivar hops: those that can be read, none twice.
    :ivar refused: IP versions of next hops that are not served.
    :ivar faults: what of it is not served, in words.
    :ivar told: the status that the object has.
    """

    name: str
    uid: str
    created: str
    namespaces: Selector | None = None
    nodes: Selector | None = None
    hops: tuple[NextHop, ...] = ()
    refused: frozenset[int] = frozenset()
    faults: tuple[str, ...] = ()
    told: Status = Status()

    @property
    def reference(self) -> Reference:
        """The object that an event about it names."""
        return Reference(KIND, "", self.name, self.uid, GROUP)

    @property
    def path(self) -> str:
        """Where the API server has it."""
        return f"{PATH}/{self.name}"

    @property
    def pinned(self) -> frozenset[int]:
        """The IP versions that it says something of."""
        return self.refused | {family(hop.ip) for hop in self.hops}

    @property
    def order(self) -> tuple[str, str]:
        """The older one comes first."""
        return self.created, self.name

    @classmethod
    def from_object(cls, item: Mapping[str, Any]) -> ExternalRoute:
        """Make it from an object, whatever is in its ``spec``."""
        meta, spec, faults = item["metadata"], _dict(item.get("spec")), list[str]()
        namespaces, nodes = _selectors(_dict(spec.get("from")), faults)
        hops, refused = _hops(_dict(spec.get("nextHops")), faults)
        created = meta.get("creationTimestamp")
        return cls(
            meta["name"],
            meta["uid"],
            created if isinstance(created, str) else "",
            namespaces,
            nodes,
            hops,
            refused,
            tuple(faults),
            _status(_dict(item.get("status"))),
        )


def _selectors(value: Mapping[str, Any], faults: list[str]) -> tuple[Selector | None, Selector | None]:
    """Return whom it is for; nobody where that can't be read, or is not clear."""
    found: dict[str, Selector] = {}
    for name in ("namespaceSelector", "nodeSelector"):
        if value.get(name) is not None:
            try:
                found[name] = Selector.parse(value[name])
            except Unreadable as exc:
                faults.append(f"it selects no pods: {name} has {exc}")
                return None, None
    if len(found) != 1:
        faults.append("it selects no pods: spec.from must have a namespaceSelector or a nodeSelector")
        return None, None
    return found.get("namespaceSelector"), found.get("nodeSelector")


def _hops(value: Mapping[str, Any], faults: list[str]) -> tuple[tuple[NextHop, ...], frozenset[int]]:
    """Return the next hops, and the IP versions of those that are not served; both where that is not known."""
    static, refused = value.get("static") or [], set[int]()
    found: dict[str, NextHop] = {}
    for one in (static if isinstance(static, list) else [static])[:MAXIMUM_HOPS]:
        entry = _dict(one)
        ip = addressing.unicast(entry.get("ip"))
        if ip is None:
            faults.append(f"next hop {str(entry.get('ip'))[:SHOWN]!r} is no address of a router")
            refused |= VERSIONS
        else:
            is_watched = entry.get("bfdEnabled") is True and (ip not in found or found[ip].bfd)
            found[ip] = NextHop(ip, is_watched)
    if isinstance(static, list) and len(static) > MAXIMUM_HOPS:
        faults.append(f"of {len(static)} static next hops the first {MAXIMUM_HOPS} are served")
    if value.get("dynamic"):
        faults.append("dynamic next hops, which are pods, are not served")
        refused |= VERSIONS
    if not found and not refused:
        faults.append("it has no next hop")
        refused |= VERSIONS
    return tuple(sorted(found.values())), frozenset(refused)


def _status(value: Mapping[str, Any]) -> Status:
    messages = value.get("messages")
    kept = messages[:MAXIMUM_MESSAGES] if isinstance(messages, list) else ()
    return Status(str(value.get("status") or "")[:LONGEST], tuple(str(one)[:LONGEST] for one in kept))


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
