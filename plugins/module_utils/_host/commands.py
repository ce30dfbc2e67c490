# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands that stand in the PATH of a host, as the original spelled them."""

from __future__ import annotations

from .._common import names
from .desired import File

COMMAND = """#!/bin/sh
# Part of the Ansible collection ovn.kubernetes.
exec /usr/bin/python3 -I {archive} {program} "$@"
"""


def command_files(present):
    """The commands in the PATH: each starts its program of the archive."""
    return tuple(
        File(
            f"{names.COMMANDS_DIRECTORY}/{command}",
            COMMAND.format(archive=names.ARCHIVE, program=program) if present else None,
            0o755,
        )
        for command, program in sorted(names.COMMANDS.items())
    )
