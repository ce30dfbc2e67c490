# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Our plays with stand-ins for the modules, on the oldest and the newest ansible-core."""

from __future__ import annotations

import pytest
from stand_in_plays import Plays


@pytest.fixture(params=["oldest", "newest"])
def plays(tmp_path, request):
    """An inventory of three hosts."""
    return Plays(tmp_path, request.param)


def role(name, hosts, **more):
    """Return a user's own play with one of our roles."""
    return {"hosts": hosts, "gather_facts": False, "roles": [f"ovn.kubernetes.{name}"], **more}
