# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the ACLs that are there make of a packet, and which rule of which object says so.

The order is OVN's (ovn-nb(5), ACL): each stage asks its tiers one after the other, from 0 on; in a tier the highest
priority whose match is true decides, ``pass`` hands on to the next tier, and what no ACL decides passes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from .._common import names
from . import acls, egress_firewalls, nodes, shared, tiers
from .match import Names, Packet, is_true

ALLOWED, DENIED, UNCERTAIN = "allowed", "denied", "uncertain"
EGRESS, INGRESS = "egress", "ingress"
FIELDS = {"to-lport": INGRESS, "from-lport": EGRESS}
DENYING = ("drop", "reject")
RULES = re.compile(r"(?P<first>[0-9]{1,9})(-(?P<last>[0-9]{1,9}))?", re.ASCII)  # names.RULE_KEY
MAXIMUM_TOLD = 5  # objects that a sentence names


class AclRow(NamedTuple):
    """An ACL as the database has it.

    :ivar kind, name: of the object of ours that it belongs to; empty: it is somebody else's.
    :ivar rule: the number of the object's rule, or of the first one of several; None: it has none.
    :ivar last_rule: the number of the last one of several.
    """

    uuid: str
    direction: str
    is_after_lb: bool
    tier: int
    priority: int
    match: str
    action: str
    kind: str = ""
    name: str = ""
    rule: int | None = None
    last_rule: int | None = None

    @classmethod
    def from_columns(cls, uuid: str, columns: dict[str, Any]) -> AclRow:
        """Make it from a row's columns, decoded; OVN before 23.06 has no tiers."""
        keys = columns["external_ids"]
        is_ours = keys.get(names.OWNER_CONTROLLER) == names.CONTROLLER
        rules = RULES.fullmatch(keys.get(names.RULE_KEY, "")) if is_ours else None
        return cls(
            uuid,
            columns["direction"],
            columns["options"].get("apply-after-lb") == "true",
            columns.get("tier") or 0,
            columns["priority"],
            columns["match"],
            columns["action"],
            keys.get(names.OWNER_TYPE, "") if is_ours else "",
            keys.get(names.OWNER_NAME, "") if is_ours else "",
            int(rules["first"]) if rules else None,
            int(rules["last"]) if rules and rules["last"] else None,
        )

    @property
    def leaves_to_others(self) -> bool:
        """Whether it lets through a stage what the next ones judge: protocols with ports, by an egress firewall."""
        return self.kind == egress_firewalls.KIND and self.action not in DENYING

    @property
    def decides_nothing(self) -> bool:
        """Whether it is one of those that pass on, or let through, what no other one is about (:mod:`.nodes`)."""
        return self.kind == nodes.KIND and self.priority == tiers.NEXT

    @property
    def is_isolation(self) -> bool:
        """Whether it drops what no rule of a NetworkPolicy lets through."""
        return self.kind == acls.KIND and self.action == acls.DROP and self.rule is None

    def __str__(self) -> str:
        """Return it for people."""
        if not self.kind:
            return f"ACL {self.uuid}, which is nobody's of this collection"
        if self.kind == nodes.KIND and self.action in DENYING:
            return "the rule that IPv6 link-local addresses reach nobody"
        words = {nodes.KIND: "the node's own traffic", shared.GROUP_KIND: "a pod's traffic to itself"}
        if self.kind in words:
            return words[self.kind]
        rule = "" if self.rule is None else f"rule {self.rule} of "
        if self.last_rule is not None:
            rule = f"a rule from {self.rule} to {self.last_rule} of "
        return f"{rule}{self.kind} {self.name}"


class Verdict(NamedTuple):
    """What one end says of a packet.

    :ivar direction: :data:`EGRESS` or :data:`INGRESS`.
    :ivar verdict: ALLOWED, DENIED or UNCERTAIN.
    :ivar by: the ACLs that decide; none: no ACL does, and it passes.
    """

    direction: str
    verdict: str
    by: tuple[AclRow, ...] = ()

    @property
    def is_isolation(self) -> bool:
        """Whether it is denied only since no NetworkPolicy's rule lets it through."""
        return self.verdict == DENIED and bool(self.by) and all(one.is_isolation for one in self.by)

    def __str__(self) -> str:
        """Return it as the end of a sentence."""
        if not self.by:
            return "no ACL is about it"
        told = list(dict.fromkeys(map(str, self.by)))
        some = ", ".join(told[:MAXIMUM_TOLD]) + (f" and {len(told) - MAXIMUM_TOLD} more" * (len(told) > MAXIMUM_TOLD))
        if self.is_isolation:
            return f"the pod is isolated by {some}, and no rule lets this through"
        if self.verdict == UNCERTAIN:
            return f"it can't be told from rows what these make of it: {some}"
        return f"by {some}"


def judge(found: Iterable[AclRow], packets: Sequence[tuple[bool, Packet]], direction: str, known: Names) -> Verdict:
    """Return what the ACLs of a switch and of a port's groups make of a packet.

    :param packets: in the order of the stages: whether it is the one after load balancing, and the packet there.
    :param direction: ``from-lport`` or ``to-lport``.
    """
    mine = [one for one in found if one.direction == direction and not one.decides_nothing]
    verdict = Verdict(FIELDS[direction], ALLOWED)
    for is_after_lb, packet in packets:
        stage = [one for one in mine if direction == tiers.TO_POD or one.is_after_lb == is_after_lb]
        said = _stage(stage, packet, FIELDS[direction], known)
        if said.verdict != ALLOWED:
            return said
        verdict = said if said.by and not all(one.leaves_to_others for one in said.by) else verdict
    return verdict


def _stage(found: Iterable[AclRow], packet: Packet, direction: str, known: Names) -> Verdict:
    by_tier: dict[int, list[AclRow]] = {}
    for one in found:
        by_tier.setdefault(one.tier, []).append(one)
    doubtful: list[AclRow] = []
    for _tier, some in sorted(by_tier.items()):
        decided = _tier_decides(some, packet, known, doubtful)
        effects = {one.action if one.action == "pass" else one.action in DENYING for one in decided}
        if len(effects) > 1:
            return Verdict(direction, UNCERTAIN, tuple(decided))
        if decided and effects != {"pass"}:
            verdict = Verdict(direction, DENIED if effects == {True} else ALLOWED, tuple(decided))
            break
    else:
        verdict = Verdict(direction, ALLOWED)
    against = [one for one in doubtful if (one.action in DENYING) != (verdict.verdict == DENIED)]
    return Verdict(direction, UNCERTAIN, tuple(against)) if against else verdict


def _tier_decides(found: Iterable[AclRow], packet: Packet, known: Names, doubtful: list[AclRow]) -> list[AclRow]:
    """Return the ACLs of a tier that decide, all of one priority; add those before them of which it can't be told."""
    decided: list[AclRow] = []
    for one in sorted(found, key=lambda one: -one.priority):
        if decided and one.priority < decided[0].priority:
            break
        truth = is_true(one.match, packet, known)
        if truth:
            decided.append(one)
        elif truth is None:
            doubtful.append(one)
    return sorted(decided, key=lambda one: (one.kind, one.name, one.rule or 0, one.uuid))
