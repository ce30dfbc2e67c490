# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects hosts as they come: with package lists that are young and empty."""

from __future__ import annotations

import hashlib
import os
import pathlib
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]


def playbook(folder, prologue, name, python, *arguments, **environment):
    """Run a playbook of a folder in mounts of its own, and return what it says."""
    command = ["unshare", "--mount", "sh", "-c", prologue, "sh", sys.executable, "-m", "ansible", "playbook"]
    command += ["-i", "localhost,", "-c", "local", name, "-e", f"ansible_python_interpreter={python}", *arguments]
    environment = {**os.environ, "ANSIBLE_HOME": str(folder / "home"), "LC_ALL": "C.UTF-8", **environment}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


LISTS = ROOT / "roles" / "common" / "tasks" / "packages_Debian.yml"
PACKAGE = "ovn-kubernetes-test"
CONTROL = (
    f"Package: {PACKAGE}\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\nDescription: empty\n"
)
APT = """
Dir::Etc::sourcelist "HERE/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Bin::dpkg "HERE/dpkg";
APT::Sandbox::User "root";
"""
# Package lists that are empty, and as old as this process.
YOUNG = (
    "mount -t tmpfs none /var/lib/apt && mkdir -p /var/lib/apt/lists/partial && mount -t tmpfs none /var/cache/apt && "
    '"$@"'
)


@pytest.fixture
def install(tmp_path):
    """Return a function that runs the tasks which install packages, and returns what is said and what dpkg was told."""
    root = tmp_path / "package"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text(CONTROL, encoding="utf-8")
    deb = tmp_path / "package.deb"
    subprocess.run(["dpkg-deb", "--build", str(root), str(deb)], check=True, timeout=60, capture_output=True)
    content = deb.read_bytes()
    more = f"Filename: package.deb\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
    (tmp_path / "Packages").write_text(CONTROL + more, encoding="utf-8")
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] file:{tmp_path} ./\n", encoding="utf-8")
    (tmp_path / "apt.conf").write_text(APT.replace("HERE", str(tmp_path)), encoding="utf-8")
    (tmp_path / "dpkg").write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/told\n', encoding="utf-8")
    (tmp_path / "dpkg").chmod(0o755)
    tasks = yaml.safe_load(LISTS.read_text(encoding="utf-8"))
    play = [{"name": "Install", "hosts": "localhost", "gather_facts": False, "tasks": tasks}]
    play[0]["vars"] = {"common_packages": {"Debian": [PACKAGE]}, "ansible_facts": {"os_family": "Debian"}}
    (tmp_path / "install.yml").write_text(yaml.safe_dump(play), encoding="utf-8")

    def install(*arguments):
        (tmp_path / "told").write_text("", encoding="utf-8")
        config = str(tmp_path / "apt.conf")
        said = playbook(tmp_path, YOUNG, "install.yml", "/usr/bin/python3", *arguments, APT_CONFIG=config)
        return said, (tmp_path / "told").read_text(encoding="utf-8")

    return install


def test_package_lists_that_are_young_and_empty(install):
    """Protects fresh hosts made from images: the lists are refreshed when they lack a package, whatever their age.
    Check mode says what it can't see, and goes on."""
    said, told = install("--check")
    assert "Check mode does not refresh the package lists" in said and PACKAGE in said
    assert "package.deb" not in told
    said, told = install()
    assert "Check mode" not in said and "package.deb" in told
