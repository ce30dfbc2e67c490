# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The connections that end on this host: SSH's, and those of all programs."""

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
from .._common.processes import PARENT, age, stat

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    IPAddress = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

SSH_SERVERS = ("sshd", "sshd-session", "sshd-auth", "dropbear")  # names of processes
MOST_ANCESTORS = 32  # processes above this one that are looked at
SOCKET_PREFIX = "socket:["  # of a link in /proc/PID/fd (proc_pid_fd(5))


class TcpState(IntEnum):
    """States of a TCP connection (include/net/tcp_states.h)."""

    ESTABLISHED = 1
    LISTEN = 10


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


def session_peer() -> IPAddress | None:
    """Return the address from which the caller's SSH connection comes, None without one.

    sudo(8) leaves SSH_CONNECTION out of the environment; that of a process above it still has it.
    """
    text = os.environ.get("SSH_CONNECTION")
    words = _connection_of_ancestors() if text is None else text.split()
    try:
        return _parse(words[0]) if len(words) == 4 else None
    except ValueError:
        return None


def session_age() -> float | None:
    """Return the seconds for which the caller's SSH session has existed; None: no SSH server has started the caller."""
    for process in _ancestors():
        with contextlib.suppress(OSError, IndexError, ValueError):
            with open(f"/proc/{process}/comm", encoding="utf-8", errors="replace") as stream:
                if stream.read().strip() not in SSH_SERVERS:
                    continue
            return age(process)
    return None


def ssh_clients() -> list[str]:
    """Return the addresses from which connections of this host's SSH servers come, without this host's own.

    :raises HostError: the connections can't be read.
    """
    try:
        inodes = _sockets_of_ssh_servers()
        peers = {(one.address, one.peer) for one in _connections() if one.inode in inodes} if inodes else set()
    except OSError as error:
        raise HostError(f"the SSH connections of this host can't be read: {error}") from error
    return sorted({str(peer) for own, peer in peers if peer != own and not peer.is_loopback})


def _connection_of_ancestors() -> list[str]:
    """Return the words of the nearest SSH_CONNECTION of the processes above this one (proc_pid_environ(5))."""
    for process in _ancestors():
        try:
            with open(f"/proc/{process}/environ", "rb") as stream:
                variables = stream.read().split(b"\0")
        except OSError:
            break
        for variable in variables:
            if variable.startswith(b"SSH_CONNECTION="):
                return variable.decode("ascii", "replace").partition("=")[2].split()
    return []


def _ancestors() -> Iterator[int]:
    """Yield the processes above this one, the nearest one first."""
    process = os.getppid()
    for _level in range(MOST_ANCESTORS):
        if process <= 1:
            return
        yield process
        try:
            process = int(stat(process)[PARENT])
        except (OSError, IndexError, ValueError):
            return


def connected_peers(addresses: Collection[IPAddress]) -> set[IPAddress]:
    """Return the addresses to which this host has connections, and those from which its SSH servers have some.

    Connections to its other servers do not count: pods have them, and they stay for a while when pods are gone.

    :param addresses: this host's own. A connection of an address that it has no more is dead.
    :raises HostError: the connections can't be read.
    """
    try:
        connections = list(_connections(("tcp", "tcp6", "udp", "udp6")))
        listening = {one.port for one in _connections(state=TcpState.LISTEN)}
        incoming = {one.inode for one in connections if one.port in listening}
        of_ssh = _sockets_of_ssh_servers() if incoming else set()
        return {
            one.peer
            for one in connections
            if one.address in addresses and (one.inode not in incoming or one.inode in of_ssh)
        }
    except OSError as error:
        raise HostError(f"the connections of this host can't be read: {error}") from error


def ssh_server_addresses() -> set[IPAddress]:
    """Return the addresses of this host on which connections of its SSH servers end.

    :raises HostError: the connections can't be read.
    """
    try:
        inodes = _sockets_of_ssh_servers()
        return {one.address for one in _connections() if one.inode in inodes} if inodes else set()
    except OSError as error:
        raise HostError(f"the SSH connections of this host can't be read: {error}") from error


def _sockets_of_ssh_servers() -> set[str]:
    """Return the inodes of the sockets of all SSH servers."""
    return {inode for path in glob.glob("/proc/[0-9]*/comm") for inode in _sockets_of_ssh_server(path)}


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


@dataclass(frozen=True)
class _Connection:
    """A connection; ``address`` and ``port`` are this host's."""

    inode: str
    address: IPAddress
    port: int
    peer: IPAddress


def _connections(
    protocols: tuple[str, ...] = ("tcp", "tcp6"), state: TcpState = TcpState.ESTABLISHED
) -> Iterator[_Connection]:
    """Yield the connections in a state (proc_pid_net(5)). Connected UDP sockets are established, too."""
    for protocol in protocols:
        with contextlib.suppress(FileNotFoundError), open(f"/proc/net/{protocol}", encoding="ascii") as stream:
            next(stream, None)  # the heading
            for line in stream:
                columns = line.split()
                if len(columns) > 9 and int(columns[3], 16) == state:
                    own, port = columns[1].split(":")
                    peer = _parse(_from_hex(columns[2].split(":")[0]))
                    yield _Connection(columns[9], _parse(_from_hex(own)), int(port, 16), peer)


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
