# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What modules need that work on the host itself: root, and nobody else who changes it at the same time."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

from .._common.errors import HostError
from .._host.exclusive import exclusive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._common.result import Result
    from .results import Module


def on_host(module: Module, work: Iterator[Result]) -> Iterator[Result]:
    """Yield the results of work that changes this host: as root, and one run after the other.

    Rows of databases alone need neither.
    """
    if module.params.get("part") == "northbound":
        yield from work
        return
    require_root()
    if module.check_mode:
        yield from work
        return
    with exclusive():
        yield from work


def require_root() -> None:
    """Check that this process is root's.

    :raises HostError: it is not.
    """
    user = os.geteuid()
    if user == 0:
        return
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:
        name = str(user)
    raise HostError(f"the task runs as the user {name}, and must run as root: set ansible_become: true for this host")
