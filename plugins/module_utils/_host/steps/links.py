# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Steps that change a link: its settings and options, its offloads, its ingress drop."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from ..._common.names import uplink_bridge
from ..._netlink.ethtool import OFFLOADS, set_offloads
from ..._netlink.ingress import add_drop, remove_drop
from ..._netlink.links import set_link, set_options
from ..._netlink.records import KernelLink, LinkOptions
from .base import PresenceStep, Step

if TYPE_CHECKING:
    from .base import StepContext


@dataclass(frozen=True)
class LinkStep(Step):
    """Change those settings of a link that are not None.

    :ivar mtu: in bytes.
    :ivar current: the link before the step. None: it does not exist yet.
    """

    name: str
    up: bool | None = None
    mtu: int | None = None
    mac: str | None = None
    current: KernelLink | None = None
    promiscuous: bool | None = None

    atomic = False

    def _texts(self, link: KernelLink | LinkStep) -> list[str]:
        """Return the values that the link has for the settings that the step changes."""
        texts = []
        if self.up is not None:
            texts.append("up" if link.up else "down")
        if self.mtu is not None:
            texts.append(f"mtu {link.mtu}")
        if self.mac is not None:
            texts.append(f"mac {link.mac}")
        if self.promiscuous is not None:
            texts.append("promiscuous" if link.promiscuous else "not promiscuous")
        return texts

    def describe(self) -> str:
        return f"link {self.name}: {', '.join(self._texts(self))}"

    def as_dict(self) -> dict[str, Any]:
        values = {"up": self.up, "mtu": self.mtu, "mac": self.mac, "promiscuous": self.promiscuous}
        changed = {key: value for key, value in values.items() if value is not None}
        return {**changed, "kind": "link", "operation": "change", "link": self.name}

    def before(self) -> list[str]:
        return [f"link {self.name} {text}" for text in self._texts(self.current)] if self.current else []

    def after(self) -> list[str]:
        return [f"link {self.name} {text}" for text in self._texts(self)]

    def undo(self) -> LinkStep:
        # Only the settings that the step changes are read of this record.
        changed = KernelLink(self.name, self.up, self.mtu, self.mac, bool(self.promiscuous))  # type: ignore[arg-type]
        old = self.current
        if old is None:
            return LinkStep(self.name, up=False, current=changed)
        return LinkStep(
            self.name,
            up=None if self.up is None else old.up,
            mtu=None if self.mtu is None else old.mtu,
            mac=None if self.mac is None else old.mac,
            current=changed,
            promiscuous=None if self.promiscuous is None else old.promiscuous,
        )

    def apply(self, context: StepContext) -> bool:
        context.require_link(self.name)
        set_link(context.kernel, self.name, self.up, self.mtu, self.mac, self.promiscuous)
        return True


@dataclass(frozen=True)
class OptionsStep(Step):
    """Give a link its options.

    :ivar current: those before the step. None: the link does not exist yet, and its options go with it.
    """

    link: str
    options: LinkOptions
    current: LinkOptions | None = None

    atomic = False

    def _text(self, options: LinkOptions) -> str:
        values = {
            "arp": "on" if options.arp else "off",
            "multicast": "on" if options.multicast else "off",
            "allmulticast": "on" if options.all_multicast else "off",
            "group": str(options.group),
            "token": options.token or "none",
        }
        return f"link {self.link}: {', '.join(f'{key} {value}' for key, value in values.items())}"

    def describe(self) -> str:
        return self._text(self.options)

    def as_dict(self) -> dict[str, Any]:
        return {"kind": "link", "operation": "options", "link": self.link, **asdict(self.options)}

    def before(self) -> list[str]:
        return [self._text(self.current)] if self.current else []

    def after(self) -> list[str]:
        return [self._text(self.options)]

    def undo(self) -> OptionsStep | None:
        return replace(self, options=self.current, current=self.options) if self.current else None

    def apply(self, context: StepContext) -> bool:
        context.require_link(self.link)
        set_options(context.kernel, self.link, self.options)
        return True


@dataclass(frozen=True)
class OffloadStep(Step):
    """Switch offloads of a link.

    :ivar names: of :data:`._netlink.ethtool.OFFLOADS`. Empty: the link does not exist yet, and all are switched.
    """

    link: str
    names: tuple[str, ...]
    on: bool = False

    atomic = False

    def _text(self, on: bool) -> str:
        return f"ethtool offloads of {self.link}: {' '.join(self.names) or 'tx'} {'on' if on else 'off'}"

    def describe(self) -> str:
        return self._text(self.on)

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": "offload",
            "operation": "on" if self.on else "off",
            "link": self.link,
            "offloads": list(self.names),
        }

    def before(self) -> list[str]:
        return [self._text(not self.on)] if self.names else []

    def after(self) -> list[str]:
        return [self._text(self.on)]

    def undo(self) -> OffloadStep | None:
        return replace(self, on=not self.on) if self.names else None

    def apply(self, context: StepContext) -> bool:
        context.require_link(self.link)
        set_offloads(self.link, self.names or tuple(OFFLOADS), self.on)
        return True


@dataclass(frozen=True)
class DropStep(PresenceStep):
    """Drop the packets that a NIC receives for the host's own stack, or let them in again."""

    nic: str
    present: bool

    @property
    def thing(self) -> str:
        return f"nftables ingress drop on {self.nic}, whose packets are for bridge {uplink_bridge(self.nic)}"

    def as_dict(self) -> dict[str, Any]:
        return {"kind": "drop", "operation": self.verb, "link": self.nic}

    def apply(self, context: StepContext) -> bool:
        if not self.present:
            return remove_drop(self.nic)
        context.require_link(self.nic)
        add_drop(self.nic)
        return True
