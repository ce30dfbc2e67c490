# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""systemd units of a host: the desired state, the current state, and the steps from one to the other.

A step depends only on what the host shows now, and never on what an earlier run has done. A run that failed between
copying a file
and restarting the program that reads it is therefore completed by the next run.

systemctl(1) is used instead of D-Bus: OVN central is started before any package that speaks D-Bus is installed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._common.errors import HostError
from .._common.files import FileContent, read_file, remove_file, write_file

STARTED, STOPPED, ABSENT = "started", "stopped", "absent"
STATES = (STARTED, STOPPED, ABSENT)

DIRECTORY = "/etc/systemd/system"
FILE_MODE = 0o644

# Properties of a unit, org.freedesktop.systemd1(5).
PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "NeedDaemonReload",
    "ExecMainStartTimestampMonotonic",
    "ActiveEnterTimestampMonotonic",
)
RUNNING = ("active", "activating", "reloading")  # ActiveState
NOT_ENABLED = (
    "",
    "disabled",
    "enabled-runtime",
    "masked",
    "masked-runtime",
    "linked",
    "linked-runtime",
)  # UnitFileState
MICROSECONDS = 1_000_000

# Runs a command: its arguments; returns its exit status, its output and its error output.
Run = Callable[[list[str]], "tuple[int, str, str]"]


@dataclass(frozen=True)
class Unit:
    """The desired state of a unit.

    :ivar content: text of its file below ``/etc/systemd/system``; None: the unit belongs to a package.
    :ivar started_from: files that its program reads at its start. The unit is restarted when one of them, or the
        unit's own file, is newer
        than the program. None: it is never restarted.
    :ivar optional: a unit that does not exist is no error, and there is nothing to do.
    :ivar enabled: it is started at each boot too; False: another unit starts it, and it is left as it is. (systemd 257
        forgets that a service runs when ``enable`` makes the link of its ``Alias=``.)
    """

    name: str
    state: str = STARTED
    content: str | None = None
    started_from: tuple[str, ...] | None = None
    optional: bool = False
    enabled: bool = True

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Unit:
        """Return the unit of a module's options, which have the same names."""
        files = options["started_from"]
        return cls(
            options["name"],
            options["state"],
            options["unit"],
            None if files is None else tuple(files),
            options["optional"],
            options["enabled"],
        )

    @property
    def path(self) -> str:
        """The unit's file, where the collection installs it."""
        return f"{DIRECTORY}/{self.name}"

    @property
    def files(self) -> tuple[str, ...]:
        """The files that must be older than the running program."""
        if self.started_from is None:
            return ()
        return self.started_from if self.content is None else (*self.started_from, self.path)


@dataclass(frozen=True)
class Status:
    """The current state of a unit.

    :ivar loaded: systemd knows the unit.
    :ivar content: text of its file below ``/etc/systemd/system``; None: there is none.
    :ivar stale: its files have changed since systemd read them.
    :ivar newer: those of the desired unit's ``files`` that were written after the program was started.
    :ivar state: systemd's words for it, such as ``activating (auto-restart)``.
    """

    loaded: bool
    running: bool
    enabled: bool
    stale: bool = False
    content: str | None = None
    newer: tuple[str, ...] = ()
    state: str = field(default="", compare=False)


@dataclass(frozen=True)
class Step:
    """One change of a unit: a file's new content, a file's removal, or a command of systemctl.

    :ivar text: what it does, for the user.
    :ivar command: a command and its arguments.
    :ivar path: a file; ``write`` is its new content, None: it is removed.
    :ivar current: the file's text before the step; None: there is none.
    """

    text: str
    command: tuple[str, ...] = ()
    path: str = ""
    write: FileContent | None = None
    current: str | None = field(default=None, repr=False)

    def describe(self) -> str:
        """Return the step as one line of a plan."""
        return self.text

    def as_dict(self) -> dict[str, Any]:
        """Return the step for a module's result."""
        unit, _colon, what = self.text.partition(": ")
        return {"kind": "unit", "unit": unit, "operation": what}

    def before(self) -> list[str]:
        """Return the lines of a diff that show a file before the step."""
        return [f"{self.path}: {line}" for line in (self.current or "").splitlines()]

    def after(self) -> list[str]:
        """Return the lines of a diff that show a file after the step, or which command runs."""
        if self.command:
            return [self.text]
        return [f"{self.path}: {line}" for line in (self.write.content if self.write else "").splitlines()]


def plan(unit: Unit, status: Status) -> list[Step]:
    """Return the steps from the current to the desired state, in order."""
    if unit.optional and not status.loaded and status.content is None:
        return []
    return _start(unit, status) if unit.state == STARTED else _stop(unit, status)


