# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What moves along with a NIC's addresses: the name servers of the link, and the work of the network manager.

Desired states and their steps, for the plan of a host (:class:`._host.desired.HostState`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .._host.desired import AddressMove, HostState, ReaderSteps
from .._host.steps.base import Step
from .managers import registry, resolved

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from .._host.steps.base import StepContext
    from .managers.base import Profile
    from .managers.resolved import LinkResolver


def address_move(source: str, target: str, labels: Mapping[str, str] | None = None) -> HostState:
    """Return the state in which all that a link has is the target's instead: addresses, routes, rules, name servers.

    :param labels: of addresses on the target, where they do not follow from those on the source: CIDR to label.
    """
    move = AddressMove(source, target, tuple(sorted((labels or {}).items())))
    return HostState(moves=(move,), companions=(NameServers(source, target),))


@dataclass(frozen=True)
class NameServers:
    """The source's name servers of systemd-resolved are the target's instead."""

    source: str
    target: str

    def read(self) -> LinkResolver | None:
        """Return what the source has, None when it has nothing."""
        return resolved.read_resolver(self.source)

    def plan(self, current: Any) -> Sequence[Step]:
        """Return the step that moves them, nothing when there are none."""
        return [ResolverStep(self.source, self.target, current)] if current else []


@dataclass(frozen=True)
class ResolverStep(Step):
    """Move a link's name servers of systemd-resolved to another link.

    :ivar source: None: they are only added.
    """

    source: str | None
    target: str
    resolver: LinkResolver

    atomic = False

    def describe(self) -> str:
        way = f"move from {self.source} to {self.target}" if self.source else f"add to {self.target}"
        return f"name servers: {way}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": "resolver",
            "operation": "move" if self.source else "add",
            "from": self.source,
            "to": self.target,
        }

    def before(self) -> list[str]:
        return [f"name servers of {self.source}"] if self.source else []

    def after(self) -> list[str]:
        return [f"name servers of {self.target}"]

    def undo(self) -> ResolverStep | None:
        return replace(self, source=self.target, target=self.source) if self.source else None

    def apply(self, context: StepContext) -> bool:
        context.require_link(self.target)
        resolved.set_resolver(self.target, self.resolver)
        if self.source is not None:
            resolved.revert_resolver(self.source)
        return True


@dataclass(frozen=True)
class Handover:
    """A network manager that is told when its files have changed: it does for the bridge what it did for the NIC, or
    the opposite.

    :ivar manager: the name of a :class:`.managers.base.Manager`.
    :ivar paths: the files. While none of them changes, the manager is not told.
    :ivar early: it is told before addresses move too, because it would put them back.
    :ivar profile: NetworkManager's profile of the NIC.
    :ivar alone: the host does not use the NIC in its bridge, and the manager does nothing for the bridge.
    """

    manager: str
    nic: str
    bridge: str
    paths: tuple[str, ...] = ()
    to_bridge: bool = True
    early: bool = False
    profile: Profile | None = None
    alone: bool = False

    def back(self) -> Handover:
        """Return the same in the opposite direction."""
        return replace(self, to_bridge=not self.to_bridge, early=False)

    def steps(self) -> ReaderSteps:
        """Return the steps that tell the manager after its files have changed, in either direction of the plan.

        So the first step usually does something in its inverse only. A manager that restores addresses
        (``told_first``), once it has a NIC back, has to release it before addresses leave the NIC again: there the
        inverse of the last step tells it too.
        """
        last = HandoverStep(
            self.manager,
            self.nic,
            self.bridge,
            self.to_bridge,
            profile=self.profile,
            tells_back=registry.manager(self.manager).told_first and not self.to_bridge,
            alone=self.alone,
        )
        return ReaderSteps(first=replace(last, tells=self.early, tells_back=True), last=last)


@dataclass(frozen=True)
class HandoverStep(Step):
    """Tell a network manager that it does for the bridge what it did for the NIC, or the opposite, as its files say.

    :ivar tells: whether the step does anything.
    :ivar tells_back: whether its inverse does anything.
    :ivar waits: whether the bridge must have its addresses. False: it is enough that the manager is about to get them.
    :ivar alone: as in :class:`Handover`.
    """

    manager: str
    nic: str
    bridge: str
    to_bridge: bool = True
    tells: bool = True
    tells_back: bool = False
    profile: Profile | None = None
    waits: bool = True
    alone: bool = False

    atomic = False

    def describe(self) -> str:
        if not self.tells:
            return f"{self.manager}: reads its files for {self.nic} again if this is rolled back"
        if self.alone:
            return (
                f"{self.manager}: {'leaves' if self.to_bridge else 'configures'} {self.nic}{' alone' * self.to_bridge}"
            )
        new, old = (self.bridge, self.nic) if self.to_bridge else (self.nic, self.bridge)
        return f"{self.manager}: configures {new} instead of {old}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": "manager",
            "operation": "tell" if self.tells else "mark",
            "manager": self.manager,
            "nic": self.nic,
            "bridge": self.bridge,
            "to_bridge": self.to_bridge,
        }

    def before(self) -> list[str]:
        return []

    def after(self) -> list[str]:
        return [self.describe()] if self.tells else []

    def undo(self) -> HandoverStep:
        return replace(self, to_bridge=not self.to_bridge, tells=self.tells_back, tells_back=self.tells)

    def apply(self, context: StepContext) -> bool:
        if self.tells:
            manager = registry.manager(self.manager)
            (manager.notify_alone if self.alone else manager.notify)(self)
        return True
