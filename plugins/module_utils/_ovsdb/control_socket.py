# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The control sockets of Open vSwitch's and OVN's daemons, which speak JSON-RPC (ovs-appctl(8))."""

from __future__ import annotations

import json
import os
import socket

from .._common.errors import DatabaseError

LARGEST_PID = 32  # bytes
LARGEST_PART = 65536  # bytes


def process_of(directory: str, daemon: str) -> int:
    """Return the process of a daemon that runs.

    :param directory: of its pid file.
    :raises OSError, ValueError: there is no pid file.
    """
    with open(os.path.join(directory, f"{daemon}.pid"), encoding="ascii") as file:
        return int(file.read(LARGEST_PID))


def control_socket(directory: str, daemon: str) -> str:
    """Return the control socket of a daemon that runs, as a remote.

    :param directory: of its pid file and its socket.
    :raises OSError, ValueError: there is no pid file.
    """
    return f"unix:{directory}/{daemon}.{process_of(directory, daemon)}.ctl"


async def ask(directory: str, daemon: str, question: str, timeout: float, *arguments: str) -> str:
    """Return a daemon's answer to one command.

    :param timeout: seconds.
    :param arguments: of the command.
    :raises OSError, ValueError, DatabaseError: it does not run, or does not answer.
    """
    from .channel import Channel  # here: asyncio takes longer to load than everything else that facts need

    channel = await Channel.open(control_socket(directory, daemon), lambda _method, _params: None, timeout)
    try:
        return str(await channel.request(question, list(arguments), timeout))
    finally:
        channel.close()


def ask_plainly(directory: str, daemon: str, question: str, timeout: float) -> str:
    """Return a daemon's answer to one command, as :func:`ask`, without asyncio.

    :param timeout: seconds for each part of it.
    """
    path = control_socket(directory, daemon).partition(":")[2]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        connection.connect(path)
        connection.sendall(json.dumps({"id": 0, "method": question, "params": []}).encode())
        text = b""
        while True:
            part = connection.recv(LARGEST_PART)
            if not part:
                raise DatabaseError(f"{daemon} has closed the connection")
            text += part
            try:
                answer = json.loads(text)
            except ValueError:
                continue  # a part of it
            break
    if not isinstance(answer, dict) or answer.get("error") is not None:
        raise DatabaseError(f"{daemon} refuses {question}")
    return str(answer.get("result"))
