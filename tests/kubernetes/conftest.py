# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A real Kubernetes on the lab's hosts with our network, as the scenario kubernetes has left them."""

from __future__ import annotations

import pytest
from lab_kubernetes import Web


@pytest.fixture(scope="session")
def web():
    """Six web pods over three hosts behind one service."""
    made = Web()
    yield made
    made.remove()
