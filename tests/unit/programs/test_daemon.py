# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects programs that stay from settings of yesterday."""

from __future__ import annotations

import asyncio

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import daemon

CHANGES = {
    "it comes": (False, lambda path: path.write_text("{}")),
    "it is another one": (True, lambda path: path.write_text("{...}")),
    "it goes": (True, lambda path: path.unlink()),
}


@pytest.mark.parametrize("what", CHANGES)
def test_where_the_databases_are_has_changed(tmp_path, monkeypatch, what):
    """Protects a master that gets companions, or is alone again: its programs look for the databases anew. Of another
    file that goes they know that it is being removed.
    """
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "none"))
    monkeypatch.setattr(daemon, "LOOK", 0.01)
    central, other = tmp_path / "central.json", tmp_path / "other"
    is_there, change = CHANGES[what]
    other.write_text("x")
    if is_there:
        central.write_text("{}")

    async def main():
        waits = asyncio.ensure_future(daemon.replaced(str(other), lasting=str(central)))
        await asyncio.sleep(0)  # it has seen both
        other.unlink()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(waits), 0.1)
        change(central)
        return await asyncio.wait_for(waits, 10)

    assert asyncio.run(main()) == str(central)
