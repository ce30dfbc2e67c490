# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the judgement of a host's packages: by its distribution's versions, and "unknown" wherever no fact is."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._host import packages
from ansible_collections.ovn.kubernetes.plugins.module_utils._verify import advisories

KNOWN = {
    "packages": {"ovn": ["ovn-common"], "linux": ["linux-image-{kernel}"]},
    "releases": {"debian bookworm": {"ovn": r"23\.03\..+", "linux": r"6\.1\..+"}},
    "advisories": [
        {"id": "fixed", "package": "ovn", "releases": {"debian bookworm": {"fixed": "23.03.5"}}},
        {"id": "fixed earlier", "package": "ovn", "releases": {"debian bookworm": {"fixed": "23.03.3"}}},
        {"id": "unfixed", "package": "ovn", "releases": {"debian bookworm": {"unfixed": "23.03.7"}}},
        {"id": "never", "package": "ovn", "releases": {"debian bookworm": "not affected"}},
        {"id": "elsewhere", "package": "ovn", "releases": {"debian trixie": {"fixed": "25.03.1"}}},
        {"id": "kernel", "package": "linux", "releases": {"debian bookworm": {"fixed": "6.1.9"}}},
    ],
}
OVN = [one["id"] for one in KNOWN["advisories"] if one["package"] == "ovn"]


@pytest.fixture
def judge(tmp_path, monkeypatch):
    """judge(version, ...): what a Debian host with this version of ovn-common says, by package."""
    (tmp_path / "here").touch()
    monkeypatch.setattr(packages, "DPKG_QUERY", str(tmp_path / "here"))
    monkeypatch.setattr(packages, "RPM", str(tmp_path / "none"))
    monkeypatch.setattr(advisories, "DPKG", str(tmp_path / "here"))

    def run(version, release="bookworm", kernel_package=""):
        (tmp_path / "os-release").write_text(f'NAME="Debian"\nID=debian\nVERSION_CODENAME={release}\n')
        lines = [f"ovn-common {version} installed"] if version else ["ovn-common 9 config-files"]
        lines += [f"linux-image-6.1.0-1 {kernel_package} installed"] if kernel_package else []

        def command(words):
            if "--compare-versions" in words:
                one, _operator, other = words[-3:]
                return int(not one < other), "", ""  # plain text is enough for these
            assert words[-2:] == ["ovn-common", "linux-image-6.1.0-1"]
            return 1, "\n".join(lines), "dpkg-query: no packages found matching x"

        said = advisories.read_advisories(KNOWN, command, (str(tmp_path / "os-release"),), "6.1.0-1")
        assert said["release"] == f"debian {release}"
        return {one.pop("package"): one for one in said["packages"]}

    return run


def test_what_an_upgrade_mends(judge):
    """Protects: named until the package has the fix, and the version to take is the newest that one of them needs."""
    ovn = judge("23.03.1")["ovn"]
    assert (ovn["upgrade"], ovn["to"]) == (["fixed", "fixed earlier"], "23.03.5")
    assert judge("23.03.4")["ovn"]["upgrade"] == ["fixed"]
    mended = judge("23.03.5")["ovn"]
    assert (mended["upgrade"], mended["to"], mended["unfixed"], mended["unknown"]) == (
        [],
        "",
        ["unfixed"],
        ["elsewhere"],
    )


def test_a_package_that_is_newer_than_what_is_known_is_unknown(judge):
    """Protects from "unfixed" for ever: who wrote the file has not seen this package."""
    assert judge("23.03.7")["ovn"]["unfixed"] == ["unfixed"]
    ovn = judge("23.03.8")["ovn"]
    assert (ovn["unfixed"], ovn["unknown"]) == ([], ["unfixed", "elsewhere"])


@pytest.mark.parametrize(("version", "release"), [("24.09.1", "bookworm"), ("23.03.1", "sid")])
def test_what_is_not_the_release_s_own_is_unknown(judge, version, release):
    """Protects from a judgement by the numbers of somebody else: backports, other archives, other releases."""
    ovn = judge(version, release)["ovn"]
    assert (ovn["version"], ovn["upgrade"], ovn["unfixed"], ovn["unknown"]) == (version, [], [], OVN)


def test_a_package_that_is_not_installed_has_nothing(judge):
    assert set(judge("")) == {"linux"}


def test_the_kernel_that_runs_is_judged(judge):
    """Protects hosts that were upgraded and not booted: an older kernel's package may be installed beside a newer."""
    assert judge("23.03.5", kernel_package="6.1.8")["linux"]["upgrade"] == ["kernel"]
    nobodys = judge("23.03.5")["linux"]
    assert (nobodys["version"], nobodys["unknown"]) == ("6.1.0-1", ["kernel"])


def test_without_dpkg_all_is_unknown(judge, monkeypatch):
    """Protects hosts with rpm, for which there is no data: no wrong word."""
    monkeypatch.setattr(advisories, "DPKG", "/nonexistent")
    assert judge("23.03.1")["ovn"]["unknown"] == OVN


def test_rpm_tells_versions(tmp_path, monkeypatch):
    (tmp_path / "rpm").touch()
    monkeypatch.setattr(packages, "DPKG_QUERY", str(tmp_path / "none"))
    monkeypatch.setattr(packages, "RPM", str(tmp_path / "rpm"))
    said = "openvswitch 3.3.0-1.el9s\npackage ovn is not installed\n"
    assert packages.versions(["openvswitch", "ovn"], lambda words: (1, said, "")) == {"openvswitch": "3.3.0-1.el9s"}


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ('ID=ubuntu\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\n', "ubuntu noble"),
        ('ID="rocky"\nVERSION_ID="9.4"\n# x\n', "rocky 9"),
        ("", ""),
    ],
)
def test_releases(tmp_path, text, release):
    """Protects the key of the data: os-release(5)."""
    (tmp_path / "os-release").write_text(text)
    assert advisories.read_release((str(tmp_path / "none"), str(tmp_path / "os-release"))) == release
