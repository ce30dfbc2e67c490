# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Offloads of a link, read and switched by the ioctl SIOCETHTOOL (ethtool(8), linux/ethtool.h)."""

from __future__ import annotations

import array
import errno
import fcntl
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .constants import Ethtool

if TYPE_CHECKING:
    from collections.abc import Container

SIOCETHTOOL = 0x8946  # linux/sockios.h
ETHTOOL_VALUE = struct.Struct("II")  # struct ethtool_value: command and value
IFREQ = struct.Struct("16sP16x")  # struct ifreq: name of the link, pointer to the command


@dataclass(frozen=True)
class OffloadCommands:
    """The commands that read and switch an offload."""

    read: Ethtool
    switch: Ethtool


# Switching "tx" switches every kind of transmit checksum. Segmentation needs checksums, so it comes second.
OFFLOADS = {
    "tx": OffloadCommands(Ethtool.GTXCSUM, Ethtool.STXCSUM),
    "tso": OffloadCommands(Ethtool.GTSO, Ethtool.STSO),
}


def offloads_on(link: str) -> tuple[str, ...] | None:
    """Return the names of the offloads that are on, None when there is no such link.

    :raises OSError: the kernel refused.
    """
    try:
        return tuple(name for name, commands in OFFLOADS.items() if _ethtool(link, commands.read))
    except OSError as error:
        if error.errno == errno.ENODEV:
            return None
        raise


def set_offloads(link: str, names: Container[str], on: bool) -> None:
    """Switch offloads on or off.

    :param names: keys of :data:`OFFLOADS`.
    :raises OSError: EOPNOTSUPP, the link can't switch it.
    """
    for name, commands in OFFLOADS.items():
        # Switching checksums off switches segmentation off too. Some links refuse to switch it off once more.
        if name in names and (on or _ethtool(link, commands.read)):
            _ethtool(link, commands.switch, int(on))


def _ethtool(link: str, command: Ethtool, value: int = 0) -> int:
    data = array.array("B", ETHTOOL_VALUE.pack(command, value))
    request = IFREQ.pack(link.encode(), data.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        fcntl.ioctl(control.fileno(), SIOCETHTOOL, request)
    return int(ETHTOOL_VALUE.unpack(data.tobytes())[1])
