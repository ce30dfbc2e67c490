# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The SSH connections that end on this host."""

from __future__ import annotations

import contextlib
import glob
import ipaddress
import os
import socket
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Union

from .._common.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator

    IPAddress = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

SSH_SERVERS = ("sshd", "sshd-session", "sshd-auth", "dropbear")  # names of processes
SOCKET_PREFIX = "socket:["  # of a link in /proc/PID/fd (proc_pid_fd(5))


class TcpState(IntEnum):
    """States of a TCP connection (include/net/tcp_states.h)."""

    ESTABLISHED = 1


@dataclass(frozen=True)
class SessionAddress:
    """The address of this host on which the SSH connection of the caller ends.

    :ivar text: as the SSH server wrote it.
    """

    text: str
    address: IPAddress


def session_address() -> SessionAddress | None:
    """Return where this process's own SSH connection ends (SSH_CONNECTION of ssh(1)), None without one."""
    words = os.environ.get("SSH_CONNECTION", "").split()
    return SessionAddress(words[2], _parse(words[2])) if len(words) == 4 else None


def ssh_server_addresses() -> set[IPAddress]:
    """Return the addresses of this host on which connections of its SSH servers end.

    :raises HostError: the connections can't be read.
    """
    try:
        inodes = {inode for path in glob.glob("/proc/[0-9]*/comm") for inode in _sockets_of_ssh_server(path)}
        return {address for inode, address in _connections() if inode in inodes} if inodes else set()
    except OSError as error:
        raise HostError(f"the SSH connections of this host can't be read: {error}") from error


def _sockets_of_ssh_server(comm: str) -> set[str]:
    """Return the inodes of a process's sockets, none when it is not an SSH server.

    :param comm: the path of its name in /proc.
    """
    inodes = set()
    with contextlib.suppress(OSError):  # a process that ends meanwhile has no connection to lose
        with open(comm, encoding="utf-8", errors="replace") as stream:
            if stream.read().strip() not in SSH_SERVERS:
                return set()
        folder = os.path.join(os.path.dirname(comm), "fd")
        for handle in os.listdir(folder):
            with contextlib.suppress(OSError):
                target = os.readlink(os.path.join(folder, handle))
                if target.startswith(SOCKET_PREFIX):
                    inodes.add(target[len(SOCKET_PREFIX) : -1])
    return inodes


def _connections() -> Iterator[tuple[str, IPAddress]]:
    """Yield the inode and the own address of each established connection (proc_pid_net(5))."""
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError), open(path, encoding="ascii") as stream:
            next(stream, None)  # the heading
            for line in stream:
                columns = line.split()
                if len(columns) > 9 and int(columns[3], 16) == TcpState.ESTABLISHED:
                    yield columns[9], _parse(_from_hex(columns[1].split(":")[0]))


def _from_hex(text: str) -> str:
    """Return an address of /proc/net/tcp, which has words of 32 bits in the byte order of this machine."""
    words = bytes.fromhex(text)
    data = b"".join(
        socket.htonl(int.from_bytes(words[start : start + 4], "big")).to_bytes(4, "big")
        for start in range(0, len(words), 4)
    )
    return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, data)


def _parse(text: str) -> IPAddress:
    """Return an address. An IPv6 socket shows IPv4 as ::ffff:192.0.2.1, which is IPv4."""
    address = ipaddress.ip_address(text.split("%")[0])
    return getattr(address, "ipv4_mapped", None) or address
