# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A host that commit c128c27 has set up: this version reads its settings files, and changes nothing.

The fixture is that of tests/unit/nic/test_earlier_version.py.
"""

from __future__ import annotations

import json
import pathlib

import pytest
from network_namespace import ip

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names

from .test_overlay import GATEWAY, MASTER, MINION

FIXTURE = pathlib.Path(__file__).parents[2] / "unit" / "nic" / "fixtures" / "host.json"


@pytest.fixture
def settings():
    return json.loads(FIXTURE.read_text())


def test_settings_files_say_the_same(bare, settings):
    """Protects the next boot after an upgrade: the settings that were kept mean what they meant."""
    for command in (MASTER, MINION, GATEWAY):
        assert bare.run(command)[0] == 0
    for part in ("node", "gateway"):
        assert json.loads((bare.kept / f"{part}.json").read_text()) == settings[part]
        (bare.kept / f"{part}.json").write_text(json.dumps(settings[part], indent=2, sort_keys=True) + "\n")
    seen = bare.wishes()
    assert bare.host().node(settings["node"], move_underlay=False).plan == []
    assert bare.host().gateway(settings["gateway"]).plan == []
    assert bare.wishes() == seen


def test_a_dedicated_nic_gets_back_what_it_had(bare, settings):
    """Protects the NIC of a gateway that the earlier version made: its address comes back from the bridge's row."""
    for command in (MASTER, MINION, GATEWAY):
        assert bare.run(command)[0] == 0
    assert "10.55.0.12/24" not in ip("address show dev eth1")
    text = dict(map(tuple, settings["bridge_external_ids"][1]))[names.NIC_BEFORE_KEY]
    where = [["name", "==", "breth1"]]
    for operation, value in (
        ("delete", ["set", [names.NIC_BEFORE_KEY]]),
        ("insert", ["map", [[names.NIC_BEFORE_KEY, text]]]),
    ):
        bare.transact(
            {"op": "mutate", "table": "Bridge", "where": where, "mutations": [["external_ids", operation, value]]}
        )
    bare.host().gateway(None)
    assert "10.55.0.12/24" in ip("address show dev eth1") and "breth1" not in ip("link")
