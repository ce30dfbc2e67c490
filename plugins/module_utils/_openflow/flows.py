# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The flows of one cookie on one bridge: read, compared and changed through Open vSwitch's own OpenFlow client, ovs-ofctl(8).

It is the one place where a process is started instead of a protocol spoken: docs/architecture.md says why. The client itself compares,
so what equals what is never a question of how a version writes a flow.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile

from .._common.errors import FlowError

CLIENT = "ovs-ofctl"
VERSION = ("-O", "OpenFlow14,OpenFlow15")  # bundles
PATIENCE = 5.0


class Bridge:
    """One bridge.

    :param name: its name, or the path of its management socket.
    :param cookie: of the flows that are ours; all others are never read nor written.
    """

    def __init__(self, name, cookie):
        self.name = name
        self.cookie = cookie

    async def flows(self):
        """Our flows that are there, one a line."""
        text = await _client(
            *VERSION, "dump-flows", "--no-stats", "--no-names", self.name, f"cookie={self.cookie:#x}/-1"
        )
        return [line for line in text.splitlines() if "cookie=" in line]

    async def difference(self, wanted):
        """The changes that make our flows the wanted ones, as :meth:`change` takes them; none: they are."""
        have = await self.flows()
        if not have:  # as after a start of ovs-vswitchd, when each process that need not be started counts
            return ["flow add " + line for line in wanted]
        with tempfile.TemporaryDirectory(prefix="ovn-k8s-flows-") as folder:
            files = []
            for name, lines in (("have", have), ("wanted", wanted)):
                files.append(os.path.join(folder, name))
                with open(files[-1], "w", encoding="ascii") as out:
                    out.writelines(line + "\n" for line in lines)
            text = await _client("diff-flows", *files, fine=(0, 2))
        gone, new = [], []
        for line in text.splitlines():
            # Both change places of one flow: an addition overwrites what has the same match.
            if line.startswith("-"):
                gone.append("flow delete_strict " + _match(line[1:]))
            elif line.startswith("+"):
                new.append("flow add " + line[1:])
        over = {_match(line[len("flow add ") :]) for line in new}
        return [line for line in gone if line[len("flow delete_strict ") :] not in over] + new

    async def change(self, changes):
        """Make the changes, all at one moment (an OpenFlow bundle); :raises FlowError: when the bridge refuses, and nothing is changed then."""
        await _client(*VERSION, "bundle", self.name, "-", text="".join(line + "\n" for line in changes))

    async def watch(self, event):
        """Call ``event()`` once changes of flows are heard of, and whenever somebody makes one; ends when the connection does, as when ovs-vswitchd ends."""
        process = await _start(
            "monitor", self.name, "watch:", output=asyncio.subprocess.DEVNULL, errors=asyncio.subprocess.PIPE
        )
        try:
            while await process.stderr.read(1 << 16):  # where the client prints what it hears
                event()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            raise
        finally:
            await process.wait()


def _match(line):
    """A flow without its actions; a strict deletion is of the cookie too, so that it finds ours alone."""
    match = line.split(" actions=")[0]
    return " ".join(part if not part.startswith("cookie=") else part + "/-1" for part in match.split())


async def _start(*arguments, output, standard_input=asyncio.subprocess.DEVNULL, errors=asyncio.subprocess.DEVNULL):
    try:
        return await asyncio.create_subprocess_exec(
            CLIENT, *arguments, stdin=standard_input, stdout=output, stderr=errors
        )
    except OSError as exc:
        raise FlowError(
            f"{CLIENT} can't be run: {exc.strerror}; install Open vSwitch (Debian: openvswitch-switch)"
        ) from None


async def _client(*arguments, text="", fine=(0,)):
    """What the client prints; :raises FlowError: with its words."""
    pipe = asyncio.subprocess.PIPE
    process = await _start(*arguments, output=pipe, standard_input=pipe, errors=pipe)
    try:
        out, err = await asyncio.wait_for(process.communicate(text.encode()), PATIENCE)
    except asyncio.TimeoutError:
        process.kill()
        await process.wait()
        raise FlowError(
            f"{CLIENT} {' '.join(arguments[-2:])}: ovs-vswitchd did not answer within {PATIENCE:.0f} s"
        ) from None
    if process.returncode not in fine:
        raise FlowError(
            "; ".join(err.decode("utf-8", "replace").split("\n")).strip("; ")
            or f"{CLIENT} ended with {process.returncode}"
        )
    return out.decode("utf-8", "replace")
