# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The commands of a page, with what they say where all is well.

They are in fenced blocks whose first line is ```` ```console PLACE ```` and more words: ``hosts``, when a command of
the controller needs hosts; ``kubernetes``, when it needs Kubernetes.
"""

from __future__ import annotations

import doctest
import pathlib
import re
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```console (\w+)((?: \w+)*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Command(NamedTuple):
    """A command.

    :ivar place: where it runs: ``controller``, ``master``, ``node`` or ``gateway``.
    :ivar needs: the other words of its block.
    :ivar output: what it says where all is well; ``...`` stands for anything.
    """

    place: str
    needs: tuple[str, ...]
    text: str
    output: str

    def filled(self, **names):
        """The command with names in place of the page's words."""
        text, output = self.text, self.output
        for word, name in names.items():
            text, output = text.replace(word, name), output.replace(word, name)
        return self._replace(text=text, output=output)

    def is_answered_by(self, said):
        """Whether this is what it should say."""
        return doctest.OutputChecker().check_output(self.output, said, FLAGS)


def until_it_says(command, run, wait):
    """Run a command until it works and says what the page shows.

    :param run: runs it; returns its exit code and its output.
    :param wait: as lab_hosts.wait.
    """
    said = {}

    def is_right():
        said["code"], said["output"] = run(command)
        return said["code"] == 0 and command.is_answered_by(said["output"])

    try:
        wait(is_right, 60)
    except AssertionError:
        raise AssertionError(
            f"{command.text} should say\n{command.output}\nand says, with code {said['code']}:\n{said['output']}"
        ) from None


def commands(page, *needs):
    """The commands of a page of docs/ that need exactly this."""
    return [command for command in all_commands(page) if command.needs == needs]


def all_commands(page):
    """All commands of a page of docs/, each once."""
    found = []
    for place, needs, block in BLOCK.findall((ROOT / "docs" / page).read_text(encoding="utf-8")):
        for text, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            found.append(Command(place, tuple(needs.split()), text, output))
    return list(dict.fromkeys(found))
