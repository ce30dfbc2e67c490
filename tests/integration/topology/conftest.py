# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A real ovsdb-server with the Northbound schema for each test."""

from __future__ import annotations

import pytest
from northbound import Northbound


@pytest.fixture
def nb():
    """A Northbound database."""
    server = Northbound()
    yield server
    server.remove()


@pytest.fixture
def fresh():
    """Makes further empty databases."""
    made = []

    def make():
        made.append(Northbound())
        return made[-1]

    yield make
    for server in made:
        server.remove()
