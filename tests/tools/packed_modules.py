# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Modules as Ansible has packed them, kept for all its processes of one run of the tests.

Each process of Ansible packs a module with all that it imports, before it sends it: half of what a playbook costs the
controller. run-tests names a folder where they find what another one has packed, and removes it at its end.
"""

from __future__ import annotations

import hashlib
import os
import pathlib

from ansible import constants

FOLDER = "OVN_KUBERNETES_PACKED_MODULES"
PLUGINS = pathlib.Path(__file__).resolve().parents[2] / "plugins"


def share():
    """Let this process use the folder; without one it packs for itself."""
    folder = os.environ.get(FOLDER)
    if folder:
        packed = pathlib.Path(folder, _state())
        packed.mkdir(exist_ok=True)
        # Where ansible.executor.module_common looks.
        pathlib.Path(constants.DEFAULT_LOCAL_TMP, "ansiballz_cache").symlink_to(packed)


def _state():
    """Return a name for the sources as they are: code that was changed in between is packed anew."""
    files = sorted(PLUGINS.rglob("*.py"))
    return hashlib.sha256(repr([(str(file), file.stat().st_mtime_ns) for file in files]).encode()).hexdigest()
