# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A node in a network namespace of its own, and pods' namespaces."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from node_server import CLONE_NEWNET, LIBC, Netns, Node, enter


@pytest.fixture(autouse=True)
def namespace():
    """The test's thread, and what it starts, are in a new network namespace."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if LIBC.unshare(CLONE_NEWNET):
            pytest.fail("no network namespace: run these tests as root")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)
        yield
    finally:
        enter(home)
        os.close(home)


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
