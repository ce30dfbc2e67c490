# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Makes the checkout importable as ansible_collections.ovn.kubernetes, by the link that tests/tools/env has made."""

from __future__ import annotations

import os
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
COLLECTIONS = ROOT / ".cache" / "collections"

if not (COLLECTIONS / "ansible_collections" / "ovn" / "kubernetes" / "galaxy.yml").is_file():
    raise pytest.UsageError(
        "the collection cannot be imported: .cache/collections is missing; run tests/tools/env first"
    )
sys.path.insert(0, str(COLLECTIONS))
# Whoever runs the tests may come from anywhere, also from one of the networks in them.
os.environ["SSH_CONNECTION"] = ""


@pytest.fixture(autouse=True)
def no_name_servers(monkeypatch):
    """A host of a test has no name servers: those of the machine may be in a network of the test."""
    from ansible_collections.ovn.kubernetes.plugins.module_utils._host import used

    monkeypatch.setattr(used, "RESOLVER_FILES", ())
