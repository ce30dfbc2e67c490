# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An EgressIP (k8s.ovn.org/v1) as it is used, whatever is in its ``spec``: addresses and selectors, bounded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .._common import addressing
from .._kube.reference import Reference
from .._policies.selectors import EVERYTHING, Requirement, Selector, Unreadable
from .._policies.shared import PeerPods

GROUP = "k8s.ovn.org/v1"
PATH = f"/apis/{GROUP}/egressips"
MAXIMUM_ADDRESSES = 32  # of one object
SHOWN = 50  # characters of a text that is no address


class EgressIP(NamedTuple):
    """An EgressIP.

    :ivar created: when it was created (RFC 3339, in UTC).
    :ivar addresses: in their usual spelling, none twice.
    :ivar namespaces: the labels of its pods' namespaces; None: they can't be read, and it selects nothing.
    :ivar pods: the labels of its pods.
    :ivar versions: IP versions of all that it names, also of what is no address: a colon means IPv6.
    :ivar faults: what of it is not served because it can't be read, in words.
    :ivar items: pairs of address and node that its status has.
    :ivar conditions: of its status: type -> (status, reason, message).
    """

    name: str
    uid: str
    created: str
    addresses: tuple[str, ...]
    namespaces: Selector | None
    pods: Selector
    versions: tuple[int, ...] = ()
    faults: tuple[str, ...] = ()
    items: tuple[tuple[str, str], ...] = ()
    conditions: tuple[tuple[str, str, str, str], ...] = ()

    @property
    def reference(self) -> Reference:
        """The object that an event about it names."""
        return Reference("EgressIP", "", self.name, self.uid, GROUP)

    @property
    def order(self) -> tuple[str, str]:
        """By which objects that name the same address come: the older one has it."""
        return self.created, self.name

    @classmethod
    def from_object(cls, item: Mapping[str, Any]) -> EgressIP:
        """Make it from an object of the API server."""
        meta, spec, status = item["metadata"], item.get("spec"), item.get("status")
        spec = spec if isinstance(spec, dict) else {}
        addresses, faults = _addresses(spec.get("egressIPs"))
        namespaces, pods = None, EVERYTHING
        try:
            namespaces = Selector.parse(spec.get("namespaceSelector"))
            pods = Selector.parse(spec.get("podSelector") or {})
        except Unreadable as exc:
            namespaces = None
            faults += (f"its selectors have {exc}: it selects no pods",)
        return cls(
            meta["name"],
            meta["uid"],
            meta.get("creationTimestamp") or "",
            addresses,
            namespaces,
            pods,
            _versions(spec.get("egressIPs")),
            faults,
            *_status(status if isinstance(status, dict) else {}),
        )


def packed(sets: Iterable[PeerPods]) -> str:
    """Return sets of pods as a text, from which a later watcher knows those that are used by what it can't read."""
    return json.dumps([[one.namespaces, one.pods] for one in sets], separators=(",", ":"))


def unpacked(text: str | None) -> tuple[PeerPods, ...]:
    """Return the sets of such a text; none where somebody else has written it."""
    try:
        return tuple(PeerPods(_selector(first), _selector(second)) for first, second in json.loads(text or "[]"))
    except (ValueError, TypeError):
        return ()


def _selector(value: list[list[list[Any]]]) -> Selector:
    """:raises ValueError: :raises TypeError: it is none."""
    (requirements,) = value
    return Selector(tuple(Requirement(key, operator, tuple(values)) for key, operator, values in requirements))


def _addresses(value: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the addresses, and what is none, in words."""
    if not isinstance(value, list):
        return (), ("egressIPs is no list",)
    found: dict[str, None] = {}
    faults = []
    for one in value[:MAXIMUM_ADDRESSES]:
        ip = addressing.unicast(one)
        if ip is None or addressing.address(ip).is_link_local:
            faults.append(f"{str(one)[:SHOWN]!r} is no address that a gateway can have")
        else:
            found[ip] = None
    if len(value) > MAXIMUM_ADDRESSES:
        faults.append(f"it has more than {MAXIMUM_ADDRESSES} addresses: the others are not served")
    return tuple(found), tuple(faults)


def _versions(value: object) -> tuple[int, ...]:
    """Return the IP versions of what an object names, whether it is served or not."""
    texts = [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
    return tuple(sorted({6 if ":" in one else 4 for one in texts}))


def _status(
    status: Mapping[str, Any],
) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str, str, str], ...]]:
    """Return the items and conditions of a status that we, or anybody, have written."""
    items, conditions = status.get("items"), status.get("conditions")
    pairs = [
        (str(one.get("egressIP")), str(one.get("node")))
        for one in (items if isinstance(items, list) else [])
        if isinstance(one, dict)
    ]
    told = [
        (str(one.get("type")), str(one.get("status")), str(one.get("reason")), str(one.get("message")))
        for one in (conditions if isinstance(conditions, list) else [])
        if isinstance(one, dict)
    ]
    return tuple(sorted(pairs)), tuple(sorted(told))
