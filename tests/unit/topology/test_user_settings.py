# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects users' own settings of Open vSwitch: what openvswitch_db would break or miss is refused, and so is what the
collection writes itself."""

from __future__ import annotations

import re

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import SettingsError
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import gateway_host, node_host, user_settings
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.node import Node
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.user_settings import TABLES, Change, Setting

OFFLOAD = {"table": "Open_vSwitch", "record": ".", "column": "other_config", "key": "hw-offload", "value": True}
MACS = {"table": "Bridge", "record": "br-int", "column": "other_config", "key": "mac-table-size", "value": 4096}


def test_values_become_the_text_of_open_vswitch():
    """Protects values that YAML reads as numbers and booleans, also those that a template made text of."""
    several = [
        OFFLOAD,
        MACS,
        {**OFFLOAD, "key": "max-idle", "value": "30000"},
        {**OFFLOAD, "key": "a", "value": "False"},
    ]
    assert [setting.value for setting in user_settings.read(several)] == ["true", "4096", "30000", "false"]


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ("hw-offload", "is not a list of settings"),
        ({"hw-offload": True}, "is not a list of settings"),
        (["hw-offload"], "'hw-offload' has not exactly table, record, column, key and value"),
        ([{**OFFLOAD, "state": "present"}], "has not exactly table, record, column, key and value"),
        ([{name: OFFLOAD[name] for name in ("table", "record", "column", "value")}], "has not exactly"),
        ([OFFLOAD, {**OFFLOAD, "value": False}], "'Open_vSwitch . other_config:hw-offload' is in the list twice"),
        ([{**OFFLOAD, "table": "open_vswitch"}], "the tables are Open_vSwitch, Bridge, Port, Interface"),
        ([{**OFFLOAD, "column": "statistics"}], "write other_config or external_ids"),
        ([{**MACS, "column": "external_ids"}], "is in no column of Bridge for users' settings: write other_config"),
        ([{**OFFLOAD, "record": "br-int"}], "write . as its record"),
        ([{**MACS, "record": "."}], "has a record that is no name"),
        ([{**MACS, "record": "br int"}], "has a record that is no name"),
        ([{**MACS, "record": "-br"}], "has a record that is no name"),
        *(
            ([{**OFFLOAD, "key": key}], "has a key that openvswitch_db can't find again")
            for key in ("", "two words", "k8s.ovn.org/id", "1st", "true", "a=b", "a:b", 'a"b')
        ),
        *(
            ([{**OFFLOAD, "value": value}], "has a value that openvswitch_db can't write")
            for value in ("", None, "two words", 'a"b', "a'b", "a\\b", "$HOME", "~", "a\nb", "{a}", "x" * 251, ["a"])
        ),
    ],
)
def test_what_openvswitch_db_would_break_is_refused(entries, problem):
    """Protects against a value that is cut into words, and a key that is never found: before any host is changed."""
    with pytest.raises(SettingsError, match=re.escape(problem)):
        user_settings.read(entries)


def own_keys():
    """Each key of a map that the collection writes in a host's own Open vSwitch."""
    node = Node("node1", ("192.168.1.0/24",), ("192.168.0.0/16",))
    host = node_host.NodeHost(node, "tcp:10.44.0.11:6642", "geneve", "10.44.0.12", 1442, "netdev")
    gateway = gateway_host.GatewayHost("eth1", "52:54:00:00:00:01", "system")
    for row in (*node_host.rows(host), *gateway_host.rows(gateway)):
        for column in TABLES.get(row.table, ()):
            for key in row.columns.get(column) or ():
                yield row.table, column, key


def test_own_keys_are_refused():
    """Protects the overlay: each key that the collection writes itself is refused, so that two do not fight for it."""
    keys = sorted(set(own_keys()))
    assert ("Bridge", "other_config", "hwaddr") in keys and ("Open_vSwitch", "external_ids", "ovn-remote") in keys
    for table, column, key in keys:
        record = "." if table == "Open_vSwitch" else "br-int"
        entry = {"table": table, "record": record, "column": column, "key": key, "value": "1"}
        with pytest.raises(SettingsError, match="is set by this collection itself: remove the entry"):
            user_settings.read([entry])


def test_a_change_is_shown_and_becomes_options():
    """Protects the plan, the diff, and what openvswitch_db gets, whose options have names of their own."""
    added = Change(Setting("Bridge", "br-int", "other_config", "flow-limit", "9"), None)
    gone = Change(Setting("Open_vSwitch", ".", "other_config", "max-idle"), "30000")
    assert added.describe() == "Bridge br-int other_config:flow-limit: unset -> 9"
    assert (added.before(), added.after()) == ([], ["Bridge br-int other_config:flow-limit = 9"])
    assert (gone.before(), gone.after()) == (["Open_vSwitch . other_config:max-idle = 30000"], [])
    place = {"table": "Open_vSwitch", "record": ".", "col": "other_config", "key": "max-idle"}
    assert gone.as_option() == {**place, "state": "absent"}
    assert added.as_option()["state"] == "present" and added.as_option()["value"] == "9"


@pytest.mark.parametrize("content", ["", "{", "[1]", '[["Bridge", "br-int"]]', "{}"])
def test_a_damaged_note_counts_for_nothing(content, tmp_path, monkeypatch):
    """Protects a run on a host where somebody has changed the note by hand."""
    monkeypatch.setattr(user_settings, "FILE", str(tmp_path / "openvswitch.json"))
    (tmp_path / "openvswitch.json").write_text(content, encoding="utf-8")
    assert user_settings.noted() == []
