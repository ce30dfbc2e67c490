# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pages that are written by programs, and links, against being out of date."""

from __future__ import annotations

import pathlib
import re
import runpy

import pytest

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
