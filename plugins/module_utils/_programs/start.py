# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The entry point of the runtime archive: its first argument names the program, and only that one is imported."""

from __future__ import annotations

import importlib
import sys

from .._common.version import VERSION

PROGRAMS = (
    "central_ports",
    "drops",
    "egress",
    "gateway_helper",
    "host",
    "install",
    "node",
    "overlay",
    "uplinks",
    "util",
    "watcher",
)


def main() -> int:
    """Run the program that the command line names and return its exit status; 2 for an unknown name.

    ``--version`` in place of a program shows the version of the archive.
    """
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name == "--version":
        sys.stdout.write(f"ovn_kubernetes.pyz {VERSION}\n")
        return 0
    if name not in PROGRAMS:
        sys.stderr.write(f"{name or 'no program'}: choose one of {', '.join(PROGRAMS)}\n")
        return 2
    status: int = importlib.import_module("." + name, __package__).main(sys.argv[2:])
    return status
