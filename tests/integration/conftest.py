# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A real API server, which tests share, systemd's end of a unit, and notes on the machine that are a test's own."""

from __future__ import annotations

import pytest
from kubernetes_server import Kubernetes
from systemd_socket import SystemdSocket

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names


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


@pytest.fixture(autouse=True)
def drops(tmp_path, monkeypatch):
    """The notes of the drops that a test adds, in its own network namespace, are its own too."""
    monkeypatch.setattr(names, "DROPS_DIRECTORY", str(tmp_path / "drops"))


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """Programs that the test starts are told that a unit has started them."""
    made = SystemdSocket(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", str(made.path))
    monkeypatch.syspath_prepend(str(made.libraries))
    yield made
    made.close()
