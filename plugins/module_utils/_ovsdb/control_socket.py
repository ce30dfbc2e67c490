# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The control sockets of Open vSwitch's and OVN's daemons, which speak JSON-RPC (ovs-appctl(8))."""

from __future__ import annotations

import os

from .channel import Channel

LARGEST_PID = 32  # bytes


def control_socket(directory: str, daemon: str) -> str:
    """Return the control socket of a daemon that runs, as a remote.

    :param directory: of its pid file and its socket.
    :raises OSError, ValueError: there is no pid file.
    """
    with open(os.path.join(directory, f"{daemon}.pid"), encoding="ascii") as file:
        pid = int(file.read(LARGEST_PID))
    return f"unix:{directory}/{daemon}.{pid}.ctl"


async def ask(directory: str, daemon: str, question: str, timeout: float, *arguments: str) -> str:
    """Return a daemon's answer to one command.

    :param timeout: seconds.
    :param arguments: of the command.
    :raises OSError, ValueError, DatabaseError: it does not run, or does not answer.
    """
    channel = await Channel.open(control_socket(directory, daemon), lambda _method, _params: None, timeout)
    try:
        return str(await channel.request(question, list(arguments), timeout))
    finally:
        channel.close()
