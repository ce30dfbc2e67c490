# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who wants to know what runs on a host: each program tells the version of the collection that it is of."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest
import yaml

from ansible_collections.ovn.kubernetes.plugins.lookup import runtime
from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.version import VERSION
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import start
from ansible_collections.ovn.kubernetes.plugins.module_utils._verify import versions

ROOT = pathlib.Path(__file__).resolve().parents[3]
PLUGIN = ROOT / "roles" / "node" / "files" / names.CNI_PLUGIN
# Program of the archive -> what it calls itself; the others are the commands and units ovn-k8s-NAME.
NAMES = {"install": "ovn_kubernetes.pyz install"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The archive as the site play brings it to hosts."""
    path = tmp_path_factory.mktemp("archive") / "ovn_kubernetes.pyz"
    path.write_bytes(runtime.archive())
    return path


def said(*command):
    """What a command prints; it must work."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=100).stdout


def test_it_is_that_of_the_collection():
    """Protects against a release whose programs have the version before it."""
    assert yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"] == VERSION


@pytest.mark.parametrize("program", start.PROGRAMS)
def test_each_program_tells_it(monkeypatch, capsys, program):
    """Protects --version of each program, with the name that units and commands have."""
    default = f"ovn-k8s-{program.replace('_', '-')}"
    monkeypatch.setattr(sys, "argv", ["ovn_kubernetes.pyz", program, "--version"])
    with pytest.raises(SystemExit) as end:
        start.main()
    assert not end.value.code
    assert capsys.readouterr().out == f"{NAMES.get(program, default)} {VERSION}\n"


def test_the_archive_tells_it(archive):
    """Protects hosts that Ansible does not reach: the file alone says what it is, whatever libraries are missing."""
    assert said(sys.executable, "-I", "-S", archive, "--version") == f"ovn_kubernetes.pyz {VERSION}\n"


def test_the_plugin_tells_it():
    """Protects the CNI plugin, the one program that is not in the archive."""
    assert said("perl", PLUGIN, "--version") == f"{names.CNI_PLUGIN} {VERSION}\n"


def test_it_is_read_from_the_archive_of_a_host(archive, tmp_path):
    """Protects verify's table: a host's archive tells its version without being run; one of before, or none, is no
    error."""
    assert versions.of_archive(str(archive)) == VERSION
    assert versions.of_archive(str(tmp_path / "none")) == ""
    (tmp_path / "text").write_text("#!/usr/bin/python3 -I\n", encoding="utf-8")
    assert versions.of_archive(str(tmp_path / "text")) == ""
