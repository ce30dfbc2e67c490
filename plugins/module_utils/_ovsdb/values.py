# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values of columns: as JSON on the wire (RFC 7047, 5.1), and as Python values.

==================================  ===========================================
on the wire                         in Python
==================================  ===========================================
string, number, boolean             ``str``, ``int`` or ``float``, ``bool``
``["uuid", TEXT]``                  ``str``
``["set", [VALUE, ...]]``           ``tuple``
``["map", [[KEY, VALUE], ...]]``    ``dict``
==================================  ===========================================
"""

from __future__ import annotations

import sys
from typing import Any

from .._common.sharing import shared


class Uuid(str):
    """A row's UUID, in a set of references that is held exactly. Encoded as ``["uuid", TEXT]``."""


def decode(value: Any) -> Any:
    """Return a value from the wire as a Python value.

    Keys of maps, and short texts that occur in thousands of rows, are in memory once.
    """
    if isinstance(value, str):
        return shared(value)
    if isinstance(value, list):
        kind, content = value
        if kind == "set":
            return tuple(decode(item) for item in content)
        if kind == "map":
            return {sys.intern(key) if isinstance(key, str) else decode(key): decode(item) for key, item in content}
        return content
    return value


def encode(value: Any) -> Any:
    """Return a Python value as it goes over the wire."""
    if isinstance(value, Uuid):
        return ["uuid", str(value)]
    if isinstance(value, tuple):
        return ["set", [encode(item) for item in value]]
    if isinstance(value, dict):
        return ["map", [[key, encode(item)] for key, item in sorted(value.items())]]
    return value


def as_set(value: Any) -> tuple[Any, ...]:
    """Return the members of a set: the wire has a set of one member without ``["set", ...]``."""
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)
