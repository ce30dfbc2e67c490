# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects whoever runs a playbook that would do nothing: an inventory without hosts, and tags that select nothing, are
said and are errors, on the oldest and the newest ansible-core."""

from __future__ import annotations

import ansible_calls
import ansible_cores
import pytest

SAMPLE = ansible_cores.ROOT / "inventory" / "sample"
BOTH = pytest.mark.parametrize(("core", "playbook"), [("oldest", "site"), ("newest", "remove")])


def run(playbook, *arguments, core=ansible_cores.OWN):
    """Return the exit code and what was said."""
    arguments = ["ansible-playbook", str(playbook), *map(str, arguments)]
    if core == ansible_cores.OWN:
        return ansible_calls.run(*arguments, limit=120)
    return ansible_cores.run(core, *arguments, limit=120)


@BOTH
def test_an_inventory_without_hosts(tmp_path, core, playbook):
    """Protects against a run that does nothing and ends with 0."""
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("all: {hosts: {}}\n", encoding="utf-8")
    code, said = run(f"ovn.kubernetes.{playbook}", "-i", inventory, core=core)
    assert (code, "ovn_masters has no host: put the host" in said) == (2, True), said


@BOTH
def test_a_tag_that_nothing_has(core, playbook):
    """Protects against a misspelt tag, with which Ansible runs nothing and ends with 0."""
    code, said = run(f"ovn.kubernetes.{playbook}", "-i", SAMPLE, "--tags", "gatway", core=core)
    assert code == 2 and "--tags gatway selects nothing: the tags are master, node, gateway, overlay" in said, said


@pytest.mark.parametrize("tags", ["kubernetes,gatway", "always"])
def test_tags_that_select_something(tags):
    """Protects the tags that README names, and the validation alone."""
    code, said = run("ovn.kubernetes.validate", "-i", SAMPLE, "--tags", tags)
    assert code == 0, said


def test_what_was_looked_at():
    """Protects who validates an inventory: that nothing is wrong is said, and of what."""
    code, said = run("ovn.kubernetes.validate", "-i", SAMPLE)
    assert code == 0 and "Nothing is wrong with the variables of " in said, said


def test_tags_that_are_left_out():
    """Protects --skip-tags: what is left is a run like any other."""
    code, said = run("ovn.kubernetes.validate", "-i", SAMPLE, "--skip-tags", "gateway")
    assert code == 0, said


def test_a_tag_of_the_users_own_playbook(tmp_path):
    """Protects playbooks that import ours under a tag of their own."""
    playbook = tmp_path / "site.yml"
    playbook.write_text("- import_playbook: ovn.kubernetes.validate\n  tags: [network]\n", encoding="utf-8")
    code, said = run(playbook, "-i", SAMPLE, "--tags", "network")
    assert code == 0, said
