# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The current state of a host, as far as a desired state needs it. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._common.files import FileContent
    from .._netlink.records import KernelAddress, KernelLink, KernelNeighbour, KernelRoute, KernelRule, LinkOptions
    from .desired import Companion, Sysctl


@dataclass(frozen=True)
class CurrentState:
    """The current state of what a :class:`.desired.HostState` names.

    :ivar links: name to link, None for a link that does not exist.
    :ivar addresses: of those links, primary addresses before their secondary ones.
    :ivar routes: over those links, and every route that has the key of a desired one.
    :ivar sysctls: setting to value, None where the kernel has no such setting.
    :ivar files: path to content, None where there is no file.
    :ivar offloads: link to the offloads that are on, None for a link that does not exist.
    :ivar drops: the NICs with an ingress drop.
    :ivar kept_drops: those that get one again when another program removes it.
    :ivar rules: those that are bound to a link that addresses move from or to.
    :ivar neighbours: configured ones of such links, and of those that get back what was saved.
    :ivar options: of links that are to have some; None for a link that does not exist.
    :ivar companions: what each companion read.
    """

    links: Mapping[str, KernelLink | None] = field(default_factory=dict)
    addresses: tuple[KernelAddress, ...] = ()
    routes: tuple[KernelRoute, ...] = ()
    sysctls: Mapping[Sysctl, str | None] = field(default_factory=dict)
    files: Mapping[str, FileContent | None] = field(default_factory=dict)
    offloads: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    drops: frozenset[str] = frozenset()
    kept_drops: frozenset[str] = frozenset()
    rules: tuple[KernelRule, ...] = ()
    neighbours: tuple[KernelNeighbour, ...] = ()
    options: Mapping[str, LinkOptions | None] = field(default_factory=dict)
    companions: Mapping[Companion, Any] = field(default_factory=dict)
