# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a host has OVN's two databases, and what they are called there (ovn-ctl(8))."""

from __future__ import annotations

import os
from dataclasses import dataclass

from .._common import names


@dataclass(frozen=True)
class Place:
    """Where a master has one of the two databases, or the relay, and what it is called there.

    :ivar key: its key in facts and options.
    :ivar stem: how its file, its sockets and its pid file begin.
    :ivar raft_port: the TCP port that members of its cluster speak with each other through; 0: it has no members.
    :ivar unit: systemd's unit of its server, on Debian.
    :ivar root_table: the table whose one row refers to the listeners.
    """

    key: str
    database: str
    stem: str
    raft_port: int
    unit: str
    schema: str
    root_table: str


PLACES = (
    Place(
        "northbound",
        names.NORTHBOUND,
        "ovnnb_db",
        names.NORTHBOUND_RAFT_PORT,
        "ovn-ovsdb-server-nb.service",
        "ovn-nb.ovsschema",
        "NB_Global",
    ),
    Place(
        "southbound",
        names.SOUTHBOUND,
        "ovnsb_db",
        names.SOUTHBOUND_RAFT_PORT,
        "ovn-ovsdb-server-sb.service",
        "ovn-sb.ovsschema",
        "SB_Global",
    ),
)
# The relay of the Southbound database (ovsdb(7), "Relay Service Model"). Of its own it has where it listens, in tables
# of ovsdb.local-config(5). Its clients reach that database too. So it has tables of roles, and no role in them: without
# those ovsdb-server lets a chassis write there, who then opens a listener without a role (its ovsdb/rbac.c).
RELAY = Place(
    "relay", names.RELAY_DATABASE, "southbound-relay", 0, names.RELAY_UNIT, "southbound-relay.ovsschema", "Config"
)


@dataclass(frozen=True)
class Folders:
    """Where a host has the databases; tests have their own."""

    data: str = "/var/lib/ovn"
    run: str = names.OVN_RUN_DIRECTORY
    schemas: str = "/usr/share/ovn"

    def file(self, place: Place) -> str:
        """The database's file."""
        return f"{self.data}/{place.stem}.db"

    def control(self, place: Place) -> str:
        """The control socket of its server, as ovn-ctl(8) names it."""
        return f"unix:{self.run}/{place.stem}.ctl"

    def socket(self, place: Place) -> str:
        """The unix socket of its server."""
        return f"unix:{self.run}/{place.stem}.sock"


FOLDERS = Folders()
RELAY_FOLDERS = Folders(names.RELAY_DIRECTORY, names.RELAY_RUN_DIRECTORY, names.SETTINGS_DIRECTORY)


def has_databases(folders: Folders = FOLDERS) -> bool:
    """Return whether this host has any of the databases, or the programs for them."""
    return os.path.exists(names.CENTRAL_DROP_IN) or any(os.path.exists(folders.file(place)) for place in PLACES)


def has_package(folders: Folders = FOLDERS) -> bool:
    """Return whether the package of the databases is installed, which brings their schemas."""
    return any(os.path.exists(f"{folders.schemas}/{place.schema}") for place in PLACES)
