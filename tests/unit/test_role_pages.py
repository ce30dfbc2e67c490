# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who reads a role's page on Galaxy: its tables are those of the argument specs."""

from __future__ import annotations

import pathlib
import re
import runpy

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = runpy.run_path(str(ROOT / "tests" / "tools" / "role-pages"))


def test_the_pages_are_up_to_date():
    """Protects the pages: on a failure run tests/tools/role-pages."""
    pages = TOOL["pages"]()
    assert {path.parent.name for path in pages} == {"awx", "gateway", "master", "node"}
    assert [path.parent.name for path, text in pages.items() if path.read_text(encoding="utf-8") != text] == []


def test_the_shared_tasks_are_listed():
    """Protects who works on the roles: the page of the private role has each of its files of tasks."""
    role = ROOT / "roles" / "common"
    listed = re.findall(r"^\| `(\w+)` \|", (role / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    files = {path.stem for path in (role / "tasks").iterdir() if not path.stem.startswith("packages_")}
    assert set(listed) == files and len(listed) == len(files)


def test_a_change_of_the_specs_changes_the_page():
    """Protects against a tool that leaves a page as it is; what is outside of the markers stays."""
    spec = {
        "main": {"short_description": "Do it", "options": {"ovn_mtu": {"description": ["The C(MTU).", "Or V(1)."]}}}
    }
    first = TOOL["page"]("# node\n\nWords.\n", spec)
    assert "| `main` | Do it |" in first and "| `ovn_mtu` |  | The `MTU`. Or `1`. |" in first
    assert first.startswith("# node\n\nWords.\n") and TOOL["page"](first, spec) == first
    spec["main"]["options"]["ovn_mtu"].update(required=True, default=3)
    changed = TOOL["page"](first + "After.\n", spec)
    assert "| `ovn_mtu` | required | The `MTU`. Or `1`. By default `3`. |" in changed
    assert TOOL["page"](first + "After.\n", spec).endswith("After.\n")
