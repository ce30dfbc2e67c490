# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The versions that verify shows, from a real daemon."""

from __future__ import annotations

import subprocess

import pytest
from database_server import PROGRAMS
from ovn_daemon import Daemon

from ansible_collections.ovn.kubernetes.plugins.module_utils._verify import versions


@pytest.fixture
def northd(tmp_path):
    """A northd, which runs without databases too."""
    daemon = Daemon("ovn-northd", tmp_path, "--ovnnb-db=unix:/nonexistent", "--ovnsb-db=unix:/nonexistent")
    yield tmp_path
    daemon.remove()


def test_a_daemon_that_runs_tells_its_version(northd):
    """Protects verify's table: a daemon's version is that of the program that runs; one that does not run has none."""
    daemons = {versions.CENTRAL: (str(northd), "ovn-northd"), versions.OVN: (str(northd), "ovn-controller")}
    program = [str(PROGRAMS / "bin" / "ovn-northd"), "--version"]
    first = subprocess.run(program, check=True, capture_output=True, text=True, timeout=60).stdout.split("\n", 1)[0]
    assert versions.read_versions("/nonexistent", daemons) == {versions.CENTRAL: first.split()[-1]}
