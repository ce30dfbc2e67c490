# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A real API server for the tests of one file, which share it: each takes names of its own."""

from __future__ import annotations

import pytest
from kubernetes_server import Kubernetes
from systemd_socket import SystemdSocket


@pytest.fixture(scope="module")
def kubernetes():
    """An API server that runs; who stops or pauses it brings it back."""
    server = Kubernetes()
    yield server
    server.remove()


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """Programs that the test starts are told that a unit has started them."""
    made = SystemdSocket(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", str(made.path))
    monkeypatch.syspath_prepend(str(made.libraries))
    yield made
    made.close()
