# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who builds an execution environment: ansible-builder finds what the collection needs on the controller, and
builds an image from the definition that docs/awx.md shows. test_jobs.py and tests/e2e/test_awx.py run jobs in it."""

from __future__ import annotations

import json
import subprocess
import sys

import execution_environment
import pytest
import yaml
from execution_environment import ROOT

COLLECTIONS = ["community.crypto", "openvswitch.openvswitch", "ovn.kubernetes"]


def test_what_the_collection_needs_is_found(tmp_path):
    """Protects the filters on the controller: an image with the collection has netaddr and cryptography."""
    place = tmp_path / "ansible_collections" / "ovn"
    place.mkdir(parents=True)
    (place / "kubernetes").symlink_to(ROOT)
    command = [sys.executable, "-m", "ansible_builder", "introspect", tmp_path]
    found = yaml.safe_load(subprocess.run(command, check=True, capture_output=True, text=True, timeout=150).stdout)
    cryptography, netaddr = sorted(found["python"])
    assert netaddr.startswith("netaddr>=") and "ovn.kubernetes" in netaddr
    assert cryptography.startswith("cryptography>=") and "ovn.kubernetes" in cryptography


@pytest.mark.timeout(1800)
def test_the_image_of_the_documentation():
    """Protects who copies the definition: the image has all collections and netaddr where Ansible looks for them, and
    an ssh client; nothing of this machine's settings of pip."""
    name = execution_environment.image()
    asked = (
        "ansible-galaxy collection list --format json; python3 -m pip config list; ssh -V; python3 -c 'import netaddr'"
    )
    command = ["run", "--rm", "--cgroups=disabled", "--network=none", name, "sh", "-ec", asked]
    listed, end = json.JSONDecoder().raw_decode(said := execution_environment.podman(*command))
    assert sorted(listed["/usr/share/ansible/collections/ansible_collections"]) == COLLECTIONS
    assert said[end:].split() == [":env:.break-system-packages='1'"]
