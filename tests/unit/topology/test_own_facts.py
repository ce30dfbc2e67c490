# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what a host says of itself: a damaged file is a sentence, and never an empty answer."""

from __future__ import annotations

import json

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import own_facts


@pytest.fixture
def file(tmp_path):
    return tmp_path / "node.json"


def test_saved_settings(file):
    """Protects the node's name and subnets, as the host's part saves them."""
    assert own_facts.saved_node(str(file)) == ("", [])
    file.write_text(json.dumps({"name": "Node1", "subnets": ["192.168.2.0/24", "fd10::/64"], "mtu": 1442}))
    assert own_facts.saved_node(str(file)) == ("node1", ["192.168.2.0/24", "fd10::/64"])


def test_where_the_databases_were(file):
    """Protects whoever replaces a master: the hosts say where the former one was; a damaged file says nothing."""
    assert own_facts.saved_databases(str(file)) == []
    for content, found in (("{", []), ("[]", []), ('{"southbound": "tcp:[fd44::11]:6642,unix:/x"}', ["fd44::11"])):
        file.write_text(content)
        assert own_facts.saved_databases(str(file)) == found


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ('OPTIONS=""\n#OVN_USER_ID="openvswitch:openvswitch"\n', ""),
        ('OPTIONS=""\nOVN_USER_ID="openvswitch:openvswitch"\n', "openvswitch"),
        ("OVN_USER_ID='openvswitch:openvswitch'\nOVN_USER_ID=root:root", "root"),
        ("OVN_USER_ID=\n", ""),
    ],
)
def test_as_whom_ovn_runs(file, text, user):
    """Protects keys on EL: who reads them is in a file of OVN's packages, and the last line counts."""
    assert own_facts.ovn_user(str(file)) == ""
    file.write_text(text)
    assert own_facts.ovn_user(str(file)) == user


DAMAGED = [
    *["", "{", "[]", "null", '{"name": "node1"}', '{"name": 1, "subnets": []}', " " * 70000, "\udcff"],
    *['{"name": "a", "subnets": "192.168.2.0/24"}', '{"name": "a", "subnets": ["x"]}', '{"name": "a", "subnets": [7]}'],
]


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_settings(file, content):
    """Protects the node's subnet: nothing is taken from a damaged file, and the sentence names it."""
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(
        HostError, match=rf"^{file}, which says what subnet the host's pods have, can't be read: "
    ) as raised:
        own_facts.saved_node(str(file))
    assert "\n" not in str(raised.value)


def test_a_system_id_without_open_vswitch(tmp_path):
    """Protects clones from being seen late: an image has the file already, while Open vSwitch does not run."""
    file = tmp_path / "system-id.conf"
    assert own_facts.system_id("unix:/nowhere", str(file)) == ""
    file.write_text("id-1\n")
    assert own_facts.system_id("unix:/nowhere", str(file)) == "id-1"
