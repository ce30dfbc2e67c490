# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The userspace datapath's conntrack, as a part of a host's state: segments out of their window are valid.

A gateway router translates both addresses of what it balances, in two zones. Open vSwitch translates an invalid segment
in the first one, and OVN leaves out the second: the pod gets it with the client's own address, and resets the
connection. The kernel's conntrack translates no invalid segment, and the router drops it.

ovs-vswitchd forgets the setting when it ends. So whoever converges the host after its start sets it again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._common import names
from .._common.errors import DatabaseError, HostError
from .._ovsdb.control_socket import ask
from .steps.base import PresenceStep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .steps.base import StepContext

DATAPATH = "netdev@ovs-netdev"  # ovs-vswitchd(8): the only one of its type
# ovs-vswitchd(8), DATAPATH TYPE MANAGEMENT.
QUESTION, DISABLED = "dpctl/ct-get-tcp-seq-chk", "TCP sequence checking: disabled"
SET = {True: "dpctl/ct-disable-tcp-seq-chk", False: "dpctl/ct-enable-tcp-seq-chk"}
TIMEOUT = 5.0  # seconds


@dataclass(frozen=True)
class LiberalConntrack:
    """The check of sequence numbers is off. A host whose ovs-vswitchd does not answer, or has no such datapath yet,
    can't have it.
    """

    def read(self) -> bool:
        """Return whether it is off, or can't be."""
        try:
            return _ask(QUESTION).strip() == DISABLED
        except (DatabaseError, OSError, ValueError):
            return True

    def plan(self, current: bool) -> Sequence[LiberalStep]:
        """Return the step that turns it off."""
        return [] if current else [LiberalStep(True)]


@dataclass(frozen=True)
class LiberalStep(PresenceStep):
    """Turn the check off, or on."""

    present: bool

    @property
    def thing(self) -> str:
        return "connections that outlive segments out of their window (conntrack of the userspace datapath)"

    def as_dict(self) -> dict[str, Any]:
        return {"kind": "conntrack", "operation": self.verb, "command": SET[self.present]}

    def apply(self, context: StepContext) -> bool:
        try:
            _ask(SET[self.present])
        except (DatabaseError, OSError, ValueError) as error:
            raise HostError(f"ovs-vswitchd does not take {SET[self.present]}: {error}") from error
        return True


def _ask(command: str) -> str:
    return asyncio.run(ask(names.OPENVSWITCH_RUN_DIRECTORY, "ovs-vswitchd", command, TIMEOUT, DATAPATH))
