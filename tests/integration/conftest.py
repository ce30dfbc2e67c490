# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A real API server, which tests share, and systemd's end of a unit."""

from __future__ import annotations

import pytest
from kubernetes_server import Kubernetes
from systemd_socket import SystemdSocket


@pytest.fixture(scope="session")
def api_server():
    """The API server of ``kubernetes``; a start of one takes seconds."""
    server = Kubernetes()
    yield server
    server.remove()


@pytest.fixture
def kubernetes(api_server):
    """An API server that runs, and has no nodes, no pods and no services of before."""
    yield api_server
    api_server.reset()


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """Programs that the test starts are told that a unit has started them."""
    made = SystemdSocket(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", str(made.path))
    monkeypatch.syspath_prepend(str(made.libraries))
    yield made
    made.close()
