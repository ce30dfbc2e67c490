# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who builds an execution environment: ansible-builder finds what the collection needs on the controller, and
takes the definition that docs/awx.md shows. Images come from registries, so none is built here."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILDER = (sys.executable, "-m", "ansible_builder")


def build(*arguments):
    done = subprocess.run([*BUILDER, *arguments], check=False, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_the_collection_needs_is_found(tmp_path):
    """Protects the filters on the controller: an image with the collection has netaddr."""
    place = tmp_path / "ansible_collections" / "ovn"
    place.mkdir(parents=True)
    (place / "kubernetes").symlink_to(ROOT)
    found = yaml.safe_load(build("introspect", tmp_path))
    (netaddr,) = found["python"]
    assert netaddr.startswith("netaddr>=") and "ovn.kubernetes" in netaddr


def test_the_definition_of_the_documentation(tmp_path):
    """Protects who copies it: ansible-builder makes a complete folder for the build from it, with the collection and
    what its own file names."""
    page = (ROOT / "docs" / "awx.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n(# execution-environment\.yml.*?)```", page, re.DOTALL)
    definition = tmp_path / "execution-environment.yml"
    definition.write_text(text, encoding="utf-8")
    build("create", "--file", definition, "--context", tmp_path / "context")
    made = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "context").rglob("*") if path.is_file()}
    base = yaml.safe_load(text)["images"]["base_image"]["name"]
    assert base in made["Containerfile"]
    assert "ovn.kubernetes" in made["requirements.yml"]
    assert "openssh-clients" in made["bindep.txt"]
