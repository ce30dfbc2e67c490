# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Fixtures: a node in a network namespace of its own, and pods' namespaces."""

from __future__ import annotations

import network_namespace
import pytest
from node_server import Netns, Node


@pytest.fixture(autouse=True)
def namespace():
    """The test's thread, and what it starts, are in a new network namespace."""
    with network_namespace.namespace():
        yield


@pytest.fixture
def node(namespace, tmp_path):
    """A node whose server is not started yet."""
    made = Node(tmp_path)
    yield made
    made.remove()


@pytest.fixture
def ready(node):
    """A node that serves."""
    node.start()
    return node


@pytest.fixture
def sandbox(tmp_path):
    """Makes pods' network namespaces."""
    made = []

    def make(name="pod"):
        made.append(Netns(tmp_path / name))
        return made[-1]

    yield make
    for one in made:
        one.remove()
