# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Ansible's programs, forked from one process that has imported Ansible and keeps the modules that were packed.

Packing a module of ours takes a controller as long as all else that a task costs it. The first call packs it, and the
others send the same archive, until the tests end: they test the code that was there when they began.
"""

from __future__ import annotations

import subprocess
import tempfile

import preloaded


def run(*command, limit=600):
    """Run ``ansible`` or ``ansible-playbook`` with its arguments; the exit code, and all that it has said."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        process = preloaded.start("ansible_programs:main", command, said, imported=("ansible_programs",))
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        said.seek(0)
        return code, said.read()
