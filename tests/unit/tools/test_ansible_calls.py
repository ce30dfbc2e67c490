# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects tests on hosts: a program of Ansible that is forked does and says what one of its own would."""

from __future__ import annotations

import importlib
import os

import ansible_calls
import pytest
from ansible import constants

PING = ("ansible", "localhost", "-m", "ansible.builtin.ping")


def test_status_and_output():
    """Protects against a failure that is taken for a success, and against a run whose end takes something away."""
    code, output = ansible_calls.run(*PING)
    assert code == 0 and '"ping": "pong"' in output
    code, output = ansible_calls.run(*PING, "-a", "data=crash")
    assert code == 2 and "boom" in output
    assert ansible_calls.run(*PING)[0] == 0


@pytest.fixture
def packed_modules(tmp_path, monkeypatch):
    """The module, for a collection, a folder of packed modules and a process that are all empty."""
    for folder in ("plugins", "packed", "process"):
        (tmp_path / folder).mkdir()
    module = importlib.import_module("packed_modules")
    monkeypatch.setenv(module.FOLDER, str(tmp_path / "packed"))
    monkeypatch.setattr(module, "PLUGINS", tmp_path / "plugins")
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path / "process"))
    return module


def test_changed_code_is_packed_anew(packed_modules, tmp_path):
    """Protects against a test of code that is not there any more, although it was changed back in between."""
    link = tmp_path / "process" / "ansiballz_cache"
    source = tmp_path / "plugins" / "one.py"

    def shared():
        link.unlink(missing_ok=True)
        packed_modules.share()
        return link.resolve()

    source.write_text("first = 1\n")
    first = shared()
    assert first.is_dir() and shared() == first
    source.write_text("first = 2\n")
    second = shared()
    source.write_text("first = 1\n")
    assert len({first, second, shared()}) == 3


def test_nothing_is_shared_outside_of_a_whole_run(packed_modules, tmp_path, monkeypatch):
    """Protects whoever runs one scenario while working on a module."""
    monkeypatch.delenv(packed_modules.FOLDER)
    packed_modules.share()
    assert os.listdir(tmp_path / "process") == []
