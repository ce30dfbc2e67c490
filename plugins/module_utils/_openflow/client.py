# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run Open vSwitch's own OpenFlow client, ovs-ofctl(8).

It is the one place where a process is started instead of a protocol spoken: no library that is light enough speaks
OpenFlow.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .._common.errors import FlowError

if TYPE_CHECKING:
    from collections.abc import Collection

CLIENT = "ovs-ofctl"
TIMEOUT = 5.0  # seconds for the answer of ovs-vswitchd
PIPE, NOTHING = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL


async def start_client(
    *arguments: str, stdin: int = NOTHING, stdout: int = NOTHING, stderr: int = NOTHING
) -> asyncio.subprocess.Process:
    """Start the client.

    :raises FlowError: it is not installed.
    """
    try:
        return await asyncio.create_subprocess_exec(CLIENT, *arguments, stdin=stdin, stdout=stdout, stderr=stderr)
    except OSError as exc:
        raise FlowError(
            f"{CLIENT} can't be run: {exc.strerror}; install Open vSwitch (Debian: openvswitch-switch)"
        ) from None


async def run_client(*arguments: str, text: str = "", expected: Collection[int] = (0,)) -> str:
    """Run the client, and return what it prints.

    :param text: its standard input.
    :param expected: exit codes that are no errors.
    :raises FlowError: it failed, with its own text, or ovs-vswitchd did not answer in time.
    """
    process = await start_client(*arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    try:
        output, errors = await asyncio.wait_for(process.communicate(text.encode()), TIMEOUT)
    except asyncio.TimeoutError:
        process.kill()
        await process.wait()
        command = f"{CLIENT} {' '.join(arguments[-2:])}"
        raise FlowError(f"{command}: ovs-vswitchd did not answer within {TIMEOUT:.0f} s") from None
    if process.returncode not in expected:
        reason = "; ".join(errors.decode("utf-8", "replace").split("\n")).strip("; ")
        raise FlowError(reason or f"{CLIENT} ended with {process.returncode}")
    return output.decode("utf-8", "replace")
