# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The conditions of EgressIP objects: what is refused, and what nobody holds."""

from __future__ import annotations

from .._kube.statuses import LONGEST

Condition = tuple[str, str, str, str]  # type, status, reason, message


def conditions(refused: str, not_held: str) -> tuple[Condition, ...]:
    """Return the conditions of an object.

    :param refused: what is not served, in words; empty: all is.
    :param not_held: what nobody holds, in words; empty: all is held.
    """
    return (
        ("Accepted", "False", "PartRefused", refused[:LONGEST]) if refused else ("Accepted", "True", "Accepted", ""),
        ("Held", "False", "NotHeld", not_held[:LONGEST]) if not_held else ("Held", "True", "Held", ""),
    )
