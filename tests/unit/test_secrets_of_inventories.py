# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the keys of the CAs, which the play makes beside an inventory: Ansible does not read them, and they get into
no archive and no commit, also where the inventory is in a checkout of this repository."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import tarfile

import pytest

from ansible_collections.ovn.kubernetes.plugins.plugin_utils._authorities import (
    FOLDER_NAME,
    ROLES,
    new_key,
    old_key,
)

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEYS = [f"{role}-ca.key" for role in ROLES]
ALL = [*KEYS, *map(old_key, KEYS), *map(new_key, KEYS)]
PLACES = [FOLDER_NAME, f"inventory/{FOLDER_NAME}", f"inventory/prod/berlin/{FOLDER_NAME}", "inventory/authorities", "."]


def run(*command, **environment):
    """Run a program; return what it says."""
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def checkout(tmp_path):
    """A folder with the rules of this repository, a page, and keys at several depths."""
    for name in ("galaxy.yml", ".gitignore", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    for place in PLACES:
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        for name in ALL:
            (tmp_path / place / name).write_text("a key")
    (tmp_path / "inventory" / "hosts.yml").write_text("all: {hosts: {ovn-master: }}\n")
    return tmp_path


def test_no_key_gets_into_the_archive(checkout):
    """Protects whoever builds the collection from a checkout with an inventory of his own."""
    run("ansible-galaxy", "collection", "build", "--output-path", str(checkout / "built"), str(checkout))
    (built,) = (checkout / "built").iterdir()
    with tarfile.open(built) as archive:
        found = archive.getnames()
    assert "inventory/hosts.yml" in found
    assert [name for name in found if ".key" in name or FOLDER_NAME in name] == []


def test_no_key_gets_into_a_commit(checkout):
    """Protects whoever keeps an inventory in a checkout: git sees no key."""
    run("git", "-C", str(checkout), "init", "-q")
    found = run("git", "-C", str(checkout), "status", "--porcelain", "--untracked-files=all")
    assert "inventory/hosts.yml" in found and ".key" not in found


def test_the_folder_is_no_inventory(checkout):
    """Protects inventories that are folders, where the CAs' folder lies among the files of hosts."""
    strict = {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1", "ANSIBLE_CONFIG": str(ROOT / "tests/tools/ansible.cfg")}
    shutil.rmtree(checkout / "inventory" / "authorities")
    shutil.rmtree(checkout / "inventory" / "prod")
    said = run("ansible-inventory", "-i", str(checkout / "inventory"), "--list", **strict)
    assert json.loads(said)["_meta"]["hostvars"] == {} and "ovn-master" in said
