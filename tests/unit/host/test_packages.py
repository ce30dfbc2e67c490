# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the installation of what is missing: it is seen whatever package manager a host has, and in any language."""

from __future__ import annotations

import subprocess

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._host import packages

DPKG = """#!/bin/sh
echo 'one installed'; echo 'removed config-files'
echo 'dpkg-query: no packages found matching two' >&2; exit 1
"""
# As rpm does in German, if nobody asks for another language.
RPM = """#!/bin/sh
echo one-1.0-1.el9.x86_64; echo provider-of-three-1.0-1.el9.x86_64
case ${LC_ALL:-$LANG} in C) echo 'no package provides two';; *) echo 'Kein Paket stellt two bereit';; esac; exit 1
"""


def run(command):
    done = subprocess.run(
        command, env={"LANG": "de_DE.UTF-8", "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("name", "program", "wanted", "expected"),
    [
        ("DPKG_QUERY", DPKG, ["one", "removed", "two"], {"one"}),
        ("RPM", RPM, ["one", "two", "three"], {"one", "three"}),
    ],
)
def test_what_is_installed(monkeypatch, tmp_path, name, program, wanted, expected):
    (tmp_path / "program").write_text(program, encoding="utf-8")
    (tmp_path / "program").chmod(0o755)
    for other in ("DPKG_QUERY", "RPM"):
        monkeypatch.setattr(packages, other, str(tmp_path / ("program" if other == name else "none")))
    assert packages.installed(wanted, run) == expected


def test_a_host_without_a_package_manager(monkeypatch, tmp_path):
    """Protects hosts whose packages come otherwise: nothing counts as missing there."""
    for name in ("DPKG_QUERY", "RPM"):
        monkeypatch.setattr(packages, name, str(tmp_path / "none"))
    assert packages.installed(["one"], run) is None
