# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far a change of NICs has got, and the sentence about one that did not stay: on the host and on the controller."""

from __future__ import annotations

from dataclasses import dataclass

from .._common import names
from .journal import APPLIED, CONFIRMED, FINAL, UNDONE

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Outcome:
    """How far a change has got.

    :ivar state: of :mod:`.journal`, or UNKNOWN.
    :ivar reason: why it was rolled back.
    :ivar left: what could not be rolled back yet, and why.
    :ivar unproven: why it is not proven that the host can be reached with the change.
    """

    state: str
    reason: str | None = None
    left: str | None = None
    unproven: str | None = None

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in FINAL

    @property
    def awaits_confirmation(self) -> bool:
        """Whether all is done, and a confirmation is waited for."""
        return self.state == APPLIED

    @property
    def is_confirmed(self) -> bool:
        """Whether the change stays."""
        return self.state == CONFIRMED


def not_kept(nics: str, outcome: Outcome) -> str:
    """Return the sentence about a change that was not confirmed: whether the host has what it had before, and why."""
    if outcome.state == UNDONE:
        why = "; ".join(filter(None, [outcome.reason, outcome.unproven]))
        return f"{nics}: the change was rolled back, and the host has what it had before: {why}"
    if outcome.left:
        return (
            f"{nics}: the change was rolled back ({outcome.reason}), but for this: {outcome.left}; the host tries that "
            f"again until it succeeds (journalctl -u {names.UPLINKS_UNIT})"
        )
    return (
        f"{nics}: the change has not come to its end, it is {outcome.state}; the host takes it back by itself: look at "
        f"journalctl -u {names.UPLINKS_UNIT}"
    )
