# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A Northbound database with two nodes and a gateway, in both IP versions, and ovn-northd behind it."""

from __future__ import annotations

import pytest
from northbound import Northbound
from northd import Northd


@pytest.fixture
def nb():
    """The database of a cluster with both IP versions."""
    server = Northbound()
    server.build(nodes=(1, 2), gateways=(1,), dual=True)
    yield server
    server.remove()


@pytest.fixture
def northd(nb):
    """The real ovn-northd."""
    made = Northd(nb)
    yield made
    made.remove()
