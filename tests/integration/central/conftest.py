# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Masters with clusters, for tests that begin there."""

from __future__ import annotations

import pytest
from masters import Masters


@pytest.fixture
def masters():
    """Three masters with clusters."""
    made = Masters(3)
    made.site("abc")
    yield made
    made.remove()
