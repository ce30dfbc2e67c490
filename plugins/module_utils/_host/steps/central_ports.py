# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that put a table of nftables in the place of what is there, and keep it."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..._common import names
from ..._common.systemd import keep_running
from ..._netlink import nftables_table
from ..drop_watch import CONFINED
from .base import PresenceStep, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..._netlink.nftables_table import Object
    from .base import StepContext


@dataclass(frozen=True)
class TableStep(Step):
    """Replace a table as a whole, in one transaction.

    :ivar desired, current: its objects; empty: there is no table.
    """

    family: str
    table: str
    desired: Sequence[Object] = field(repr=False)
    current: Sequence[Object] = field(repr=False)

    @property
    def _verb(self) -> str:
        if not self.desired:
            return "remove"
        return "change" if self.current else "add"

    def describe(self) -> str:
        return f"nftables table {self.family} {self.table}: {self._verb}"

    def as_dict(self) -> dict[str, Any]:
        return {"kind": "nftables", "operation": self._verb, "family": self.family, "name": self.table}

    def before(self) -> list[str]:
        return self._lines(self.current)

    def after(self) -> list[str]:
        return self._lines(self.desired)

    def _lines(self, objects: Sequence[Object]) -> list[str]:
        return [f"{self.family} {self.table}: {_line(item)}" for item in objects if "table" not in item]

    def undo(self) -> TableStep:
        return TableStep(self.family, self.table, self.current, self.desired)

    def apply(self, context: StepContext) -> bool:
        nftables_table.run(nftables_table.replacement(self.family, self.table, self.desired))
        return True


def _line(item: Object) -> str:
    """Return an object as one line: a set with its elements, a rule with its chain and its expression."""
    kind, value = next(iter(item.items()))
    if kind == "set":
        return f"set {value['name']} = {', '.join(map(str, value.get('elem', ())))}"
    if kind == "rule":
        return f"{value['chain']}: {json.dumps(value['expr'])}"
    return f"{kind} {value['name']}: " + json.dumps({key: part for key, part in value.items() if key != "name"})


@dataclass(frozen=True)
class KeepStep(PresenceStep):
    """Start the program that keeps the table, as a transient unit. It ends by itself when there is to be no table."""

    present: bool = True

    @property
    def thing(self) -> str:
        return f"watch over the nftables table {names.CENTRAL_TABLE}, {names.CENTRAL_PORTS_UNIT}"

    def as_dict(self) -> dict[str, Any]:
        return {"kind": "watch of ports", "operation": self.verb, "unit": names.CENTRAL_PORTS_UNIT}

    def undo(self) -> None:  # type: ignore[override]
        return None

    def apply(self, context: StepContext) -> bool:
        return start_keeper()


def start_keeper() -> bool:
    """Start the program. Return False when it runs already.

    :raises HostError: systemd refuses.
    """
    command = [sys.executable, "-I", names.ARCHIVE, "central_ports"]
    description = "OVN overlay: who may reach the databases of this master"
    return keep_running(names.CENTRAL_PORTS_UNIT, description, command, CONFINED)
