# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What commit c128c27 wrote to hosts is still read: a NIC that it moved is given back by this version.

``fixtures/MANAGER.json`` was made by that commit's own code on a host with real links, for each way in which a NIC can be configured:

- ``kept``: /etc/ovn-kubernetes/uplinks/eth0.json;
- ``move``, ``return``: the acts in the journal of eth0's move into breth0, and of its return;
- ``undo_of_move``, ``undo_of_return``: what that commit does to take all of these acts back, in order.

``states.json`` holds the journal's other values in each state, ``host.json`` the settings files and the keys of a dedicated NIC's bridge.
"""

from __future__ import annotations

import json
import pathlib

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.steps.routes import AddressStep, RouteStep
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.journal import Journal
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.moved import MovedNic
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.saved import as_text, from_text
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.serialize import from_json, to_json

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
MANAGERS = ("networkd", "network_manager", "network_manager_leased", "ifupdown", "nobody")


def fixture(name):
    return json.loads((FIXTURES / f"{name}.json").read_text())


@pytest.mark.parametrize("direction", ["move", "return"])
@pytest.mark.parametrize("manager", MANAGERS)
def test_the_same_steps_take_a_change_back(manager, direction):
    """Protects a change that was under way when the collection was upgraded: its rollback does what it would have done."""
    written = fixture(manager)
    undo = []
    for act in reversed(written[direction]):
        if "rows" in act:
            undo.append({"rows": act["rows"], "settings": act["before"]})
        else:
            step = from_json(act["step"]).undo()
            undo.append({"step": None if step is None else step})
    assert undo == [
        {"step": from_json(act["step"])} if "step" in act else act for act in written[f"undo_of_{direction}"]
    ]


@pytest.mark.parametrize("manager", MANAGERS)
def test_the_nic_gets_its_addresses_and_routes_back(manager):
    """Protects the meaning of what is read, beside its equality: these addresses and routes of eth0 come back."""
    steps = [from_json(act["step"]) for act in fixture(manager)["undo_of_move"] if act.get("step")]
    addresses = [step.address for step in steps if isinstance(step, AddressStep) and step.present]
    assert [(address.link, address.cidr, address.label) for address in addresses] == [
        ("eth0", "10.44.0.12/24", "eth0"),
        ("eth0", "10.44.0.13/24", "eth0:1"),
        ("eth0", "fd44::12/64", None),
    ]
    routes = [step.route for step in steps if isinstance(step, RouteStep) and step.present]
    assert [(route.destination, route.nexthops[0].link, route.nexthops[0].via, route.table) for route in routes] == [
        ("198.51.100.0/24", "eth0", "10.44.0.1", 100),
        ("0.0.0.0/0", "eth0", "10.44.0.254", 254),
        ("::/0", "eth0", "fd44::1", 254),
    ]


@pytest.mark.parametrize("manager", MANAGERS)
def test_what_was_kept_of_a_nic_is_written_the_same(manager):
    """Protects an older version that is installed again: what this version keeps has the same text."""
    text = json.dumps(fixture(manager)["kept"], indent=2, sort_keys=True) + "\n"
    assert MovedNic.from_text("eth0", text).as_text() == text
    for direction in ("move", "return"):
        for act in fixture(manager)[direction]:
            assert "rows" in act or to_json(from_json(act["step"])) == act["step"]


@pytest.mark.parametrize("state", ["planned", "applying", "applied", "undoing", "undone", "confirmed"])
def test_the_journal_in_each_state(tmp_path, state):
    """Protects a host that was upgraded, or cut off, at any moment of a change."""
    change = dict(fixture("states")[state], acts=fixture("nobody")["move"])
    journal = Journal(str(tmp_path))
    pathlib.Path(journal.path).write_text(json.dumps(change, indent=1, sort_keys=True) + "\n")
    assert journal.read().to_json() == change
    assert journal.pending() == (None if state in ("undone", "confirmed") else journal.read())


def test_what_a_dedicated_nic_had():
    """Protects the addresses and offloads that a gateway's dedicated NIC had: they are kept in its bridge's row."""
    keys = dict(map(tuple, fixture("host")["bridge_external_ids"][1]))
    text = keys[names.NIC_BEFORE_KEY]
    saved = from_text("eth1", text)
    assert (saved.nic, [address.cidr for address in saved.addresses], saved.routes, saved.offloads) == (
        "eth1",
        ["10.55.0.12/24"],
        (),
        ("tx", "tso"),
    )
    assert as_text(saved) == text
