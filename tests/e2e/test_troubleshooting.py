# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who looks for a fault by docs/troubleshooting.md: each command of it works on the lab's hosts, and says what
the page shows."""

from __future__ import annotations

import pytest
from document_commands import all_commands, until_it_says
from lab_hosts import on, play, subnet_of, wait

PAGE = "troubleshooting.md"
NODE, GATEWAY = "ovn-node2", "ovn-node1"
HOSTS = {"master": "ovn-master", "node": NODE, "gateway": GATEWAY}
COMMANDS = [
    command for command in all_commands(PAGE) if command.needs == (("hosts",) if command.place == "controller" else ())
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.place}: {command.text}")
def test_a_command_says_what_the_page_shows(site, command):
    """Protects the page against a command that is misspelt, asks a unit or port that is another one now, or shows
    something else where all is well."""
    peer = subnet_of(GATEWAY).replace(".0/24", ".2")
    until_it_says(command.filled(NODE=NODE, GATEWAY=GATEWAY, PEER=peer), run, wait)


def run(command):
    """The exit code and the output of a command, where it is to be run."""
    if command.place == "controller":
        done = play(command.text.rpartition("ovn.kubernetes.")[2])
        return done.code, done.output
    done = on(HOSTS[command.place], command.text, check=False)
    return done.returncode, done.stdout
