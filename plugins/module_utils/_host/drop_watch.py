# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The program that keeps ingress drops (:mod:`.._programs.drops`), as a part of a host's state.

It is there on each host with drops, with or without Kubernetes. systemd runs it as a transient unit: it lives as long
as the drops do, and like them it is started after a boot by whoever adds them.
"""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._common import names
from .._common.systemd import is_booted, is_loaded, keep_running
from .._netlink.ingress import kept_nics
from .steps.base import PresenceStep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .steps.base import StepContext

PROGRAM = "drops"
CAP_NET_ADMIN, CAP_DAC_OVERRIDE = 1 << 12, 1 << 1  # linux/capability.h
# What the program may do, as the roles' unit files have it for the others (systemd.exec(5)): nftables, and its notes
# below /run, whose folder others remove and make again, so it is no path of its own mount namespace.
CONFINED: tuple[tuple[str, tuple[str, Any]], ...] = (
    *(
        (name, ("b", True))
        for name in (
            "NoNewPrivileges",
            "PrivateTmp",
            "PrivateDevices",
            "ProtectKernelTunables",
            "ProtectKernelModules",
            "ProtectKernelLogs",
            "ProtectControlGroups",
            "ProtectClock",
            "ProtectHostname",
            "RestrictRealtime",
            "RestrictSUIDSGID",
            "LockPersonality",
        )
    ),
    ("ProtectSystem", ("s", "full")),
    ("ProtectHome", ("s", "yes")),
    ("CapabilityBoundingSet", ("t", CAP_NET_ADMIN | CAP_DAC_OVERRIDE)),
    ("RestrictNamespaces", ("t", 0)),
    ("RestrictAddressFamilies", ("(bas)", (True, ["AF_UNIX", "AF_INET", "AF_NETLINK"]))),
    ("SystemCallFilter", ("(bas)", (True, ["@system-service"]))),
    ("SystemCallErrorNumber", ("i", errno.EPERM)),
    ("SystemCallArchitectures", ("as", ["native"])),
    ("UMask", ("u", 0o077)),
)


@dataclass(frozen=True)
class DropWatch:
    """The program runs. A host without systemd, or without the archive of the programs, can't have it."""

    def read(self) -> bool:
        """Return whether it runs, or can't."""
        return not (is_booted() and os.path.exists(names.ARCHIVE)) or is_loaded(names.DROPS_UNIT)

    def plan(self, current: bool) -> Sequence[WatchStep]:
        """Return the step that starts it."""
        return [] if current else [WatchStep()]


@dataclass(frozen=True)
class WatchStep(PresenceStep):
    """Start the program. It ends by itself when there are no drops."""

    present: bool = True

    @property
    def thing(self) -> str:
        return f"watch over the nftables ingress drops, {names.DROPS_UNIT}"

    def as_dict(self) -> dict[str, Any]:
        return {"kind": "watch", "operation": self.verb, "unit": names.DROPS_UNIT}

    def undo(self) -> None:  # type: ignore[override]
        return None

    def apply(self, context: StepContext) -> bool:
        return start_watch()


def start_watch() -> bool:
    """Start the program. Return False when it runs already.

    :raises HostError: systemd refuses.
    """
    command = [sys.executable, "-I", names.ARCHIVE, PROGRAM]
    description = "OVN overlay: drops at the NICs of the userspace datapath"
    return keep_running(names.DROPS_UNIT, description, command, CONFINED)


def start_watch_of_drops() -> bool:
    """Start the program where this host has drops, and can have it. Return whether it was started.

    :raises HostError: systemd refuses.
    """
    watch = DropWatch()
    return bool(kept_nics()) and not watch.read() and start_watch()
