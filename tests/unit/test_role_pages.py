# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who reads a role's page on Galaxy: its tables are those of the argument specs."""

from __future__ import annotations

import pathlib
import runpy

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = runpy.run_path(str(ROOT / "tests" / "tools" / "role-pages"))


def test_the_pages_are_up_to_date():
    """Protects the pages: on a failure run tests/tools/role-pages."""
    pages = TOOL["pages"]()
    assert {path.parent.name for path in pages} == {"awx", "gateway", "master", "node"}
    assert [path.parent.name for path, text in pages.items() if path.read_text(encoding="utf-8") != text] == []


def test_a_change_of_the_specs_changes_the_page():
    """Protects against a tool that leaves a page as it is; what is outside of the markers stays."""
    spec = {
        "main": {"short_description": "Do it", "options": {"ovn_mtu": {"description": ["The C(MTU).", "Or V(1)."]}}}
    }
    first = TOOL["page"]("# node\n\nWords.\n", spec)
    assert "| `main` | Do it |" in first and "| `ovn_mtu` |  | The `MTU`. Or `1`. |" in first
    assert first.startswith("# node\n\nWords.\n") and TOOL["page"](first, spec) == first
    spec["main"]["options"]["ovn_mtu"]["required"] = True
    assert "| `ovn_mtu` | required | The" in TOOL["page"](first + "After.\n", spec)
    assert TOOL["page"](first + "After.\n", spec).endswith("After.\n")
