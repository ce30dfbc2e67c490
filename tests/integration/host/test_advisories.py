# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the judgement of advisories by this host's own dpkg, of a package that is installed here."""

from __future__ import annotations

import subprocess

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._verify import advisories
from ansible_collections.ovn.kubernetes.plugins.plugin_utils import _advisories

KNOWN = _advisories.known()
VERSIONS = sorted(
    {
        version
        for one in KNOWN["advisories"]
        for known in one["releases"].values()
        if known != "not affected"
        for version in known.values()
    }
)


def run(command):
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_dpkg_takes_each_version(version):
    """Protects from a typing error in the file, which dpkg would take for an older version."""
    assert run([advisories.DPKG, "--validate-version", version]) == (0, "", "")


def test_a_package_of_this_host():
    """Protects the way from dpkg's database to the judgement, with the rules of deb-version(7): ~ is before the end."""
    release = advisories.read_release()
    installed = run(["/usr/bin/dpkg-query", "-W", "-f", "${Version}", "dpkg"])[1]
    states = {
        "older": {"fixed": f"{installed}~1"},
        "same": {"fixed": installed},
        "newer": {"fixed": f"{installed}+deb12u1"},
        "newest": {"fixed": f"{installed}+deb12u10"},
        "seen": {"unfixed": f"{installed}+b1"},
        "not seen": {"unfixed": f"{installed}~1"},
    }
    known = {
        "packages": {"dpkg": ["dpkg"]},
        "releases": {release: {"dpkg": ".+"}},
        "advisories": [{"id": one, "package": "dpkg", "releases": {release: state}} for one, state in states.items()],
    }
    assert advisories.read_advisories(known, run) == {
        "release": release,
        "packages": [
            {
                "package": "dpkg",
                "version": installed,
                "upgrade": ["newer", "newest"],
                "to": f"{installed}+deb12u10",
                "unfixed": ["seen"],
                "unknown": ["not seen"],
            }
        ],
    }


def test_this_host_is_judged_by_the_file():
    """Protects verify of any host, also without Open vSwitch and with a kernel that no package has."""
    said = advisories.read_advisories(_advisories.for_hosts(), run)
    kernels = [one for one in said["packages"] if one["package"] == "linux"]
    assert len(kernels) == 1 and kernels[0]["version"]
    ids = {one["id"] for one in KNOWN["advisories"] if one["package"] == "linux"}
    assert set(kernels[0]["upgrade"] + kernels[0]["unfixed"] + kernels[0]["unknown"]) <= ids
