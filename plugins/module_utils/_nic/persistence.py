# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files by which a NIC that was moved into its bridge is there again after a boot, whoever configures the NIC.

There are two ways. The manager at hand says which one is safe:

- the manager configures the bridge as it did the NIC: same addresses, same DHCP client;
- the manager leaves NIC and bridge alone, and this collection's unit gives the bridge what the NIC had when it was
  moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common.errors import HostError
from .managers import registry
from .managers.base import ManagerFiles, removed
from .steps import Handover

if TYPE_CHECKING:
    from .._host.desired import File
    from .managers.base import NicConfiguration, Profile


@dataclass(frozen=True)
class Persistence:
    """What makes the move of a NIC permanent.

    :ivar files: desired while the NIC is in the bridge.
    :ivar previous: the same paths as they were; desired when the NIC is back.
    :ivar handovers: what managers are told once the files are written; ``handover.back()`` of each with the previous
        files.
    :ivar restores: whether this collection's unit has to give the bridge its addresses and routes after a boot. False:
        the manager does.
    """

    files: tuple[File, ...] = ()
    previous: tuple[File, ...] = ()
    handovers: tuple[Handover, ...] = ()
    restores: bool = True


def persistence(nic: NicConfiguration, bridge: str, alone: bool = False) -> Persistence:
    """Return what makes the move permanent. A pure function of the configuration.

    :param bridge: it gets the NIC's MAC.
    :param alone: whether the host does not use the NIC in its bridge, which then gets nothing of what the NIC had.
    :raises HostError: the move can't be made permanent.
    """
    own = ManagerFiles()
    if nic.manager is not None:
        manager = registry.manager(nic.manager)
        own = manager.files_alone(nic, bridge) if alone else manager.files(nic, bridge)
    elif nic.leased:
        raise HostError(
            f"{', '.join(nic.leased)} on {nic.nic} is leased, and who renews it is not known: give {nic.nic} static "
            "addresses, "
            "or let systemd-networkd or ifupdown configure it"
        )
    files, previous, handovers = own.desired, own.previous, []
    if nic.manager is not None:
        handovers.append(_handover(nic.manager, own.desired, nic.nic, bridge, own.profile, alone))
    for other in registry.MANAGERS:
        file = other.unmanaged_bridge(nic.nic, bridge)
        if file is None or other.name not in nic.running or other.name == nic.manager:
            continue
        handovers.append(_handover(other.name, (file,), nic.nic, bridge))
        files, previous = (*files, file), (*previous, *removed((file,)))
    return Persistence(files, previous, tuple(handovers), restores=not own.configures_bridge)


def _handover(
    manager: str, files: tuple[File, ...], nic: str, bridge: str, profile: Profile | None = None, alone: bool = False
) -> Handover:
    paths = tuple(file.path for file in files)
    early = registry.manager(manager).told_first
    return Handover(manager, nic, bridge, paths, early=early, profile=profile, alone=alone)
