# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What has to be in files so that a NIC that was moved into its bridge is there again after a boot, whoever configures the NIC.

Two ways, the one that is safe with the manager at hand:

- the manager configures the bridge as it did the NIC (systemd-networkd, ifupdown, NetworkManager with a leased address): same addresses, same DHCP client;
- the manager leaves NIC and bridge alone (NetworkManager else, or none at all), and our own unit gives the bridge what it was given when the NIC was moved.
"""

from __future__ import annotations

from dataclasses import dataclass

from .._common.errors import HostError
from .._host.desired import File
from .managers import ifupdown_files as ifupdown
from .managers import network_manager_files as network_manager
from .managers import networkd_files as networkd
from .managers.model import IFUPDOWN, NETWORK_MANAGER, NETWORKD
from .steps import Handover


@dataclass(frozen=True)
class Persistence:
    """A NIC's move, made to last.

    :ivar files: wanted while the NIC is in the bridge.
    :ivar inverse: the same paths as they were before; wanted when the NIC is back.
    :ivar handovers: what managers have to be told once the files are written; ``[one.back() for one in handovers]`` with the inverse.
    :ivar restores: whether our unit has to give the bridge its addresses and routes after a boot; False: the manager does.
    """

    files: tuple = ()
    inverse: tuple = ()
    handovers: tuple = ()
    restores: bool = True


def persistence(managed, bridge):
    """The plan to make a move last: a pure function of what was found.

    :param managed: a :class:`._nic.managers.model.Managed`.
    :param bridge: the bridge that takes the NIC; it has the NIC's MAC.
    :raises HostError: in one sentence, for what can't be done safely.
    """
    nic = managed.nic
    if managed.by == IFUPDOWN:
        mine, inverse = ifupdown.files(managed, bridge)
    else:
        mine = (
            {NETWORKD: networkd, NETWORK_MANAGER: network_manager}[managed.by].files(managed, bridge)
            if managed.by
            else ()
        )
        inverse = _gone(mine)
    if managed.by is None and managed.leased:
        raise HostError(
            f"{', '.join(managed.leased)} on {nic} is leased, and who renews it is not known: give {nic} static addresses, "
            "or let systemd-networkd or ifupdown configure it"
        )
    profile = network_manager.profile(managed) if managed.by == NETWORK_MANAGER else None
    handovers = [_handover(managed.by, mine, nic, bridge, profile)] if mine else []
    for name, aside in ((NETWORKD, networkd.aside), (NETWORK_MANAGER, network_manager.aside)):
        if name in managed.running and name != managed.by:
            beside = (aside(nic, bridge),)
            handovers.append(_handover(name, beside, nic, bridge))
            mine, inverse = mine + beside, inverse + _gone(beside)
    follows = managed.by in (NETWORKD, IFUPDOWN) or (profile is not None and profile.on_bridge)
    return Persistence(mine, inverse, tuple(handovers), not follows)


def _gone(files):
    return tuple(File(file.path, None) for file in files)


def _handover(manager, files, nic, bridge, profile=None):
    return Handover(
        manager, nic, bridge, tuple(file.path for file in files), early=manager == NETWORK_MANAGER, profile=profile
    )
