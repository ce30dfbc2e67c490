# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Steps and what was found survive JSON: nothing that is to be undone is lost on the way to disk and back."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.files import FileContent
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.current import (
    FoundAddress,
    FoundLink,
    FoundResolver,
    FoundRoute,
    FoundRule,
    Nexthop,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.desired import Profile
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.serialize import CLASSES, from_plain, to_plain
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.steps import (
    AddressStep,
    DropStep,
    FileStep,
    HandoverStep,
    LinkStep,
    MoveStep,
    OffloadStep,
    ResolverStep,
    RouteStep,
    RuleStep,
    SysctlStep,
)

ADDRESS = FoundAddress(
    "eth0",
    "10.44.0.12/24",
    peer="10.44.0.1",
    broadcast="10.44.0.255",
    scope=253,
    flags=0x280,
    label="eth0:web",
    metric=7,
    preferred=100,
    valid=200,
)
ROUTE = FoundRoute(
    "198.51.100.0/24",
    (Nexthop("eth0", "10.44.0.1", 4, 2, ((11, b"\x00\xff"),)), Nexthop("eth1")),
    table=1000,
    metric=3,
    source="10.44.0.12",
    origin="10.0.0.0/8",
    type=2,
    scope=253,
    protocol=9,
    tos=16,
    extra=((8, b"\x01\x02"),),
    expires=60,
    nexthop_object=5,
)
RULE = FoundRule(6, 600, "eth0", "eth1", (("table", 100), ("flags", 2)), ((10, b"\x01"),))
LINK = FoundLink("eth0", True, 1500, "02:00:00:00:00:01", True)
RESOLVER = FoundResolver(
    ((2, b"\xc0\x00\x02\x35", 53, "dns.example"),),
    (("lab.example", True),),
    True,
    (("LLMNR", "no"), ("DNSSECNegativeTrustAnchors", ("lab.example",))),
)
SAMPLES = [
    AddressStep(ADDRESS, True),
    RouteStep(ROUTE, False),
    DropStep("eth0", True),
    RuleStep(RULE, True),
    LinkStep("eth0", True, 9000, "02:00:00:00:00:02", LINK, False),
    SysctlStep("net.ipv4.ip_forward", ("net", "ipv4", "ip_forward"), None, "1", "0"),
    OffloadStep("eth0", ("tx", "tso"), True),
    FileStep("/etc/x", FileContent("a\n", 0o600), None),
    MoveStep("eth0", "breth0", (ADDRESS,), (ROUTE,), (ADDRESS.on("breth0"),), (ROUTE,), LINK, (RULE,), (RULE,)),
    ResolverStep("eth0", "breth0", RESOLVER),
    HandoverStep(
        "NetworkManager", "eth0", "breth0", False, False, True, Profile("4d3c", True, "01:02", "::1", 100), waits=False
    ),
]


@pytest.mark.parametrize("step", SAMPLES, ids=lambda step: type(step).__name__)
def test_steps_and_their_inverses_survive(step):
    """Protects each field of each kind of step, and of its inverse."""
    for one in (step, step.undo()):
        assert from_plain(json.loads(json.dumps(to_plain(one)))) == one


def test_samples_fill_each_field():
    """Protects the test above: a field that samples leave at its default would be lost unseen."""
    for filled, bare in (
        (ADDRESS, FoundAddress("", "")),
        (ROUTE, FoundRoute("", ())),
        (ROUTE.nexthops[0], Nexthop("")),
        (RULE, FoundRule(0, 0)),
        (RESOLVER, FoundResolver(())),
    ):
        assert [
            field.name for field in fields(filled) if getattr(filled, field.name) == getattr(bare, field.name)
        ] == []


def test_all_kinds_of_steps_have_a_sample():
    """Protects a new kind of step from going without a test."""
    assert {name for name in CLASSES if name.endswith("Step")} == {type(step).__name__ for step in SAMPLES}


@pytest.mark.parametrize(
    "broken", [{"is": "NoSuchStep"}, {"is": "DropStep", "nic": "eth0"}, {"nic": "eth0"}, {"is": "bytes", "hex": "zz"}]
)
def test_what_is_not_known_is_refused_in_words(broken):
    """Protects against a traceback, or a half-read plan, after an update or an edit by hand."""
    with pytest.raises(HostError, match="can't be read"):
        from_plain(broken)


def test_bytes_are_kept():
    """Protects attributes that go along unread."""
    assert from_plain(to_plain(replace(ROUTE, extra=((8, bytes(range(256))),)))).extra == ((8, bytes(range(256))),)
