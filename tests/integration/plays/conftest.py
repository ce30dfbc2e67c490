# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Our plays with stand-ins for the modules."""

from __future__ import annotations

import ansible_cores
import pytest
from certified_master import Master
from stand_in_plays import Plays

KUBECONFIG = {
    "current-context": "admin",
    "contexts": [{"name": "admin", "context": {"cluster": "one", "user": "admin"}}],
    "clusters": [{"name": "one", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "admin", "user": {"token": "of-the-administrator"}}],
}
# For tests that go through whole plays: all their expressions, on both ends of what we support.
BOTH = pytest.mark.parametrize("plays", ["oldest", "newest"], indirect=True)


@pytest.fixture
def plays(tmp_path, request):
    """An inventory of three hosts, and the tools' own ansible-core unless a test says which ones."""
    return Plays(tmp_path, getattr(request, "param", ansible_cores.OWN))


@pytest.fixture
def master(plays):
    """A master that gets real certificates."""
    return Master(plays)


def role(name, hosts, **more):
    """Return a user's own play with one of our roles."""
    return {"hosts": hosts, "gather_facts": False, "roles": [f"ovn.kubernetes.{name}"], **more}
