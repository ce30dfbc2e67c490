# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Current rows for tests, as if read from a database."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import CurrentRow
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.values import encode


@pytest.fixture
def as_current():
    """Return the current row of a desired one, as the database has it when nothing differs but ``columns``.

    ``owned=False``: without owner keys.
    """
    numbers = itertools.count(1)

    def make(row, owned=True, **columns):
        current = {column: value for column, value in row.all_columns().items() if owned or column != "external_ids"}
        current.setdefault("external_ids", {})
        current.update(columns)
        plain = {column: value for column, value in current.items() if isinstance(value, (str, int, bool, tuple, dict))}
        return CurrentRow(
            row.table, f"uuid-{next(numbers)}", plain, {column: encode(value) for column, value in plain.items()}
        )

    return make
