# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which rows of the Northbound database a call about the overlay reads, and what the rows that it found say."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common import names
from .._ovsdb.rows import Owner, Query, includes, is_uuid
from .._services import host_rows
from . import cluster as cluster_policy
from . import gateway as gateway_policy
from . import node as node_policy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .._ovsdb.rows import CurrentRow

# Columns to read of our rows: all that the policies set.
COLUMNS = {
    "Logical_Router": ("name", "options", "load_balancer_group", "external_ids"),
    "Logical_Router_Policy": ("priority", "match", "action", "nexthops", "external_ids"),
    "Logical_Router_Port": ("name", "networks", "mac", "options", "external_ids"),
    "Logical_Router_Static_Route": ("ip_prefix", "nexthop", "output_port", "external_ids"),
    "Logical_Switch": ("name", "other_config", "load_balancer_group", "external_ids"),
    "Logical_Switch_Port": ("name", "type", "addresses", "options", "external_ids"),
    "NAT": ("type", "logical_ip", "external_ip", "external_port_range", "external_ids"),
}
WATCHER_COLUMNS = {  # of further tables in which the watcher has rows
    "Load_Balancer": ("name", "external_ids"),
    "Chassis_Template_Var": ("chassis", "external_ids"),
    "ACL": ("direction", "external_ids"),
    "Address_Set": ("name", "external_ids"),
    "Port_Group": ("name", "external_ids"),
}
COLUMNS_WITHOUT_OWNER = {"Load_Balancer_Group": ("name",)}  # of tables without external_ids
COLUMNS_BY_NAME = {  # of a row that is found by its name
    **COLUMNS,
    **COLUMNS_WITHOUT_OWNER,
    "Port_Group": ("name", "ports", "external_ids"),
}
ROLES = {"Cluster": cluster_policy.ROLES, "Node": node_policy.ROLES, "Gateway": gateway_policy.ROLES}
# The watcher's rows of a host. They are removed with the node, also while no watcher runs.
WATCHER_ROLES = {"Host": host_rows.ROLES}
# Owner type -> table and role of the row whose external_ids say what else is known of the owner, such as its chassis.
MAIN_ROWS = {"Node": ("Logical_Switch", "switch"), "Gateway": ("Logical_Router", "router")}
FEW_OWNERS = 8  # up to so many owners each has queries of its own; for more, one query of a table costs less
OURS = {names.OWNER_CONTROLLER: names.CONTROLLER}


def queries_by_uuid(owners: Sequence[Owner]) -> list[Query]:
    """Return the queries for the owners' rows by the UUIDs of their identities: none of them searches a table."""
    return [query_by_uuid(table, owner, role) for owner in owners for table, role in ROLES[owner.type]]


def query_by_uuid(table: str, owner: Owner, role: str) -> Query:
    """Return the query for one row by the UUID of its identity."""
    return Query(table, (is_uuid(owner.row_uuid(role)), includes("external_ids", owner.keys(role))), COLUMNS[table])


def queries_for_everything() -> list[Query]:
    """Return the queries for all rows of this collection."""
    return [_owned_rows(table, OURS) for table in {**COLUMNS, **WATCHER_COLUMNS}]


def queries_for_owners(owners: Sequence[Owner]) -> list[Query]:
    """Return the queries for all rows of the owners. Rows of pods and services, which are many, are not among them."""
    roles = {**ROLES, **WATCHER_ROLES}
    if len(owners) <= FEW_OWNERS:
        return [_owned_rows(table, owner.keys()) for owner in owners for table in dict(roles[owner.type])]
    types = [*ROLES, *(kind for kind in WATCHER_ROLES if any(owner.type == kind for owner in owners))]
    return [_owned_rows(table, {**OURS, names.OWNER_TYPE: kind}) for kind in types for table in dict(roles[kind])]


def query_for_chassis(owner: Owner, chassis: str) -> Query:
    """Return the query for the main row of an owner of this type with this chassis, whatever its name."""
    keys = {**owner.keys(), names.CHASSIS_KEY: chassis}
    del keys[names.OWNER_NAME]
    return _owned_rows(MAIN_ROWS[owner.type][0], keys)


def query_for_main_rows(owner_type: str) -> Query:
    """Return the query for the main rows of all owners of a type."""
    keys = {**OURS, names.OWNER_TYPE: owner_type}
    return Query(MAIN_ROWS[owner_type][0], (includes("external_ids", keys),), ("external_ids",))


def _owned_rows(table: str, keys: Mapping[str, str]) -> Query:
    columns = COLUMNS.get(table) or WATCHER_COLUMNS[table]
    return Query(table, (includes("external_ids", keys),), columns)


@dataclass(frozen=True)
class CurrentState:
    """The current rows of a call's owners, under the owners' new names.

    :ivar rows: the rows, in the order in which they were found.
    :ivar renamed: old owner -> new name.
    """

    rows: Sequence[CurrentRow]
    renamed: Mapping[Owner, str]

    @functools.cached_property
    def _by_role(self) -> dict[tuple[Owner, str, str | None], CurrentRow]:
        """Return the first row of each owner, table and role."""
        index: dict[tuple[Owner, str, str | None], CurrentRow] = {}
        for row in self.rows:
            if row.owner is not None:
                owner = Owner(row.owner.type, self.renamed.get(row.owner, row.owner.name))
                index.setdefault((owner, row.table, row.role), row)
        return index

    def find(self, owner: Owner, table: str, role: str) -> CurrentRow | None:
        """Return an owner's row; None where there is none."""
        return self._by_role.get((owner, table, role))

    def known(self, owner: Owner, key: str) -> str | None:
        """Return what an owner's main row has in external_ids; None where there is no row, or no such key."""
        row = self.find(owner, *MAIN_ROWS[owner.type])
        return row.external_id(key) if row else None
