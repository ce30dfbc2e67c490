# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Desired rows as short lines of text, and the current rows that correspond to desired ones."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import CurrentRow, SetMembers
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.values import encode


def _text(value):
    if isinstance(value, SetMembers):
        return "+" + ",".join(ref.name for ref in value.refs)
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    if isinstance(value, dict):
        return ",".join(f"{key}={item}" for key, item in sorted(value.items()))
    return str(value)


@pytest.fixture
def picture():
    """Rows as lines ``parent > Table name column:value``, without owner keys and groups."""
    short = {
        "Logical_Switch": "switch",
        "Logical_Switch_Port": "sport",
        "Logical_Router": "router",
        "Logical_Router_Port": "rport",
        "Logical_Router_Static_Route": "route",
        "Load_Balancer_Group": "group",
    }

    def draw(rows):
        lines = []
        for row in rows:
            said = [
                f"{column}:{_text(value)}"
                for column, value in row.columns.items()
                if column not in ("external_ids", "load_balancer_group") and value
            ]
            lines.append(
                " ".join(
                    [f"{row.parent} >"] * (row.parent is not None)
                    + [short.get(row.table, row.table), row.name or row.role, *said]
                )
            )
        return lines

    return draw


@pytest.fixture
def as_current():
    """Return the current rows of desired ones, as a database has them."""

    def make(rows):
        out = []
        for number, row in enumerate(rows):
            columns = {
                column: value for column, value in row.all_columns().items() if not isinstance(value, SetMembers)
            }
            columns = {
                column: {key: item for key, item in value.items() if item is not None}
                if isinstance(value, dict)
                else value
                for column, value in columns.items()
            }
            columns = {
                column: value[0] if isinstance(value, tuple) and len(value) == 1 else value
                for column, value in columns.items()
            }
            out.append(
                CurrentRow(
                    row.table, f"uuid-{number}", columns, {column: encode(value) for column, value in columns.items()}
                )
            )
        return out

    return make
