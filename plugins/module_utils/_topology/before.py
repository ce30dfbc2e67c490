# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host had before a part of it came, for when the part goes: the rows of our bridges keep it, and a file beside
the saved settings does, which a bridge that somebody deletes does not take along."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING

from .._common.files import read_file
from .._host.desired import File

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._ovsdb.rows import CurrentRow

NIC = "nic"  # key: the NIC that the values are of


def kept(settings_file: str, row: CurrentRow | None = None, nic: str | None = None) -> dict[str, str]:
    """Return what is kept: key of external_ids -> value. What a row has counts more.

    :param settings_file: the part's saved settings.
    :param row: of the part's bridge; None: there is none.
    :param nic: the NIC that it has to be of; None: any, or none.
    """
    values: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError, AttributeError):
        file = read_file(_path(settings_file))
        found = json.loads(file.content) if file else {}
        values = {str(key): str(value) for key, value in found.items() if value is not None}
    if nic is not None and values.get(NIC) != nic:
        values = {}
    return {**values, **(row.columns["external_ids"] if row else {})}


def file(settings_file: str, values: Mapping[str, str | None] | None) -> File:
    """Return the desired file, which only root may read; None: the part goes, and so does the file."""
    if values is None:
        return File(_path(settings_file), None)
    known = {key: value for key, value in values.items() if value is not None}
    return File(_path(settings_file), json.dumps(known, indent=2, sort_keys=True) + "\n", 0o600)


def _path(settings_file: str) -> str:
    return os.path.splitext(settings_file)[0] + ".before"
