# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who looks for a fault of Kubernetes' part by docs/troubleshooting.md: each command of it works on a host of
a real Kubernetes, and says what the page shows."""

from __future__ import annotations

import pytest
from document_commands import commands, until_it_says
from lab_hosts import on, wait

HOSTS = {"master": "ovn-master", "node": "ovn-node2"}


@pytest.mark.parametrize(
    "command",
    commands("troubleshooting.md", "kubernetes"),
    ids=lambda command: f"{command.place}: {command.text}",
)
def test_a_command_says_what_the_page_shows(command):
    """Protects the page against a command that is misspelt, or shows something else where all is well."""
    until_it_says(command, run, wait)


def run(command):
    """The exit code and the output of a command on its host."""
    done = on(HOSTS[command.place], command.text, check=False)
    return done.returncode, done.stdout
