# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the backup of docs/walkthroughs.md: what its commands have saved and restored is complete, rows of others
too, and ours are known again."""

from __future__ import annotations

import subprocess

from database_server import PROGRAMS
from document_commands import commands

FOREIGN = {"op": "insert", "table": "Logical_Switch", "row": {"name": "foreign"}}


def run(word, nb, folder):
    """Run the command of the page that has this word, on the test's database."""
    (command,) = [one for one in commands("walkthroughs.md") if one.text.startswith(f"ovsdb-client {word} ")]
    text = command.text.replace("ovsdb-client", str(PROGRAMS / "bin" / "ovsdb-client"), 1)
    text = text.replace("unix:/var/run/ovn/ovnnb_db.sock", nb.remote)
    subprocess.run(["sh", "-c", text], cwd=folder, check=True, timeout=60)


def test_a_database_that_was_lost_is_restored(nb, tmp_path):
    """Protects operators whose master has lost its disk: after the restore nothing is missing, and the next site run
    finds all rows of ours and changes nothing."""
    nb.build(nodes=(1,), gateways=(1,))
    nb.transact(FOREIGN)
    whole = nb.content()
    run("backup", nb, tmp_path)
    nb.transact(*({"op": "delete", "table": table, "where": []} for table in ("Logical_Switch", "Logical_Router")))
    assert nb.content() != whole
    run("restore", nb, tmp_path)
    assert nb.content() == whole
    assert nb.build(nodes=(1,), gateways=(1,), check=True)["plan"] == []
