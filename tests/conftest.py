# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Makes the checkout importable as ansible_collections.ovn.kubernetes, by the link that tests/tools/env has made."""

from __future__ import annotations

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
