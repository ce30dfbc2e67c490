# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every network manager has in common: the verbs of :class:`Manager`, and the records that they exchange.

A new network manager is one class in a file of its own in this folder, and one line in :mod:`.registry`.
"""

from __future__ import annotations

import abc
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..._common.files import read_file
from ..._host.desired import File

if TYPE_CHECKING:
    from typing import ClassVar

    from ..steps import Handover, HandoverStep

ADVICE = "let one of systemd-networkd, NetworkManager and ifupdown configure it"


@dataclass(frozen=True)
class Lease:
    """What a DHCP server assigned to the NIC.

    :ivar ip: the IPv4 address; empty: none.
    :ivar client_id: the client identifier that the client sent, in hexadecimal; empty: none, or it is not known.
    :ivar ipv6: whether the server assigned IPv6 addresses too.
    """

    ip: str
    client_id: str = ""
    ipv6: bool = False


@dataclass(frozen=True)
class NicLink:
    """The link of a NIC, from which detection begins.

    :ivar index: its number.
    :ivar kind: as in ip-link(8), such as ``vlan``; None: hardware.
    :ivar expiring: its addresses (with prefix length) that end unless they are renewed.
    :ivar autoconfigured: those of ``expiring`` that the kernel made from a router advertisement and the MAC (SLAAC, RFC
        4862).
    """

    name: str
    index: int
    mac: str = ""
    kind: str | None = None
    expiring: tuple[str, ...] = ()
    autoconfigured: tuple[str, ...] = ()

    def leased(self, manager: Manager | None) -> tuple[str, ...]:
        """The addresses that end unless a program renews them; the kernel renews its own on the bridge too."""
        by_program = manager is not None and manager.handles_advertisements
        return tuple(cidr for cidr in self.expiring if by_program or cidr not in self.autoconfigured)


@dataclass(frozen=True)
class NicConfiguration:
    """How a NIC is configured.

    :ivar manager: the name of its network manager; None: none that this collection knows.
    :ivar files: what the manager reads about the NIC; empty: nothing that matters here.
    :ivar leased: addresses (with prefix length) that end unless a program renews them.
    :ivar running: names of the managers that run on this host, whether they configure this NIC or not.
    :ivar advertised: whether the manager takes addresses from router advertisements, if it handles them.
    :ivar addresses: static ones that the manager itself says, beside those in files; without prefix length.
    """

    nic: str
    mac: str = ""
    manager: str | None = None
    files: tuple[File, ...] = ()
    lease: Lease | None = None
    leased: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    advertised: bool = True
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Profile:
    """NetworkManager's connection profile of a NIC.

    :ivar uuid: its identity.
    :ivar on_bridge: whether NetworkManager configures the bridge by a copy of it. False: it leaves the bridge alone.
    :ivar client_id: the DHCP client identifier that the copy has, bytes as 01:02, so that the bridge is the same DHCP
        client. Empty: none.
    :ivar token: the IPv6 interface identifier that the copy has, as ::1. Empty: none.
    :ivar metric: of its routes, where the NIC's profile has none: NetworkManager has one for each type of device. -1:
        none.
    """

    uuid: str
    on_bridge: bool = False
    client_id: str = ""
    token: str = ""
    metric: int = -1


@dataclass(frozen=True)
class ManagerFiles:
    """The files by which a manager configures the bridge as it did the NIC, or leaves both alone.

    :ivar desired: while the NIC is in its bridge.
    :ivar previous: the same paths when the NIC is back.
    :ivar configures_bridge: whether the manager gives the bridge its addresses after a boot. False: this collection's
        unit does.
    :ivar profile: NetworkManager's.
    """

    desired: tuple[File, ...] = ()
    previous: tuple[File, ...] = ()
    configures_bridge: bool = False
    profile: Profile | None = None


class Manager(abc.ABC):
    """A network manager.

    :cvar name: as it is kept on hosts and shown to users; it never changes.
    :cvar handles_advertisements: whether it processes router advertisements itself, with the kernel's own processing
        off.
    :cvar dhcp_client: the name of its own DHCP client, beside which no other may run for the NIC; None: others may.
    :cvar dhcp_programs: DHCP clients beside it whose leases the bridge can take over; None: all that it starts itself.
    :cvar told_first: whether it has to release the NIC before addresses move, because it would add them again.
    """

    name: ClassVar[str]
    handles_advertisements: ClassVar[bool] = False
    dhcp_client: ClassVar[str | None] = None
    dhcp_programs: ClassVar[frozenset[str] | None] = frozenset()
    told_first: ClassVar[bool] = False

    def is_running(self) -> bool:
        """Return whether it runs and could configure any new link, such as a bridge."""
        return False

    @abc.abstractmethod
    def detect(self, link: NicLink) -> NicConfiguration | None:
        """Return how this manager configures the NIC, None when it does not.

        Read files only. The caller fills in what is the same for all managers: MAC, leased addresses, running managers.

        :raises HostError: it is not clear whether it does.
        """

    def query(self, nic: NicConfiguration) -> NicConfiguration:
        """Return the configuration, completed by what only the running manager knows.

        :raises HostError: it does not answer.
        """
        return nic

    def refuse(self, nic: NicConfiguration, datapath: str) -> None:
        """Check that the NIC can be moved into a bridge of this datapath (system or netdev).

        :raises HostError: it can't, in one sentence.
        """
        return

    @abc.abstractmethod
    def files(self, nic: NicConfiguration, bridge: str) -> ManagerFiles:
        """Return the files that make the move permanent.

        :param bridge: it has the NIC's MAC.
        :raises HostError: the move can't be made permanent, in one sentence.
        """

    @abc.abstractmethod
    def files_alone(self, nic: NicConfiguration, bridge: str) -> ManagerFiles:
        """Return the files by which the manager leaves the NIC and its bridge alone, for a NIC that the host does not
        use any more.

        :raises HostError: it can't, in one sentence.
        """

    def unmanaged_bridge(self, nic: str, bridge: str) -> File | None:
        """Return the file by which this manager leaves a bridge alone, where another one configures the NIC; None: it
        would anyhow."""
        return None

    @abc.abstractmethod
    def notify(self, step: HandoverStep) -> None:
        """Tell the running manager that its files have changed, and wait until it has done what they say.

        :raises HostError: it does not answer, or failed.
        """

    @abc.abstractmethod
    def notify_alone(self, step: HandoverStep) -> None:
        """Tell the running manager to leave the NIC alone, or (``to_bridge`` is false) to configure it again.

        It is not waited for leases: they are asked for, and may come later.

        :raises HostError: it does not answer, or failed.
        """

    def must_restore(self, handover: Handover, had_addresses: bool) -> bool:
        """Return whether the manager has to be told again, since the bridge was made again and the manager's part of it
        is lost.

        :param had_addresses: whether the NIC had addresses when it was moved.
        """
        return False


def removed(files: tuple[File, ...]) -> tuple[File, ...]:
    """Return the same paths without files."""
    return tuple(File(file.path, None) for file in files)


def read_assignments(path: str) -> dict[str, str]:
    """Return the KEY=value lines of a file, none where there is no file."""
    file = read_file(path)
    lines = file.content.splitlines() if file else []
    return {key: value for key, sign, value in (line.partition("=") for line in lines) if sign}


def link_exists(name: str) -> bool:
    """Return whether there is such a link."""
    return os.path.exists(f"/sys/class/net/{name}")
