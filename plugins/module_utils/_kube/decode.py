# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decode what the API server sends, however deep it is nested.

The API server takes 10,000 levels. Users can have them kept: in ``metadata.managedFields`` of any object. Python's
decoder gives up at about 1,000, and a list with one such object would not be read at all.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

DEEPEST = 100  # levels that are decoded; what is used has less than 20
TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]')


async def decode(text: bytes) -> Any:
    """Return the value of a JSON text; what is too deep in it becomes null.

    :raises ValueError: it is no JSON.
    """
    try:
        return json.loads(text)
    except RecursionError:
        return json.loads(await asyncio.get_running_loop().run_in_executor(None, shallow, text))


def shallow(text: bytes) -> bytes:
    """Return a JSON text with null for each list and object at more than DEEPEST levels."""
    parts, depth, kept = [], 0, 0
    for match in TOKEN.finditer(text):
        token = match[0]
        if token in b"{[":
            depth += 1
            if depth == DEEPEST + 1:
                parts += [text[kept : match.start()], b"null"]
        elif token in b"}]":
            depth -= 1
            if depth == DEEPEST:
                kept = match.end()
    return b"".join([*parts, text[kept:]])
