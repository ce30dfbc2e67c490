# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects steps and records on disk: nothing that is to be undone is lost, whichever version wrote it."""

from __future__ import annotations

import json
import pathlib
from dataclasses import fields, replace

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.files import FileContent
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.desired import File
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.steps.files import FileStep, SysctlStep
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.steps.links import (
    DropStep,
    LinkStep,
    OffloadStep,
    OptionsStep,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.steps.moves import MoveStep
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.steps.routes import (
    AddressStep,
    NeighbourStep,
    RouteStep,
    RuleStep,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.constants import Rtn, RtProt, RtScope
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.records import (
    KernelAddress,
    KernelLink,
    KernelNeighbour,
    KernelRoute,
    KernelRule,
    LinkOptions,
    Nexthop,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.managers.base import Profile
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.managers.resolved import LinkResolver
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.serialize import NIC_FORMAT
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.steps import Handover, HandoverStep, ResolverStep

ADDRESS = KernelAddress(
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
ROUTE = KernelRoute(
    "198.51.100.0/24",
    (Nexthop("eth0", "10.44.0.1", 4, 2, ((11, b"\x00\xff"),)), Nexthop("eth1")),
    table=1000,
    metric=3,
    source="10.44.0.12",
    source_prefix="10.0.0.0/8",
    type=2,
    scope=253,
    protocol=9,
    tos=16,
    extra=((8, b"\x01\x02"),),
    expires=60,
    nexthop_id=5,
)
RULE = KernelRule(6, 600, "eth0", "eth1", (("table", 100), ("flags", 2)), ((10, b"\x01"),))
NEIGHBOUR = KernelNeighbour("eth0", "10.44.0.1", "02:00:00:00:00:09", 0x40, 0x10, 1, 18)
OPTIONS = LinkOptions(False, False, True, 7, "::7")
LINK = KernelLink("eth0", True, 1500, "02:00:00:00:00:01", True)
RESOLVER = LinkResolver(
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
    MoveStep("eth0", "breth0", (ADDRESS,), (ROUTE,), (ADDRESS.moved_to("breth0"),), (ROUTE,), LINK, (RULE,), (RULE,)),
    ResolverStep("eth0", "breth0", RESOLVER),
    HandoverStep(
        "NetworkManager", "eth0", "breth0", False, False, True, Profile("4d3c", True, "01:02", "::1", 100), waits=False
    ),
]


# Types and fields that commit c128c27 did not know.
LATER = {
    "NeighbourStep": NeighbourStep(NEIGHBOUR, True),
    "OptionsStep": OptionsStep("breth0", OPTIONS, LinkOptions()),
    "AddressOfProgram": AddressStep(replace(ADDRESS, protocol=18), True),
    "HandoverAlone": HandoverStep("ifupdown", "eth0", "breth0", alone=True),
    "MoveOfNeighbours": MoveStep("eth0", "breth0", taken_neighbours=(NEIGHBOUR,), given_neighbours=(NEIGHBOUR,)),
}
# What the code of commit c128c27 wrote for SAMPLES and RECORDS.
WRITTEN = json.loads(pathlib.Path(__file__).with_name("records_c128c27.json").read_text(encoding="utf-8"))
PROFILE = Profile("4d3c", True, "01:02", "::1", 100)
RECORDS = {
    **{type(step).__name__: step for step in SAMPLES},
    "File": File("/etc/x", "a\n", 0o640),
    "Handover": Handover("NetworkManager", "eth0", "breth0", ("/etc/x",), False, True, PROFILE),
}


@pytest.mark.parametrize("step", [*SAMPLES, *LATER.values()], ids=lambda step: type(step).__name__)
def test_steps_and_their_inverses_survive(step):
    """Protects each field of each kind of step, and of its inverse."""
    for one in (step, step.undo()):
        assert NIC_FORMAT.from_json(json.loads(json.dumps(NIC_FORMAT.to_json(one)))) == one


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_values_of_earlier_versions_are_read(name):
    """Protects journals and saved NICs that were written before classes and fields were renamed."""
    assert NIC_FORMAT.from_json(WRITTEN[name]) == RECORDS[name]


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_earlier_versions_can_read_values(name):
    """Protects a host whose update is rolled back while a NIC is moved: the names in the format stay."""
    assert NIC_FORMAT.to_json(RECORDS[name]) == WRITTEN[name]


def test_samples_fill_each_field():
    """Protects the tests above: the loss of a field that samples leave at its default would not be noticed."""
    for filled, bare in (
        (replace(ADDRESS, protocol=18), KernelAddress("", "")),
        (NEIGHBOUR, KernelNeighbour("", "")),
        (OPTIONS, LinkOptions()),
        (ROUTE, KernelRoute("", ())),
        (ROUTE.nexthops[0], Nexthop("")),
        (RULE, KernelRule(0, 0)),
        (RESOLVER, LinkResolver(())),
        (PROFILE, Profile("")),
    ):
        assert [
            field.name for field in fields(filled) if getattr(filled, field.name) == getattr(bare, field.name)
        ] == []


def test_each_type_of_the_format_is_tested():
    """Protects a new type from going without a test."""
    inside = {
        "FoundAddress",
        "FoundFile",
        "FoundLink",
        "FoundResolver",
        "FoundRoute",
        "FoundRule",
        "Nexthop",
        "Profile",
    }
    later = {"FoundNeighbour", "LinkOptions", "NeighbourStep", "OptionsStep"}
    assert set(NIC_FORMAT.types) == set(RECORDS) | inside | later
    assert all(f'"{name}"' in json.dumps(WRITTEN) for name in set(NIC_FORMAT.types) - later)
    written = json.dumps([NIC_FORMAT.to_json(step) for step in LATER.values()])
    assert all(f'"{name}"' in written for name in later)


def test_numbers_of_the_kernel_are_numbers():
    """Protects the format against names of enumerations."""
    route = KernelRoute("10.0.0.0/8", (), type=Rtn.UNICAST, scope=RtScope.LINK, protocol=RtProt.KERNEL)
    text = json.dumps(NIC_FORMAT.to_json(route))
    assert '"scope": 253' in text and '"protocol": 2' in text and '"type": 1' in text


@pytest.mark.parametrize(
    "broken", [{"is": "NoSuchStep"}, {"is": "DropStep", "nic": "eth0"}, {"nic": "eth0"}, {"is": "bytes", "hex": "zz"}]
)
def test_an_unknown_value_is_refused_with_a_sentence(broken):
    """Protects against a traceback, or a plan that is read in part, after an update or an edit by hand."""
    with pytest.raises(HostError, match="can't be read"):
        NIC_FORMAT.from_json(broken)


def test_bytes_are_kept():
    """Protects attributes that are kept unread."""
    route = replace(ROUTE, extra=((8, bytes(range(256))),))
    assert NIC_FORMAT.from_json(NIC_FORMAT.to_json(route)).extra == ((8, bytes(range(256))),)
