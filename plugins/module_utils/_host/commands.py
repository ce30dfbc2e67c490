# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands in the PATH of a host, spelled as in the original project."""

from __future__ import annotations

from .._common import names
from .desired import File

MODE = 0o755
SCRIPT = """#!/bin/sh
# Part of the Ansible collection ovn.kubernetes.
exec /usr/bin/python3 -I {archive} {program} "$@"
"""


def command_files(present: bool) -> tuple[File, ...]:
    """Return the files of the commands, each of which starts its program of the archive.

    :param present: whether they exist.
    """
    return tuple(
        File(
            f"{names.COMMANDS_DIRECTORY}/{command}",
            SCRIPT.format(archive=names.ARCHIVE, program=program) if present else None,
            MODE,
        )
        for command, program in sorted(names.COMMANDS.items())
    )
