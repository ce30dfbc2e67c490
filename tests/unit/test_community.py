# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who wants to report something: the forms are right, and nothing sends people to an address of nobody."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / ".github" / "ISSUE_TEMPLATE"
FORMS = sorted(path.name for path in TEMPLATES.glob("*.yml") if path.name != "config.yml")
PAGES = ("SECURITY.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "README.md")
KINDS = {"markdown", "textarea", "input", "dropdown", "checkboxes"}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_right(name):
    """Protects the form: one that is wrong is not offered at all."""
    form = yaml.safe_load((TEMPLATES / name).read_text(encoding="utf-8"))
    assert form["name"] and form["description"]
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert {field["type"] for field in form["body"]} <= KINDS
    assert len({field["id"] for field in fields}) == len(fields) > 1
    assert all(field["attributes"]["label"] for field in fields)
    assert any((field.get("validations") or {}).get("required") for field in fields)


@pytest.mark.parametrize("name", FORMS)
def test_what_a_form_names_is_there(name):
    """Protects who fills it in: pages that it names exist."""
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    assert [path for path in re.findall(r"\b(?:docs/)?[\w-]+\.md\b", text) if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize("page", PAGES)
def test_no_address_is_invented(page):
    """Protects a report from going to an address that nobody reads."""
    assert re.findall(r"[\w.+-]+@[\w-]+\.\w+", (ROOT / page).read_text(encoding="utf-8")) == []
