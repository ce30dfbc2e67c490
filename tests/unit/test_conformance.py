# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the verdict on upstream's end-to-end tests: a known failure hides no other."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import pathlib
from xml.etree import ElementTree

import pytest

PATH = pathlib.Path(__file__).resolve().parents[2] / "molecule" / "kubernetes" / "conformance"
LOADER = importlib.machinery.SourceFileLoader("conformance", str(PATH))
conformance = importlib.util.module_from_spec(importlib.util.spec_from_loader("conformance", LOADER))
LOADER.exec_module(conformance)

HOST = (
    "[It] [sig-network] Networking Granular Checks: Services should function for service endpoints using hostNetwork "
    "[sig-network]"
)
LARGE = (
    "did not find expected responses curl "
    f"http://1.2.3.4/dial?request=echo%20n{'o' * 1023}&amp;protocol=udp&amp;host=1.2.3.4"
)
GOOD = '<testcase name="[It] [sig-network] Services should serve [sig-network]" time="1"/>'
KNOWN = f'<testcase name="{HOST}" time="1"><failure message="{LARGE}"/></testcase>'


def verdict(*cases, code=1, reason=""):
    """Whether such a report is good."""
    text = "".join(cases)
    report = (
        '<testsuites><testsuite><properties><property name="SpecialSuiteFailureReason" '
        f'value="{reason}"/></properties>{text}</testsuite></testsuites>'
    )
    return conformance.judge(ElementTree.fromstring(report), conformance.FOCUS, code)


def test_what_is_good(capsys):
    """Protects the rule's other side: known failures, excluded tests and skipped ones are listed, and are no fault."""
    left = (
        '<testcase name="[It] [sig-network] Services over sctp [sig-network]"><skipped message="skipped"/></testcase>'
    )
    itself = (
        '<testcase name="[It] [sig-network] Services of a cloud [sig-network]"><skipped message="skipped - no '
        'cloud"/></testcase>'
    )
    other = '<testcase name="[It] [sig-node] Pods"><skipped message="skipped"/></testcase>'
    assert verdict(GOOD, KNOWN, left, itself, other) and verdict(GOOD, code=0)
    assert "1 ok, 0 failed, 1 known, 0 not run, 1 skipped, 1 left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("cases", "more"),
    [
        (
            (GOOD, f'<testcase name="{HOST}"><failure message="timed out waiting for the netserver pods"/></testcase>'),
            {},
        ),
        (
            (
                GOOD,
                KNOWN,
                '<testcase name="[SynchronizedBeforeSuite]"><failure message="nodes are not ready"/></testcase>',
            ),
            {},
        ),
        (
            (
                GOOD,
                KNOWN,
                (
                    '<testcase name="[It] [sig-network] DNS should resolve [sig-network]"><skipped '
                    'message="skipped"/></testcase>'
                ),
            ),
            {},
        ),
        (
            (
                GOOD,
                KNOWN,
                (
                    '<testcase name="[It] [sig-network] DNS should resolve [sig-network]"><error '
                    'message="interrupted"/></testcase>'
                ),
            ),
            {},
        ),
        ((GOOD, KNOWN), {"reason": "Suite Timeout Elapsed"}),
        ((GOOD,), {}),
        ((), {"code": 0}),
        ((KNOWN,), {}),
    ],
)
def test_what_is_not(cases, more):
    """Protects against a run that passes and should not.

    A known test fails another way, the suite itself fails, a test was not reached, the run was cut off, there was
    none.
    """
    assert not verdict(*cases, **more)
