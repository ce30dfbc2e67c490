# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Offloads of a link, read and switched by the kernel's SIOCETHTOOL request (linux/ethtool.h)."""

from __future__ import annotations

import array
import fcntl
import socket
import struct

SIOCETHTOOL = 0x8946
# name -> commands that get and set. Switching "tx" sets every kind of transmit checksum; segmentation needs checksums and comes second.
OFFLOADS = {"tx": (0x16, 0x17), "tso": (0x1E, 0x1F)}


def offloads_on(link):
    """Names of the offloads that are on; None when there is no such link. :raises OSError: from the kernel."""
    try:
        return tuple(name for name, (get, _set) in OFFLOADS.items() if _ethtool(link, get))
    except OSError as error:
        if error.errno == 19:  # ENODEV
            return None
        raise


def set_offloads(link, names, on):
    """Switch offloads. :raises OSError: EOPNOTSUPP when the link can't."""
    for name, (get, set_) in OFFLOADS.items():
        # Without checksums the kernel has switched segmentation off itself, and of some links it can be no more than that.
        if name in names and (on or _ethtool(link, get)):
            _ethtool(link, set_, int(on))


def _ethtool(link, command, value=0):
    data = array.array("B", struct.pack("II", command, value))  # struct ethtool_value
    request = struct.pack("16sP16x", link.encode(), data.buffer_info()[0])  # struct ifreq
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        fcntl.ioctl(control.fileno(), SIOCETHTOOL, request)
    return struct.unpack("II", data.tobytes())[1]
