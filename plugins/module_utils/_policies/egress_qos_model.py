# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""EgressQoS (k8s.ovn.org/v1), as the watcher keeps it in memory: which DSCP packets of a namespace's pods get.

Decoding never fails. A rule that can't be read marks nothing, and ``faults`` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .._common.sharing import shared
from .._kube.reference import Reference
from .networks import networks, span
from .selectors import EVERYTHING, Selector, Unreadable

API = "k8s.ovn.org/v1"
NAME = "default"  # that an object must have: there is one for each namespace
MAXIMUM_RULES = 100
LARGEST_DSCP = 63  # RFC 2474: six bits
FAULTS = 5  # that are named; the others are counted


class QoSRule(NamedTuple):
    """A rule.

    :ivar number: its place in the object.
    :ivar network: its destination; None: any.
    """

    number: int
    dscp: int
    network: str | None
    pods: Selector


class Condition(NamedTuple):
    """A condition of a status, without its time."""

    type: str
    status: str
    reason: str
    message: str


class EgressQoS(NamedTuple):
    """An EgressQoS.

    :ivar rules: in their order; the first one that a packet matches counts.
    :ivar faults: what is not served, in words.
    :ivar status: what its status says now.
    :ivar conditions: those of its status.
    """

    namespace: str
    name: str
    uid: str
    rules: tuple[QoSRule, ...]
    faults: tuple[str, ...] = ()
    status: str = ""
    conditions: tuple[Condition, ...] = ()

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    @property
    def reference(self) -> Reference:
        """The object that an event about it names."""
        return Reference("EgressQoS", self.namespace, self.name, self.uid, API)

    @classmethod
    def from_object(cls, item: Mapping[str, Any]) -> EgressQoS:
        """Make it from an object, whatever is in its ``spec``."""
        meta, spec, status = item["metadata"], item.get("spec"), item.get("status")
        rules, faults = _rules(spec.get("egress") if isinstance(spec, dict) else None)
        said = status if isinstance(status, dict) else {}
        conditions = said.get("conditions")
        conditions = conditions if isinstance(conditions, list) else []
        found = tuple(_condition(one) for one in conditions[:FAULTS] if isinstance(one, dict))
        text = str(said.get("status") or "")[:100]
        return cls(shared(meta["namespace"]), meta["name"], meta["uid"], rules, faults, text, found)


def _condition(one: Mapping[str, Any]) -> Condition:
    return Condition(*(str(one.get(field) or "")[:600] for field in Condition._fields))


def _rules(items: object) -> tuple[tuple[QoSRule, ...], tuple[str, ...]]:
    """Return the rules that are served, and what is wrong with the others."""
    if not isinstance(items, list):
        return (), ("egress is no list",)
    found: list[QoSRule] = []
    faults: list[str] = []
    if len(items) > MAXIMUM_RULES:
        faults.append(f"it has more than {MAXIMUM_RULES} rules: the others mark nothing")
    for number, item in enumerate(items[:MAXIMUM_RULES]):
        try:
            found.append(_rule(number, item))
        except Unreadable as exc:
            faults.append(f"rule {number} marks nothing: it has {exc}")
    rest = len(faults) - FAULTS
    return tuple(found), (*faults[:FAULTS], *((f"and {rest} more",) if rest > 0 else ()))


def _rule(number: int, item: object) -> QoSRule:
    if not isinstance(item, dict):
        raise Unreadable("no fields")
    dscp, cidr, pods = item.get("dscp"), item.get("dstCIDR"), item.get("podSelector")
    if not isinstance(dscp, int) or isinstance(dscp, bool) or not 0 <= dscp <= LARGEST_DSCP:
        raise Unreadable(f"dscp {str(dscp)[:20]!r}")
    network = None if cidr is None else networks([span(cidr)])[0]
    return QoSRule(number, dscp, network, EVERYTHING if pods is None else Selector.parse(pods))
