# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects docs/troubleshooting.md against commands that no test runs, and against a check that takes any answer."""

from __future__ import annotations

import pathlib
import re

import pytest
from document_commands import Command, all_commands

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
# Place -> what its commands may need beside the host: tests/integration/plays, tests/e2e and tests/kubernetes run them.
RUN = {
    "controller": [(), ("hosts",)],
    "master": [(), ("kubernetes",)],
    "node": [(), ("kubernetes",)],
    "gateway": [()],
}


def test_each_command_is_run_by_a_test():
    """Protects the page: each line of a block is a command or what it says, and each block is of a known kind."""
    found = all_commands("troubleshooting.md")
    assert len(found) > 30
    assert [command for command in found if command.needs not in RUN.get(command.place, ())] == []
    blocks = re.findall(r"^```(\w.*)\n\$ ", PAGE, re.MULTILINE)
    assert len(blocks) == len(re.findall(r"^```\w", PAGE, re.MULTILINE))
    assert set(re.findall(r"^\$ (.*)$", PAGE, re.MULTILINE)) == {command.text for command in found}


def test_each_symptom_has_a_command():
    """Protects who looks up a symptom: no section is talk alone."""
    _top, *sections = re.split(r"(?m)^## ", PAGE)
    assert [section.splitlines()[0] for section in sections if "\n$ " not in section] == []


@pytest.mark.parametrize(
    ("shown", "said", "right"),
    [
        ("active\nactive\n", "active\nactive\n", True),
        ("active\nactive\n", "active\ninactive\n", False),
        ('"tcp:...:6642"\n', '"tcp:10.0.0.1:6642"\n', True),
        ('"tcp:...:6642"\n', '"tcp:10.0.0.1:6641"\n', False),
        ("...NODE...\n", "kube-master\n\nnode1\n", True),
        ("...NODE...\n", "kube-master\n", False),
        ("ok\n", "", False),
        ("...\n", "", True),
    ],
)
def test_what_is_said_is_compared(shown, said, right):
    """Protects against a check that lets everything pass."""
    assert Command("node", (), "true", shown).filled(NODE="node1").is_answered_by(said) == right
