# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a call did, or would do in check mode: the same for databases and hosts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    class Operation(Protocol):
        """One operation of a plan, for users: a changed row, or a step on the host."""

        def describe(self) -> str:
            """Return one line of the plan."""

        def as_dict(self) -> dict[str, Any]:
            """Return the operation as JSON values, for a module's ``plan``."""

        def before(self) -> list[str]:
            """Return the diff's lines before the operation."""

        def after(self) -> list[str]:
            """Return the diff's lines after the operation."""


@dataclass
class Result:
    """What a call did, or would do in check mode.

    :ivar plan: the operations, in order.
    :ivar notes: sentences that the user should read beside the plan.
    :ivar facts: values that a later task uses.
    """

    plan: Sequence[Operation] = field(default_factory=list)
    notes: Sequence[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Return whether anything differed from the desired state."""
        return bool(self.plan)

    def diff(self) -> dict[str, str]:
        """Return ``before`` and ``after`` for Ansible's diff mode."""
        return {
            "before": "".join(f"{line}\n" for operation in self.plan for line in operation.before()),
            "after": "".join(f"{line}\n" for operation in self.plan for line in operation.after()),
        }
