# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what action plugins tell their modules: it arrives as it was, and users see no options for it."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible import argument_spec, controller


def test_what_is_said_arrives(monkeypatch):
    """Protects moves of NICs from a phase that a shell, a template or a locale has changed on its way."""
    said = {
        "phase": "begin",
        "change_id": "1f",
        "network": {"routes": [{"via": "fd98::1", "name": "'{{ x }}' ü $HOME"}]},
    }
    for name, value in controller.environment(said).items():
        assert value.isascii() and not set(value) & set("{}%'\"$ \n")
        monkeypatch.setenv(name, value)
    assert controller.said() == {f"_{name}": value for name, value in said.items()}


def test_without_a_controller_nothing_is_said(monkeypatch):
    """Protects a module that runs without its action plugin."""
    monkeypatch.delenv(controller.VARIABLE, raising=False)
    assert controller.said() == {}


@pytest.mark.parametrize("module", sorted(name for name in vars(argument_spec) if name.startswith(("OVN_", "NICS_"))))
def test_no_option_is_only_for_the_collection_itself(module):
    """Protects users from options in the documentation that they may not use."""
    assert [name for name in getattr(argument_spec, module)["argument_spec"] if name.startswith("_")] == []
