# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read what one master reads for all: the databases."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import DatabaseError, OvnKubernetesError
from .._ovsdb import access
from .._ovsdb.connection import Connection
from .._ovsdb.control_socket import ask
from .._topology import bindings
from .._topology.northbound import Northbound
from .facts import Compared

if TYPE_CHECKING:
    from .._topology.bindings import Misplaced
    from .._topology.overlay import Overlay

TIMEOUT = 5.0  # seconds for one answer


def compare_overlay(overlay: Overlay, remote: str | None) -> Compared:
    """Return what a site run would do to the Northbound database.

    :param remote: where it is; None: where this master finds it.
    """
    comment = "ovn.kubernetes: ovn_verify"

    def connect() -> Connection:
        found = access.northbound(remote)
        return Connection(found.remote, names.NORTHBOUND, TIMEOUT, found.tls)

    northbound = Northbound(connect, comment, check=True)
    try:
        return Compared(northbound.converge(overlay).plan)
    except (OvnKubernetesError, OSError) as error:
        return Compared(problem=str(error))


def misplaced_ports(northbound: str | None, southbound: str | None) -> tuple[tuple[Misplaced, ...], str]:
    """Return the ports that are bound where they do not belong, and why that can't be seen; empty: it can.

    :param northbound, southbound: where the databases are; None: where this master finds them.
    """
    found = ((access.northbound(northbound), names.NORTHBOUND), (access.southbound(southbound), names.SOUTHBOUND))
    try:
        with contextlib.ExitStack() as stack:
            connections = [
                stack.enter_context(contextlib.closing(Connection(where.remote, database, TIMEOUT, where.tls)))
                for where, database in found
            ]
            return tuple(bindings.read(*connections)), ""
    except (OvnKubernetesError, OSError) as error:
        return (), str(error)


def northd_status(directory: str = names.OVN_RUN_DIRECTORY) -> str:
    """Return what this master's ovn-northd says of itself (ovn-northd(8)): ``active``, ``standby`` or ``paused``; empty
    when it does not run, which its unit's row says."""
    try:
        answer = asyncio.run(ask(directory, "ovn-northd", "status", TIMEOUT))
    except (DatabaseError, OSError, ValueError):
        return ""
    found = re.search(r"Status: (active|standby|paused)", answer)
    return found[1] if found else ""
