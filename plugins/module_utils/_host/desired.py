# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The desired state of a host: links, addresses, routes, kernel settings and files. Data only, no input or output."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._netlink.constants import RT_TABLE_MAIN

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from .._netlink.records import KernelAddress, KernelRoute, LinkOptions
    from .steps.base import Step

    class Companion(Protocol):
        """Something else of a link that moves along with its addresses, and that this folder knows nothing of.

        It is hashable. Its steps come right after the moves.
        """

        def read(self) -> Any:
            """Return the current state.

            :raises HostError: it can't be read.
            """

        def plan(self, current: Any) -> Sequence[Step]:
            """Return the steps from the current state of :meth:`read` to the desired one."""

    class FileReader(Protocol):
        """A program that reads files, and has to be told when one of them has changed. It is hashable."""

        @property
        def paths(self) -> tuple[str, ...]:
            """The files that it reads."""

        def steps(self) -> ReaderSteps:
            """Return the steps that tell it."""


@dataclass(frozen=True)
class ReaderSteps:
    """The two steps of a :class:`FileReader`.

    :ivar first: comes before all other steps, so that its inverse comes after all other inverses.
    :ivar last: comes after the files.
    """

    first: Step
    last: Step


@dataclass(frozen=True)
class Link:
    """A link that another program (Open vSwitch) makes.

    :ivar up: whether it is to be up.
    :ivar mtu: in bytes. None: unchanged.
    :ivar mac: as aa:bb:cc:dd:ee:ff. None: unchanged.
    :ivar owned: addresses and routes on it that are not desired are removed, except those that the kernel itself made:
        link-local addresses, addresses and routes of router advertisements, routes of the addresses.
    :ivar promiscuous: whether it accepts packets for other MACs. None: unchanged.
    """

    name: str
    mtu: int | None = None
    mac: str | None = None
    owned: bool = True
    promiscuous: bool | None = None
    up: bool = True


@dataclass(frozen=True)
class OptionsOfLink:
    """The options of a link."""

    link: str
    options: LinkOptions


@dataclass(frozen=True)
class Address:
    """An address with its prefix length, such as 192.168.2.2/24 or fd10::2/64.

    An IPv6 address is usable at once, without the test for duplicates (RFC 4862, 5.4).
    """

    link: str
    cidr: str


@dataclass(frozen=True)
class Route:
    """A unicast route.

    :ivar destination: CIDR. 0.0.0.0/0 and ::/0 are the default routes.
    :ivar via: the address of the router. None: the destination is on the link.
    :ivar metric: None: the kernel's default, 0 (IPv6: 1024).
    :ivar replaces: the other links whose route with the same destination, metric and table it replaces; a route of any
        other link is somebody's own, and refused. None: of all links. It says how the route is made, and is no part of
        it.
    """

    link: str
    destination: str
    via: str | None = None
    metric: int | None = None
    table: int = RT_TABLE_MAIN
    replaces: frozenset[str] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Sysctl:
    """A kernel setting. It is written to /proc/sys only, so it has to be set again after a boot.

    :ivar key: as sysctl(8) writes it: the parts separated by dots, or by slashes where the name of a link has dots.
    """

    key: str
    value: str

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the key. The first separator in the key is the one that separates."""
        separator = next((sign for sign in self.key if sign in "./"), ".")
        if separator == "/":
            return tuple(self.key.strip("/").split("/"))
        return tuple(part.replace("/", ".") for part in self.key.split("."))

    @property
    def link(self) -> str | None:
        """The link that the setting belongs to. None: it belongs to the whole host."""
        parts = self.parts
        is_of_a_link = len(parts) > 4 and parts[0] == "net" and parts[2] in ("conf", "neigh")
        return parts[3] if is_of_a_link and parts[3] not in ("all", "default") else None


@dataclass(frozen=True)
class File:
    """A file. One that not everybody may read is a secret, and no plan shows its content.

    :ivar content: None: the file does not exist.
    """

    path: str
    content: str | None = field(repr=False)
    mode: int = 0o644


@dataclass(frozen=True)
class AddressMove:
    """All addresses, routes, rules and configured neighbours of the source are those of the target instead.

    :ivar labels: of addresses on the target, where they do not follow from those on the source: ((CIDR, label), ...).
    """

    source: str
    target: str
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Unaddressed:
    """A link without addresses and routes, because another program uses it."""

    link: str


@dataclass(frozen=True)
class SavedNic:
    """What a NIC had, and is to get back.

    :ivar offloads: names of those that were on (:data:`._netlink.ethtool.OFFLOADS`).
    """

    nic: str
    addresses: tuple[KernelAddress, ...] = ()
    routes: tuple[KernelRoute, ...] = ()
    offloads: tuple[str, ...] = ()


@dataclass(frozen=True)
class NoOffload:
    """A link whose transmit offloads are off: the kernel computes checksums and segments itself.

    The userspace datapath reads packets from the link before hardware would complete them.
    """

    link: str


@dataclass(frozen=True)
class IngressDrop:
    """A NIC whose packets the host's own stack does not receive. The userspace datapath reads them first."""

    link: str


@dataclass(frozen=True)
class HostState:
    """The desired state of a host. What it does not name stays as it is.

    :ivar options: of links; they come before addresses move to these links.
    :ivar file_readers: programs that are told about changes of ``files``.
    :ivar companions: what moves along with the addresses of ``moves``.
    :ivar absent_drops: drops that are removed.
    """

    links: tuple[Link, ...] = ()
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    sysctls: tuple[Sysctl, ...] = ()
    files: tuple[File, ...] = ()
    file_readers: tuple[FileReader, ...] = ()
    moves: tuple[AddressMove, ...] = ()
    companions: tuple[Companion, ...] = ()
    unaddressed: tuple[Unaddressed, ...] = ()
    saved_nics: tuple[SavedNic, ...] = ()
    no_offloads: tuple[NoOffload, ...] = ()
    drops: tuple[IngressDrop, ...] = ()
    absent_drops: tuple[IngressDrop, ...] = ()
    options: tuple[OptionsOfLink, ...] = ()
