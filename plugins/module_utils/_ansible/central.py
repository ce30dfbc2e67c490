# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The work of ovn_central: one step of one database on the master that runs it."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._central.asked import Step
from .._central.cut_off import reset, reset_cut_off
from .._central.database import Listener
from .._central.execute import Executor, Systemd
from .._central.places import FOLDERS, PLACES, RELAY, RELAY_FOLDERS
from .._common.result import Result
from .._host import files
from .._host.apply import apply_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .._central.places import Place
    from .results import Module

    Run = Callable[[list[str]], "tuple[int, str, str]"]

RESET = "reset"
NORTHBOUND = PLACES[0]


@dataclass(frozen=True)
class Done:
    """What is done, for users."""

    text: str

    def describe(self) -> str:
        """Return one line of the plan."""
        return self.text

    def as_dict(self) -> dict[str, str]:
        """Return the same as JSON values, for a module's ``plan``."""
        return {"kind": "database", "operation": self.text}

    def before(self) -> list[str]:
        """Return the diff's lines before it."""
        return []

    def after(self) -> list[str]:
        """Return the diff's lines after it."""
        return [self.text]


def carry_out(module: Module, run: Run) -> Iterator[Result]:
    """Carry out the step of the module's options, and yield what was done.

    :param run: runs ovsdb-tool and systemctl.
    """
    params = module.params
    if params["action"] == RESET:
        check = module.check_mode
        anew = next((place.database for place in PLACES if place.key == params["database"]), "")
        done, left = reset_cut_off(check) if params["cut_off"] else (reset(check, anew), [])
        # A relay has no command by which it forgets. One that is not connected is started anew by a step of its own.
        served = params["database"] != NORTHBOUND.key and not params["cut_off"]
        if served and _executor(RELAY, params, run).start_again(check):
            done.append(f"{RELAY.unit}: restart")
        yield Result([Done(text) for text in done], left)
        return
    place = {place.key: place for place in (*PLACES, RELAY)}[params["database"]]
    step = Step(
        socket.gethostname(),
        place.key,
        params["action"],
        params["address"] or "",
        tuple(params["remotes"]),
        params["cluster"] or "",
        params["server"] or "",
        params["timer"],
        tuple(Listener(one["target"], one["role"], one["probe"]) for one in params["listeners"]),
        params["reason"],
    )
    if not module.check_mode:
        _executor(place, params, run).carry_out(step)
    yield Result([Done(step.text())])


def _executor(place: Place, params: dict[str, Any], run: Run) -> Executor:
    brought = [files.from_options(file) for file in params["files"]]
    units = {one.key: params["units"].get(one.key) or one.unit for one in (*PLACES, RELAY)}
    folders = RELAY_FOLDERS if place is RELAY else FOLDERS
    return Executor(place, Systemd(run, units), run, lambda: apply_steps(files.plan(brought)), folders)