def _start(unit: Unit, status: Status) -> list[Step]:
    changed = status.stale
    steps = []
    if unit.content is not None and unit.content != status.content:
        changed = True
        content = FileContent(unit.content, FILE_MODE)
        steps.append(Step(f"{unit.name}: write the unit", (), unit.path, content, status.content))
    reasons = [*status.newer, *([unit.path] if changed and unit.path not in status.newer else [])]
    restart = status.running and unit.started_from is not None and bool(reasons)
    # A drop-in of another unit may be among the files: a service that does not run says nothing about when it was read.
    unread = not status.running and any(path.startswith(f"{DIRECTORY}/") for path in unit.started_from or ())
    if changed or restart or unread:
        steps.append(_reload(unit))
    if unit.enabled and not status.enabled:
        steps.append(_systemctl(unit, "enable"))
    if not status.running:
        steps.append(_systemctl(unit, "start"))
    elif restart:
        step = _systemctl(unit, "restart")
        steps.append(Step(f"{step.text}, since it was started before {' and '.join(reasons)} changed", step.command))
    return steps


def _stop(unit: Unit, status: Status) -> list[Step]:
    steps = []
    if status.running:
        steps.append(_systemctl(unit, "stop"))
    if status.loaded and status.enabled:
        steps.append(_systemctl(unit, "disable"))
    if unit.state == ABSENT:
        gone = status.content is None
        if not gone:
            steps.append(Step(f"{unit.name}: remove the unit", path=unit.path, current=status.content))
        if not gone or status.stale:
            steps.append(_reload(unit))
    return steps


def _systemctl(unit: Unit, verb: str) -> Step:
    return Step(f"{unit.name}: {verb}", ("systemctl", verb, unit.name))


def _reload(unit: Unit) -> Step:
    return Step(f"{unit.name}: let systemd read its files again", ("systemctl", "daemon-reload"))


def read(run: Run, unit: Unit) -> Status:
    """Return the unit's current state.

    :raises HostError: when systemd does not answer.
    """
    return read_all(run, [unit])[unit.name]


def read_all(run: Run, units: Sequence[Unit]) -> dict[str, Status]:
    """Return the current states of several units by their names, with one call of systemctl.

    :raises HostError: when systemd does not answer.
    """
    if not units:
        return {}
    code, out, err = run(["systemctl", "show", f"--property={','.join(PROPERTIES)}", *[unit.name for unit in units]])
    if code:
        raise HostError(
            f"systemd does not answer on this host: {' '.join((err or out).split())}: run systemd as its first process"
        )
    # systemctl(1): the units' properties come in the order of the units, with an empty line between two of them.
    return {unit.name: _status(unit, text) for unit, text in zip(units, out.strip("\n").split("\n\n"))}


@dataclass(frozen=True)
class Converged:
    """What was done with units, or would be done in check mode.

    :ivar found: names of those that existed before.
    """

    steps: list[Step] = field(default_factory=list)
    found: list[str] = field(default_factory=list)


def converge(run: Run, units: Sequence[Unit], check: bool = False) -> Iterator[Converged]:
    """Converge units in their order, and yield what was done with each.

    Where nothing differs systemctl is called once for all of them. What one unit starts may be another one of them, so
    that after a first change each is read again when its turn comes.

    :raises HostError: systemd does not answer, or a step failed.
    """
    current = read_all(run, units)
    changed = False
    for unit in units:
        status = read(run, unit) if changed else current[unit.name]
        steps = plan(unit, status)
        if not check:
            apply(run, steps)
            changed = changed or bool(steps)
        yield Converged(steps, [unit.name] if status.loaded or status.content is not None else [])


def _status(unit: Unit, text: str) -> Status:
    """Return the state that a unit's properties say."""
    properties = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    running = properties.get("ActiveState") in RUNNING
    file = read_file(unit.path)
    return Status(
        loaded=properties.get("LoadState") not in ("not-found", None),
        running=running,
        enabled=properties.get("UnitFileState", "") not in NOT_ENABLED,
        stale=properties.get("NeedDaemonReload") == "yes",
        content=None if file is None else file.content,
        newer=tuple(_newer(unit.files, _started_at(properties))) if running else (),
        state=f"{properties.get('ActiveState')} ({properties.get('SubState')})",
    )


def _started_at(properties: dict[str, str]) -> float:
    """Return when the unit's main program was started, in seconds of the clock that files' times are taken from."""
    for name in ("ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic"):
        value = int(properties.get(name) or 0)
        if value:
            return time.time() - (time.monotonic() - value / MICROSECONDS)
    return time.time()


def _newer(paths: Iterable[str], started_at: float) -> Iterable[str]:
    """Yield the files that were written after the moment; a time in the future says nothing, since the clock was set
    back."""
    for path in paths:
        try:
            modified = os.stat(path).st_mtime
        except OSError:
            continue
        if started_at < modified <= time.time():
            yield path


def apply(run: Run, steps: Iterable[Step]) -> None:
    """Carry out the steps.

    :raises HostError: with systemctl's own words, at the first that fails.
    """
    for step in steps:
        if step.write is not None:
            write_file(step.path, step.write)
        elif step.path:
            remove_file(step.path)
        else:
            code, out, err = run(list(step.command))
            if code:
                raise HostError(f"{step.text} failed: {' '.join((err or out).split())}")
