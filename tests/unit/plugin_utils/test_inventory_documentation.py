# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects readers against documentation and samples that say something else than the program."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest
import yaml

from ansible_collections.ovn.kubernetes.plugins.filter.problems import problems
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._templates import TEMPLATE
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._values import READERS, read
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._variables import PLAY, VARIABLES, closest

ROOT = pathlib.Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "inventory" / "sample"


def test_what_is_generated_is_as_the_description_says():
    """Protects docs/inventory.md and the roles' argument specs: on a failure run tests/tools/generate-docs."""
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "tools" / "generate-docs", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_page_lists_exactly_the_known_variables():
    """Protects the page against a table that somebody made elsewhere in it."""
    page = (ROOT / "docs" / "inventory.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(ovn_[a-z_]+)` \| (?:all|a) ", page, re.MULTILINE)) == set(VARIABLES)


@pytest.mark.parametrize("variable", VARIABLES.values(), ids=lambda variable: variable.name)
def test_the_description_is_consistent(variable):
    """Protects messages: the example and the default of each variable are values that it accepts."""
    assert variable.kind in READERS
    read(variable, variable.example)
    if variable.default is not None:
        read(variable, list(variable.default) if isinstance(variable.default, tuple) else variable.default)
    assert closest(variable.name) == variable.name
    assert variable.secret == bool(variable.credential)  # and so the roles' options have no_log


def load(path):
    return yaml.safe_load((SAMPLE / path).read_text(encoding="utf-8"))


def test_the_sample_works():
    """Protects whoever copies the sample: it has no problem as it is."""
    groups = {name: list(group["hosts"]) for name, group in load("hosts.yml")["all"]["children"].items()}
    hostvars = {}
    for group in load("hosts.yml")["all"]["children"].values():
        for host, variables in group["hosts"].items():
            hostvars.setdefault(host, dict(load("group_vars/all.yml"))).update(variables or {})
    assert problems(hostvars, groups) == []


def test_the_sample_shows_every_variable():
    """Protects the sample against forgetting a variable, or showing one that is unknown."""
    text = "".join(
        path.read_text(encoding="utf-8") for path in (SAMPLE / "hosts.yml", SAMPLE / "group_vars" / "all.yml")
    )
    shown = set(re.findall(r"^ *(?:# )?(ovn_[a-z_]+): \S", text, re.MULTILINE))
    assert shown == {name for name, variable in VARIABLES.items() if variable.scope != PLAY}


def test_the_sample_shows_right_values():
    """Protects whoever removes a comment sign: the line then has a value that the variable accepts."""
    text = "".join(
        path.read_text(encoding="utf-8") for path in (SAMPLE / "hosts.yml", SAMPLE / "group_vars" / "all.yml")
    )
    lines = re.findall(r"^ *# (ovn_[a-z_]+: \S.*)$", text, re.MULTILINE)
    assert len(lines) > 10
    for line in lines:
        for name, value in yaml.safe_load(line).items():
            if not TEMPLATE.search(str(value)):  # Ansible computes it
                read(VARIABLES[name], value)
