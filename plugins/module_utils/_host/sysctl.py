# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel's settings below /proc/sys (proc(5))."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SYSCTLS = "/proc/sys"


def read_sysctl(parts: Iterable[str]) -> str | None:
    """Return a setting's text; None where the kernel has no setting of that name.

    :param parts: the components of its path, because a link's name may contain a dot.
    """
    try:
        with open(sysctl_path(parts), encoding="ascii") as stream:
            return stream.read().strip()
    except FileNotFoundError:
        return None


def write_sysctl(parts: Iterable[str], value: str) -> None:
    """Set it.

    :raises OSError: the kernel refuses the value.
    """
    handle = os.open(sysctl_path(parts), os.O_WRONLY)
    try:
        os.write(handle, value.encode() + b"\n")
    finally:
        os.close(handle)


def sysctl_path(parts: Iterable[str]) -> str:
    """Return the path of the setting's file."""
    return os.path.join(SYSCTLS, *parts)
