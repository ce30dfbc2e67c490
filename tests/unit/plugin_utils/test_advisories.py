# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what the collection knows of public advisories, and what verify says of them."""

from __future__ import annotations

import re

import pytest
import yaml

from ansible_collections.ovn.kubernetes.plugins.action import ovn_verify
from ansible_collections.ovn.kubernetes.plugins.plugin_utils import _advisories

KNOWN = yaml.safe_load(_advisories.FILE.read_text(encoding="utf-8"))
ADVISORIES = {one["id"]: one for one in KNOWN["advisories"]}
VERSION = re.compile(r"(\d+:)?\d[A-Za-z0-9.+~]*-[A-Za-z0-9.+~]+")  # deb-version(7)


def judged(**package):
    """The fact of a host with one package."""
    of_package = {"package": "ovn", "version": "1", "upgrade": [], "to": "", "unfixed": [], "unknown": [], **package}
    return {"advisories": {"release": "debian bookworm", "packages": [of_package]}}


def test_each_is_there_once():
    assert len(ADVISORIES) == len(KNOWN["advisories"])


@pytest.mark.parametrize("one", ADVISORIES.values(), ids=ADVISORIES)
def test_each_has_all_that_is_said_of_it(one):
    """Protects who adds one: a field that is missing, a release that nobody has, or no source."""
    assert set(one) == {"id", "package", "what", "bearing", "releases", "sources"}
    assert re.fullmatch(r"CVE-\d{4}-\d{4,}", one["id"]) and one["package"] in KNOWN["packages"]
    assert all(
        isinstance(one[key], str) and "\n" not in one[key] and len(one[key]) < 140 for key in ("what", "bearing")
    )
    assert one["sources"] and all(isinstance(source, str) for source in one["sources"])
    assert set(one["releases"]) <= set(KNOWN["releases"]) and one["releases"]


@pytest.mark.parametrize("one", ADVISORIES.values(), ids=ADVISORIES)
def test_versions_are_those_of_the_release(one):
    """Protects from a version of another release, with which each host would be in order, or none."""
    for release, known in one["releases"].items():
        if known == "not affected":
            continue
        ((state, version),) = known.items()
        assert state in {"fixed", "unfixed"} and VERSION.fullmatch(version)
        # The version with which a fix came may be from before the release.
        assert state == "fixed" or re.fullmatch(KNOWN["releases"][release][one["package"]], version)
        assert version.split(".")[:2] == KNOWN["releases"][release][one["package"]].replace("\\", "").split(".")[:2]


def test_a_release_says_which_versions_are_its_own():
    for series in KNOWN["releases"].values():
        assert set(series) == set(KNOWN["packages"])
        assert all(re.compile(pattern) for pattern in series.values())


@pytest.mark.parametrize(
    ("release", "version", "own"),
    [
        ("ubuntu noble", "6.8.0-31.31", True),
        ("ubuntu noble", "6.8.0-1008.8", False),  # linux-aws counts otherwise
        ("ubuntu noble", "6.11.0-8.8~24.04.1", False),  # a newer series for the same release
        ("debian bookworm", "6.1.147-1", True),
        ("debian bookworm", "6.12.33-1~bpo12+1", False),
        ("debian trixie", "6.12.33-1~bpo12+1", False),
        ("debian trixie", "6.12.118-1", True),
        ("debian trixie", "1:6.12.25-1+rpt1", False),  # Raspberry Pi
    ],
)
def test_kernels_of_others_are_not_judged(release, version, own):
    """Protects from "mended" for a kernel whose numbers mean something else."""
    assert bool(re.fullmatch(KNOWN["releases"][release]["linux"], version)) is own


def test_hosts_get_no_text():
    """Protects the size of the call to each host."""
    told = _advisories.for_hosts()
    assert {key for one in told["advisories"] for key in one} == {"id", "package", "releases"}
    assert len(yaml.safe_dump(told)) < 10_000


def test_verify_gives_it_to_hosts():
    module, arguments = ovn_verify.call("host", {})
    assert module == "ovn.kubernetes.ovn_verify" and arguments["advisories"] == _advisories.for_hosts()


def test_what_an_upgrade_mends_is_a_warning():
    """Protects users whose CI runs verify: a warning leaves the exit code 0, and says the version to take."""
    facts = {"node1": judged(version="23.03.1-1~deb12u1", upgrade=["CVE-2024-2182"], to="23.03.1-1~deb12u2")}
    ((host, finding),) = _advisories.findings(facts)
    assert (host, finding.severity) == ("node1", "warning")
    assert finding.wrong == "ovn 23.03.1-1~deb12u1 has public advisories: CVE-2024-2182"
    assert finding.causes == ADVISORIES["CVE-2024-2182"]["bearing"]
    assert finding.mend == "upgrade ovn to debian bookworm's 23.03.1-1~deb12u2 or newer"


def test_many_are_one_row():
    """Protects the table: a kernel of last year has ten of them."""
    ids = [one for one, values in ADVISORIES.items() if values["package"] == "linux"]
    facts = {"node1": judged(package="linux", version="6.1.140-1", upgrade=ids, to="6.1.192-1")}
    ((_host, finding),) = _advisories.findings(facts)
    assert all(one in finding.wrong for one in ids) and finding.causes.endswith(f"; and {len(ids) - 2} more")
    assert finding.mend.endswith("6.1.192-1 or newer, and boot it")


def test_what_nobody_can_mend_is_no_row():
    """Protects the table, which is for what somebody can mend: it is said once for all hosts, beside the versions."""
    package = {"version": "23.03.1-1~deb12u2", "unfixed": ["CVE-2025-0650"], "unknown": ["CVE-2019-25076"]}
    facts = {"node1": judged(**package), "node2": judged(**package), "node3": {}}
    assert list(_advisories.findings(facts)) == []
    assert _advisories.lines(facts) == [
        "Without a mended package, as far as this collection knows: "
        "ovn 23.03.1-1~deb12u2 (debian bookworm): CVE-2025-0650 on node1, node2",
        "Not known whether they are mended: ovn 23.03.1-1~deb12u2 (debian bookworm): CVE-2019-25076 on node1, node2",
    ]
