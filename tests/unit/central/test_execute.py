# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the time that a step gives a server."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._central.execute import start_time


@pytest.mark.parametrize(("size", "seconds"), [(None, 20), (0, 20), (200_000_000, 120), (100_000_000_000, 600)])
def test_a_large_file_takes_its_time(tmp_path, size, seconds):
    """Protects a server that still reads its file from counting as one that does not start."""
    file = tmp_path / "db"
    if size is not None:
        with file.open("wb") as stream:
            stream.truncate(size)
    assert start_time(str(file)) == seconds
