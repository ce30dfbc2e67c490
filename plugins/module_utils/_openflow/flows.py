# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The flows of one cookie on one bridge: read, compared and changed.

Flows are lines as ovs-ofctl(8) writes them (ovs-fields(7), ovs-actions(7)). The client itself compares them, so it
does not matter how a version of it writes a flow.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from typing import TYPE_CHECKING

from .client import PIPE, run_client, start_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

BUNDLE_VERSIONS = ("-O", "OpenFlow14,OpenFlow15")  # those that have bundles
ALL_VERSIONS = ("-O", "OpenFlow10,OpenFlow11,OpenFlow12,OpenFlow13,OpenFlow14,OpenFlow15")
# What a bridge without a controller does of itself, where it may (ovs-vswitchd.conf.db(5), fail_mode).
DEFAULT_FLOW = re.compile(r"(cookie=0x0, )?(table=0, )?priority=0 actions=NORMAL")
ADD = "flow add "  # lines of a bundle (ovs-ofctl(8), bundle)
DELETE = "flow delete_strict "
DIFFERENT = 2  # exit code of diff-flows
EXACT_COOKIE = "/-1"  # the mask of a cookie that has to match in all bits


class CookieFlows:
    """The flows of one cookie on one bridge.

    :param bridge: its name, or the path of its management socket.
    :param cookie: of the flows. All others are never read nor written.
    """

    def __init__(self, bridge: str, cookie: int) -> None:
        self.bridge = bridge
        self.cookie = cookie

    async def current(self) -> list[str]:
        """Return the flows that the bridge has.

        :raises FlowError: they can't be read.
        """
        match = f"cookie={self.cookie:#x}{EXACT_COOKIE}"
        text = await run_client(*BUNDLE_VERSIONS, "dump-flows", "--no-stats", "--no-names", self.bridge, match)
        return [line for line in text.splitlines() if "cookie=" in line]

    async def plan(self, desired: Sequence[str]) -> list[str]:
        """Return the changes that make the desired flows the current ones, none when they are.

        :returns: lines for :meth:`apply`.
        :raises FlowError: the flows can't be read, or a desired flow has a fault.
        """
        current = await self.current()
        if not current:  # after a start of ovs-vswitchd, when the time of each process counts
            return [ADD + flow for flow in desired]
        removed, added = [], []
        for line in (await _compare(current, desired)).splitlines():
            if line.startswith("-"):
                removed.append(_match(line[1:]))
            elif line.startswith("+"):
                added.append(line[1:])
        # An addition overwrites the flow with the same match.
        overwritten = {_match(flow) for flow in added}
        return [DELETE + match for match in removed if match not in overwritten] + [ADD + flow for flow in added]

    async def apply(self, changes: Iterable[str]) -> None:
        """Make all changes at one moment, by an OpenFlow bundle.

        :param changes: of :meth:`plan`.
        :raises FlowError: the bridge refused, and nothing was changed.
        """
        text = "".join(f"{change}\n" for change in changes)
        await run_client(*BUNDLE_VERSIONS, "bundle", self.bridge, "-", text=text)

    async def watch(self, on_change: Callable[[], None]) -> None:
        """Call ``on_change()`` when the bridge begins to report changes of flows, and after each change.

        It returns when the connection ends, as when ovs-vswitchd ends.

        :raises FlowError: the client is not installed.
        """
        process = await start_client("monitor", self.bridge, "watch:", stderr=PIPE)
        if process.stderr is None:
            raise AssertionError("ovs-ofctl was started without a pipe")
        try:
            while await process.stderr.read(1 << 16):  # the client prints reports there
                on_change()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            raise
        finally:
            await process.wait()


async def other_flows(bridge: str, cookie: int) -> list[str]:
    """Return the flows of a bridge that have another cookie, without the one that the bridge has of itself.

    :raises FlowError: they can't be read.
    """
    text = await run_client(*ALL_VERSIONS, "dump-flows", "--no-stats", "--no-names", bridge)
    flows = [line.strip() for line in text.splitlines() if "actions=" in line]
    return [flow for flow in flows if f"cookie={cookie:#x}," not in flow and not DEFAULT_FLOW.fullmatch(flow)]


async def _compare(current: Sequence[str], desired: Sequence[str]) -> str:
    """Return the output of diff-flows: a line with ``-`` for each flow to remove, with ``+`` for each flow to add."""
    with tempfile.TemporaryDirectory(prefix="ovn-k8s-flows-") as folder:
        files = []
        for name, flows in (("current", current), ("desired", desired)):
            files.append(os.path.join(folder, name))
            with open(files[-1], "w", encoding="ascii") as stream:
                stream.writelines(f"{flow}\n" for flow in flows)
        return await run_client("diff-flows", *files, expected=(0, DIFFERENT))


def _match(flow: str) -> str:
    """Return a flow without its actions, so that a strict deletion finds this flow of this cookie only."""
    match = flow.split(" actions=")[0]
    return " ".join(part + EXACT_COOKIE if part.startswith("cookie=") else part for part in match.split())
