# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Found rows for tests, as if read from a database."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import CurrentRow
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.values import encode


@pytest.fixture
def as_found():
    """Makes the found row of a wanted one: as the database has it when nothing differs; ``columns`` differ. ``owned=False``: without keys."""
    numbers = itertools.count(1)

    def make(row, owned=True, **columns):
        have = {column: value for column, value in row.all_columns().items() if owned or column != "external_ids"}
        have.setdefault("external_ids", {})
        have.update(columns)
        plain = {column: value for column, value in have.items() if isinstance(value, (str, int, bool, tuple, dict))}
        return CurrentRow(
            row.table, f"uuid-{next(numbers)}", plain, {column: encode(value) for column, value in plain.items()}
        )

    return make
