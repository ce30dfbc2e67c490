# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A network namespace for each test: a real kernel, in which the machine's own links are not visible."""

from __future__ import annotations

import os

import pytest
from network_namespace import load_nftables
from network_namespace import namespace as new_namespace


def pytest_configure(config):
    load_nftables()


@pytest.fixture(autouse=True)
def namespace():
    """The test's thread is in a new, empty network namespace until the test ends."""
    if os.geteuid() != 0:
        pytest.fail("these tests make network namespaces: run them as root")
    with new_namespace():
        yield
