# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A real API server for the tests of one file, which share it: each takes names of its own."""

from __future__ import annotations

import pytest
from kubernetes_server import Kubernetes


@pytest.fixture(scope="module")
def kubernetes():
    """An API server that runs; who stops or pauses it brings it back."""
    server = Kubernetes()
    yield server
    server.remove()
