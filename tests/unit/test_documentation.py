# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pages that are written by programs, and links, against being out of date."""

from __future__ import annotations

import pathlib
import re
import runpy

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._kube import reasons

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = "|".join(path.name[1:] for path in (ROOT / "plugins" / "module_utils").glob("_*"))
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def test_the_table_of_faults_is_up_to_date():
    """Protects the map from each fault of the original to its tests: run tests/tools/fault-table after a change."""
    tool = runpy.run_path(str(ROOT / "tests" / "tools" / "fault-table"))
    text = tool["PAGE"].read_text(encoding="utf-8")
    assert tool["page"](text) == text


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    """Protects readers: each relative link, and each path of the tree in code marks, names something that exists."""
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    missing = [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]
    paths = re.findall(r"`((?:plugins|roles|playbooks|tests|molecule|docs|inventory)/[\w./-]+)`", text)
    library = re.findall(rf"`(_(?:{FOLDERS})(?:/[\w./-]+)?)`", text)
    paths += [f"plugins/module_utils/{path}" for path in library]
    missing += [path for path in paths if not (ROOT / path).exists()]
    assert missing == []


def test_the_table_of_events():
    """Protects users from an event that no page explains: each reason is in the table, with what it is about and what
    to do, and each event has one of these reasons.
    """
    page = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    table = page.partition("| reason | on | meaning |")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]
    assert sorted(row[0].strip("` ") for row in rows) == sorted(
        value for name, value in vars(reasons).items() if name.isupper()
    )
    assert all(len(row) == 4 and all(row) for row in rows)
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "plugins" / "module_utils").rglob("*.py")}
    assert [path for path, text in sources.items() if re.search(r"_on_event\([^)]*\"[A-Z][a-z]+[A-Z]", text)] == []
