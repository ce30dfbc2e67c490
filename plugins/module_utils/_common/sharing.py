# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep a text that occurs in thousands of objects in memory once.

``sys.intern`` is for names of fields only: Python 3.12 never frees what it has, and texts of users come and go.
"""

from __future__ import annotations

import functools

LONGEST = 64  # characters of a text that is looked for
_kept = functools.lru_cache(maxsize=2048)(str)


def shared(text: str) -> str:
    """Return an equal text: the same object for the texts that occur most."""
    return _kept(text) if len(text) <= LONGEST else text
