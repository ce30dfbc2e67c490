# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What the programs log, from which level on, and what the journal knows of it."""

from __future__ import annotations

import logging
import os

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import log
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._variables import VARIABLES

LINES = {"error": ["e"], "warning": ["e", "w"], "info": ["e", "w", "i"], "debug": ["e", "w", "i", "d"]}


@pytest.fixture
def logged(monkeypatch, capfd):
    """A function that begins to log with an environment, and returns the lines of one message of each level."""
    root = logging.getLogger()
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)

    def run(**environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(root, "handlers", [])  # pytest's own
        monkeypatch.setattr(root, "level", logging.WARNING)
        log.begin()
        for level, text in ((40, "e"), (30, "w"), (20, "i"), (10, "d")):
            root.log(level, text)
        return capfd.readouterr().err.splitlines()

    return run


@pytest.mark.parametrize("level", LINES)
def test_the_level_is_that_of_the_inventory(logged, level):
    """Protects ovn_log_level: each of its values logs what it says, and no more."""
    assert logged(**{names.LOG_LEVEL: level}) == LINES[level]


def test_the_inventory_offers_exactly_these_levels():
    """Protects hosts from a level that passes the validation and that no program knows."""
    assert set(VARIABLES["ovn_log_level"].choices) == set(log.LEVELS)


def test_without_a_level_it_is_info(logged):
    """Protects programs that nobody has configured: the archive alone, and transient units."""
    assert logged() == LINES["info"] == LINES[VARIABLES["ovn_log_level"].default]


def test_a_level_that_is_none_is_named(logged):
    """Protects who writes the file by hand from a program that says nothing."""
    first, *rest = logged(**{names.LOG_LEVEL: "loud"})
    assert first == f"{names.LOG_LEVEL} is loud, and info is taken: write one of error, warning, info, debug"
    assert rest == LINES["info"]


def test_the_journal_gets_priorities(logged):
    """Protects `journalctl -p warning`: all lines had one priority. Elsewhere there are no marks."""
    found = os.fstat(2)
    lines = logged(**{names.LOG_LEVEL: "debug", "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
    assert lines == ["<3>e", "<4>w", "<6>i", "<7>d"]


def test_each_line_of_a_traceback_has_its_priority():
    """Protects tracebacks from being cut: the journal makes an entry of each line."""
    record = logging.makeLogRecord({"levelno": 40, "msg": "first", "exc_text": "second\nthird"})
    assert log.JournalFormatter().format(record) == "<3>first\n<3>second\n<3>third"


def test_a_message_is_one_line():
    """Protects the log from lines that a user has made up: the API server's errors have his texts."""
    record = logging.makeLogRecord({"levelno": 40, "msg": 'é "a\\b" %s', "args": ("x\n<6>all is well\x1b[2J\u2028",)})
    assert log.LineFormatter().format(record) == 'é "a\\b" x\\n<6>all is well\\x1b[2J\\u2028'
