# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what users read of the collection where it is published, and what Galaxy and AWX read of it."""

from __future__ import annotations

import ast
import itertools
import pathlib
import re
from urllib.parse import urlsplit

import pytest
import yaml

from ansible_collections.ovn.kubernetes.plugins.plugin_utils._variables import VARIABLES

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
PUBLIC_ROLES = [role for role in ROLES if role != "common"]
ROLES_OF_HOSTS = [role for role in PUBLIC_ROLES if role != "awx"]  # which has variables of its own
PLUGINS = sorted(
    path.relative_to(ROOT / "plugins").as_posix()
    for path in itertools.chain(*(ROOT.glob(f"plugins/{kind}/*.py") for kind in ("modules", "filter", "lookup")))
)


def documentation(plugin):
    """Return the plugin's texts DOCUMENTATION, EXAMPLES and RETURN, read."""
    found = {}
    for node in ast.parse((ROOT / "plugins" / plugin).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            found[node.targets[0].id] = yaml.safe_load(str(node.value.value))
    return found


def without_sample(values, above=""):
    """Yield the names of return values without a sample; the parts of a value have their own."""
    for name, value in (values or {}).items():
        if "contains" in value:
            yield from without_sample(value["contains"], f"{above}{name}.")
        elif "sample" not in value:
            yield above + name


def test_a_value_without_a_sample_is_found():
    """Protects against a check that lets everything pass."""
    values = {"a": {"sample": None}, "b": {}, "c": {"contains": {"d": {}, "e": {"sample": 1}}}}
    assert list(without_sample(values)) == ["b", "c.d"]


@pytest.mark.parametrize("plugin", PLUGINS)
def test_each_return_value_has_a_sample(plugin):
    """Protects whoever writes a task: what a result looks like is seen without running it."""
    assert list(without_sample(documentation(plugin)["RETURN"])) == []


def test_no_plugin_names_somebody_else_as_its_author():
    """Protects people of other projects: there is no account of ours whose name one could write."""
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "plugins").rglob("*.py")}
    assert [path for path, text in texts.items() if re.search(r"\(@[\w-]+\)", text)] == []


@pytest.mark.parametrize("role", ROLES_OF_HOSTS)
def test_a_role_lists_all_variables_that_it_reads(role):
    """Protects users of a role: `ansible-doc` shows them all, those of other hosts that it reads too. Those of the
    playbook remove are no role's."""
    specs = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    listed = set(specs["argument_specs"]["main"]["options"])
    texts = [
        path.read_text(encoding="utf-8")
        for name in sorted({role, "common"})
        for path in (ROOT / "roles" / name).rglob("*.yml")
    ]
    read = {word for text in texts for word in re.findall(r"(?<![\w.])ovn_\w+", text)} & set(VARIABLES)
    of_hosts = {name for name, variable in VARIABLES.items() if variable.scope != "play"}
    assert sorted((read | of_hosts) - listed) == []
    assert listed <= set(VARIABLES)


@pytest.mark.parametrize("role", PUBLIC_ROLES)
def test_each_entry_point_of_a_role_is_there_and_described(role):
    """Protects users of a role from an entry point without tasks, and from a page without words."""
    specs = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    for name, entry in specs["argument_specs"].items():
        assert (ROOT / "roles" / role / "tasks" / f"{name}.yml").is_file()
        assert entry["short_description"] and entry["description"]


@pytest.mark.parametrize("role", ROLES)
def test_each_role_has_a_page(role):
    """Protects the role's page on Galaxy, which is its README."""
    assert (ROOT / "roles" / role / "README.md").read_text(encoding="utf-8").count(f"# {role}") == 1


def test_the_collection_says_where_it_lives():
    """Protects links on Galaxy: the four addresses are there, and are on one host."""
    metadata = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    addresses = [urlsplit(metadata[name]) for name in ("repository", "documentation", "homepage", "issues")]
    assert {address.scheme for address in addresses} == {"https"}
    assert len({address.netloc for address in addresses}) == 1
