# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the code must know of the schemas of OVN_Northbound (ovn-nb(5)) and Open_vSwitch (ovs-vswitchd.conf.db(5))."""

from __future__ import annotations

from typing import NamedTuple


class Parent(NamedTuple):
    """The column whose rows refer to the rows of another table.

    :ivar table: the parent's table.
    :ivar column: its column, a set of references.
    """

    table: str
    column: str


# Table -> its parent. Without a reference from there the server deletes the row (RFC 7047, 3.2: isRoot is false),
# or the row has no effect.
PARENTS = {
    "Logical_Switch_Port": Parent("Logical_Switch", "ports"),
    "Logical_Router_Port": Parent("Logical_Router", "ports"),
    "Logical_Router_Static_Route": Parent("Logical_Router", "static_routes"),
    "Logical_Router_Policy": Parent("Logical_Router", "policies"),
    "NAT": Parent("Logical_Router", "nat"),
    "ACL": Parent("Logical_Switch", "acls"),
    "Bridge": Parent("Open_vSwitch", "bridges"),
    "Port": Parent("Bridge", "ports"),
    "Interface": Parent("Port", "interfaces"),
    "Load_Balancer": Parent("Load_Balancer_Group", "load_balancer"),
    "SSL": Parent("Open_vSwitch", "ssl"),
}
# Table -> another parent that its rows may have (Row.parent_table).
OTHER_PARENTS = {"ACL": Parent("Port_Group", "acls")}
# Tables of PARENTS whose rows stay when nothing refers to them (ovn-nb.ovsschema: isRoot is true).
ROOT_TABLES = ("Load_Balancer",)
# The table that has exactly one row, and no column "name" (vswitch.ovsschema: maxRows is 1).
SINGLETON = "Open_vSwitch"
# All tables of which that is true. Their row is called ".", as ovs-vsctl(8) does.
SINGLETONS = (SINGLETON, "SSL")
# Tables whose column "name" can't change (vswitch.ovsschema: mutable is false). A new name needs a new row.
FIXED_NAMES = ("Bridge", "Port", "Interface")
# Table without names -> the column of which no two rows may have the same value (ovn-nb.ovsschema: indexes).
UNIQUE = {"Chassis_Template_Var": "chassis"}


def possible_parents(table: str) -> tuple[Parent, ...]:
    """Return all columns that may refer to the rows of a table; none for a table without parents."""
    return tuple(parents[table] for parents in (PARENTS, OTHER_PARENTS) if table in parents)


def parent_column(table: str, parent: str) -> str:
    """Return the column of a parent's table that refers to the rows of a table."""
    return next(column for name, column in possible_parents(table) if name == parent)
