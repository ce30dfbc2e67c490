# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects how masters' modules and programs find the databases, of one master and of several."""

from __future__ import annotations

import json

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import DatabaseError
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.access import (
    CENTRAL_TLS,
    CHASSIS_TLS,
    chassis,
    northbound,
    southbound,
)

OWN = {"private_key": "/k", "certificate": "/c", "ca_cert": "/a"}


@pytest.fixture
def file(tmp_path):
    """Writes central.json, and returns its path."""

    def write(said):
        path = tmp_path / "central.json"
        path.write_text(said if isinstance(said, str) else json.dumps(said), encoding="utf-8")
        return str(path)

    return write


def test_one_master(tmp_path):
    """Protects a master alone: without the file its sockets are used, and no key is needed."""
    nowhere = str(tmp_path / "central.json")
    assert northbound(file=nowhere) == (names.NORTHBOUND_SOCKET, None)
    assert southbound(file=nowhere) == (names.SOUTHBOUND_SOCKET, None)


def test_several_masters(file):
    """Protects that everybody meets at the leader: all members are named, with the master's own key."""
    said = file({"northbound": "ssl:a:6641,ssl:b:6641", "southbound": "ssl:a:16642,ssl:b:16642", **OWN})
    assert northbound(file=said) == ("ssl:a:6641,ssl:b:6641", OWN)
    assert southbound(file=said) == ("ssl:a:16642,ssl:b:16642", OWN)
    plain = file({"northbound": "tcp:a:6641", "southbound": "tcp:a:16642"})
    assert northbound(file=plain) == ("tcp:a:6641", None)


def test_what_a_caller_says_comes_first(file):
    """Protects options and flags: they win, and what they leave out is the master's own."""
    said = file({"northbound": "ssl:a:6641", "southbound": "ssl:a:16642", **OWN})
    given = {**OWN, "private_key": "/other"}
    assert northbound("unix:/x", file=said) == ("unix:/x", None)
    assert northbound("tcp:x:1, ssl:y:1", file=said) == ("tcp:x:1, ssl:y:1", OWN)
    assert northbound("ssl:y:1", given, said) == ("ssl:y:1", given)
    assert northbound("ssl:y:1", file=said + ".none") == ("ssl:y:1", CENTRAL_TLS)
    assert southbound("", file=said) == ("", None)


def test_a_chassis():
    """Protects the host's programs: they have the key of its chassis, and no master's."""
    assert chassis("tcp:a:6642") == ("tcp:a:6642", None)
    assert chassis("ssl:a:6642,ssl:b:6642") == ("ssl:a:6642,ssl:b:6642", CHASSIS_TLS)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("{", "can't be read (Expecting"),
        ("[]", "is no object of texts"),
        ({"northbound": 1}, "is no object of texts"),
        ({"northbound": "ssl:a:6641", "southbound": "ssl:a:1", "ca_cert": ["x"]}, "is no object of texts"),
        ({"northbound": "a:6641"}, "says no remote for northbound"),
    ],
)
def test_a_file_that_is_none(file, said, words):
    """Protects against falling back to a socket: another server has the lock there."""
    with pytest.raises(DatabaseError, match=r"let the site play write it again") as refused:
        northbound(file=file(said))
    assert words in str(refused.value)
