# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read what only the first master can: the Northbound database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import OvnKubernetesError
from .._ovsdb.connection import Connection
from .._topology.northbound import Northbound
from .facts import Compared

if TYPE_CHECKING:
    from .._topology.overlay import Overlay

TIMEOUT = 5.0  # seconds for one answer


def compare_overlay(overlay: Overlay, remote: str) -> Compared:
    """Return what a site run would do to the Northbound database."""
    comment = "ovn.kubernetes: ovn_verify"
    northbound = Northbound(lambda: Connection(remote, names.NORTHBOUND, TIMEOUT), comment, check=True)
    try:
        return Compared(northbound.converge(overlay).plan)
    except (OvnKubernetesError, OSError) as error:
        return Compared(problem=str(error))
