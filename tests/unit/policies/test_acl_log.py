# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the names of ACLs and what an annotation asks for."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.acl_log import (
    OFF,
    AclLogging,
    acl_name,
    columns,
    needs,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.selectors import Unreadable


def test_names():
    """Protects OVN's column, and the log's line: a name is as today's users know it where it fits, at most 63
    characters long, differs from that of others, and has no character that could end it.
    """
    assert acl_name("NP", ("shop", "web"), "Ingress", 2) == "NP:shop:web:Ingress:2"
    assert acl_name("NP", ("shop",), "Egress") == "NP:shop:Egress"
    assert acl_name("EF", ("shop",), 10000) == "EF:shop:10000"
    exact = acl_name("NP", ("shop", "w" * 43), "Ingress", 499)
    assert len(exact) == 63 and "-" not in exact
    long = [acl_name("NP", ("n" * 63, f"{'p' * 252}{one}"), "Ingress", 499) for one in "ab"]
    assert len(set(long)) == 2 and all(len(one) == 63 and one.endswith(":Ingress:499") for one in long)
    hostile = ['a"b', "a,b", "a\nb", "a\\b", "a\x00b", "\u00fc", "\ud800", "a b", "a;b", "a(b)"]
    found = {acl_name("NP", ("shop", one), "Ingress", 0) for one in hostile}
    assert len(found) == len(hostile)
    assert all(set(one) <= set("abcdefghijklmnopqrstuvwxyzNPI0123456789:._-") and len(one) <= 63 for one in found)


def test_what_an_annotation_asks_for():
    """Protects columns: each action has the severity of its own key, and what is off has no meter."""
    both = AclLogging.parse('{"deny": "alert", "allow": "notice"}')
    assert (both.deny, both.allow, both.passes) == ("alert", "notice", "")
    assert [both.severity(one) for one in ("drop", "reject", "allow", "allow-related", "allow-stateless", "pass")] == [
        *("alert", "alert", "notice", "notice", "notice"),
        "",
    ]
    assert AclLogging.parse(None) == AclLogging.parse("") == AclLogging.parse("{}") == OFF
    assert columns("n", OFF, "drop") == {"name": ("n",), "log": False, "severity": (), "meter": ()}
    assert columns("n", both, "drop") == {
        "name": ("n",),
        "log": True,
        "severity": ("alert",),
        "meter": ("acl-logging",),
    }
    assert needs(both, "drop") and not needs(both, "pass") and not needs(OFF, "drop")


@pytest.mark.parametrize("text", ["x", "[]", "null", '"alert"', '{"deny": "ALERT"}', '{"deny": 1}', '{"deny": []}'])
def test_what_is_refused(text):
    """Protects rows from everything that is no severity."""
    with pytest.raises(Unreadable) as error:
        AclLogging.parse(text)
    assert "ALERT" not in str(error.value)
