# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who looks for a fault by docs/troubleshooting.md: its commands that need no host work."""

from __future__ import annotations

import pathlib
import shlex

import ansible_calls
import pytest
from document_commands import commands

ROOT = pathlib.Path(__file__).resolve().parents[3]
COMMANDS = [command for command in commands("troubleshooting.md") if command.place == "controller"]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.text)
def test_a_command_says_what_the_page_shows(command):
    """Protects the page against a command that is misspelt, or shows something else where all is well."""
    command = command.filled(INVENTORY=str(ROOT / "inventory" / "sample"))
    program, *arguments = shlex.split(command.text)
    code, said = ansible_calls.run(program, *arguments, limit=120)
    assert code == 0, said
    assert command.is_answered_by(said), said
