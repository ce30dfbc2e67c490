# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who is connected to ports of this host, by the kernel's own list (proc(5), ``/proc/net/tcp``).

In a cluster the column Connection.status stays empty: clustered databases have no ephemeral columns (ovsdb(7)).
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LISTS = ("/proc/net/tcp", "/proc/net/tcp6")
ESTABLISHED = "01"


def connected(ports: Iterable[int], lists: Iterable[str] = LISTS) -> dict[int, tuple[str, ...]]:
    """Return, for each of the local TCP ports, the addresses that are connected to it now."""
    found: dict[int, set[str]] = {port: set() for port in ports}
    for path in lists:
        try:
            with open(path, encoding="ascii") as file:
                lines = file.read().splitlines()[1:]
        except OSError:
            continue  # a kernel without IPv6
        for line in lines:
            local, remote, state = line.split()[1:4]
            port = int(local.rpartition(":")[2], 16)
            if state == ESTABLISHED and port in found:
                found[port].add(_address(remote.rpartition(":")[0]))
    return {port: tuple(sorted(addresses)) for port, addresses in found.items()}


def _address(text: str) -> str:
    """Return an address of the list: words of 32 bits in the machine's order. IPv4 within IPv6 becomes IPv4."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    packed = b"".join(struct.pack("=I", word) for word in words)
    if len(packed) == 4:
        return socket.inet_ntop(socket.AF_INET, packed)
    address = ipaddress.IPv6Address(packed)
    return str(address.ipv4_mapped or address)
