# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hosts that were cloned from one machine, and so have one system-id: OVN takes them for one chassis.

A host whose system-id is that of a node under another name is a renamed one, or a clone. They are told apart by what
else they have: a renamed host has the tunnel address, the pods' subnet and the gateway's address that it had, and a
clone has others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common import names
from .._common.addressing import normalized
from .._common.errors import DatabaseError, HostError, SettingsError
from .._ovsdb import access
from .._ovsdb.connection import Connection
from .._ovsdb.converge import read_rows
from .._ovsdb.rows import Query
from . import report

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

ADVICE = (
    f"give the clone its own (remove {names.SYSTEM_ID_FILE} there, and restart Open vSwitch and then ovn-controller)"
)
PATIENCE = 3.0  # seconds for the Southbound database, which a new host may not reach yet


def clone_error(new: str, chassis: str, old: str, has: str = "", renamed: str = "") -> SettingsError:
    """Return the error of a node or gateway with the system-id of another one.

    :param has: what the other one has, such as ``subnet 192.168.1.0/24``.
    :param renamed: what to do when it is the same host, under a new name.
    """
    problem = f"{new} has the system-id {chassis} of {old}{f', which has {has}' if has else ''}"
    return SettingsError(problem, f"{ADVICE}{f'; {renamed}' if renamed else ''}")


def refuse_other_address(kind: str, new: str, chassis: str, old: str, what: Iterable[str], now: Iterable[str]) -> None:
    """Refuse the rename of a node or gateway whose subnets or addresses are all other ones.

    :param what: what it had under its old name.
    :param now: what it is to have.
    :raises SettingsError: it has none of them any more.
    """
    before = [text for text in what if text]
    if before and not set(before) & set(now):
        noun = "subnet" if kind == "node" else "address"
        raise clone_error(
            f"{kind} {new}",
            chassis,
            f"{kind} {old}",
            f"{noun} {', '.join(before)}",
            f"a host that was renamed first gets its new name with the {noun} that it has",
        )


def refuse_registered(remote: str, chassis: str, name: str, encap_ip: str) -> None:
    """Refuse a host whose system-id is registered by another host: with another name, and another tunnel address.

    A Southbound database that can't be read has nothing to say.

    :raises HostError: then, before anything is changed.
    """
    other = _registered(remote, chassis)
    if other is None or other["hostname"] == name:
        return
    addresses = other["encap_ips"]
    if addresses and normalized(encap_ip) not in map(normalized, addresses):
        raise HostError(
            f"this host has the system-id {chassis} of {other['hostname']}, which is registered in the Southbound "
            f"database with the tunnel address {', '.join(addresses)}: {ADVICE}; {moved_advice(chassis)}"
        )


def moved_advice(chassis: str) -> str:
    """Return what to do where the chassis is that of the host itself: while ovn-controller runs, it registers again."""
    return (
        "if it is the same host, with a new name and a new address, stop ovn-controller there, delete its chassis on a "
        f"master (ovn-sbctl chassis-del {chassis}), and run this again"
    )


def twins(system_ids: Iterable[tuple[str, str | None]]) -> list[tuple[str, str, str]]:
    """Return each host that has the system-id of one before it, with that one and the system-id.

    :param system_ids: host and its system-id; empty or None: it is not known. A host may be there more than once.
    """
    owners: dict[str, str] = {}
    found = []
    for host, system_id in system_ids:
        owner = owners.setdefault(system_id, host) if system_id else host
        if owner != host:
            found.append((host, owner, str(system_id)))
    return found


def _registered(remote: str, chassis: str) -> Mapping[str, Any] | None:
    """Return a chassis of the Southbound database; None where there is none, or the database can't be read."""
    try:
        found = access.chassis(remote)
        connection = Connection(found.remote, names.SOUTHBOUND, PATIENCE, found.tls, leader_only=False)
    except DatabaseError:
        return None
    queries = (
        Query("Chassis", (("name", "==", chassis),), ("name", "hostname")),
        Query("Encap", (("chassis_name", "==", chassis),), ("chassis_name", "ip")),
    )
    try:
        return report.chassis(read_rows(connection, queries)).get(chassis)
    except DatabaseError:
        return None
    finally:
        connection.close()
