# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The way back of a change of NICs: each inverse is tried, whatever fails before it, and what fails is said at the end.

It must not need what has failed: room on a disk, a folder that can be written, Open vSwitch, a network manager, D-Bus.
"""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import HostError
from .._common.failures import Failures
from .._common.files import restore_second_name
from .._host.apply import StepRunner
from .._host.read import read_and_plan
from .._host.steps.files import FileStep
from .._host.steps.links import LinkStep
from .._netlink.links import read_kind, remove_link, set_link
from . import journal as journals
from .serialize import from_json
from .steps import HandoverStep, address_move

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Union

    from .journal import Act, JournaledChange

    Settings = Union[dict[str, Any], None]
    WriteRows = Callable[[str, Settings, str], None]

SYSTEM = "system"  # the kernel's datapath
TAP = "tun"  # kind of a link, ip-link(8)


class WayBack:
    """The way back of one change, which may need several attempts.

    After a boot all acts are rolled back, and of the steps those of files and managers only: a boot has removed what
    the others did in the kernel. The network managers have given the NICs their addresses since, and may have to again.

    A NIC goes back to its bridge only while Open vSwitch serves that bridge. Until then it has what the bridge had. The
    other way round a NIC that can't be taken out of a bridge of the kernel's datapath receives nothing itself. Until it
    is out, its bridge has what it had.

    :param begun: how many acts have begun.
    :param write_rows: as :func:`.bridge_rows.write_rows`.
    :ivar undone: indices of acts that have been rolled back.
    :ivar failures: of the last attempt.
    """

    def __init__(self, change: JournaledChange, begun: int, undone: set[int], write_rows: WriteRows) -> None:
        self._change = change
        self._write_rows = write_rows
        self._rebooted = change.boot != journals.this_boot()
        # An inverse does no harm where its act was not done.
        returns = [number for number, act in enumerate(change.acts, 1) if _is_return(act)]
        self._begun = len(change.acts) if self._rebooted else max([begun, *returns]) if begun else 0
        self._rows_first = False
        self.undone = undone
        self.failures = Failures()

    def attempt(self) -> bool:
        """Roll back what has not been rolled back yet. Return whether nothing is left."""
        self.failures = Failures()
        blocked = False  # addresses have to stay where packets arrive now
        file_came_back = False
        with StepRunner(0) as runner:
            for index, act, step in self._due():
                if index in self.undone and not (file_came_back and isinstance(step, HandoverStep)):
                    continue
                if blocked and step is not None and not isinstance(step, (FileStep, HandoverStep)):
                    continue
                failed = len(self.failures.texts)
                with self.failures.collected():
                    if step is None:
                        self._undo_rows(act, runner)
                    else:
                        _undo(step, runner)
                if len(self.failures.texts) == failed:
                    self.undone.add(index)
                    file_came_back = file_came_back or isinstance(step, FileStep)
                else:
                    blocked = blocked or _is_return(act) or _keeps_attached(act)
            if blocked:
                self._go_on(runner)
        self._rows_first = blocked
        return not self.failures

    def _due(self) -> Iterator[tuple[int, Act, Any]]:
        """Yield the acts to roll back, the last one first, with their numbers and steps.

        Of a bridge that goes, the row is looked at also when it is still there: so is the switch that serves it. Rows
        that were in the way are the first ones, so that addresses do not move to and fro with each attempt.
        """
        acts = list(reversed(list(enumerate(self._change.acts[: self._begun]))))
        if self._rows_first:
            acts.sort(key=lambda item: "rows" not in item[1])
        for index, act in acts:
            step = None
            if "step" in act:
                with self.failures.collected():
                    step = from_json(act["step"])
                if step is None or (self._rebooted and not isinstance(step, (FileStep, HandoverStep))):
                    continue
            yield index, act, step

    def _go_on(self, runner: StepRunner) -> None:
        """Do the steps of the kernel again, so that addresses are where packets arrive: on the bridges that can't be
        removed, or on the NICs whose bridges nobody serves."""
        for index, act in enumerate(self._change.acts[: self._begun]):
            if _is_return(act):
                break
            if "rows" in act or self._rebooted:
                continue
            with Failures().collected():
                step = from_json(act["step"])
                # A setting of the whole host has no part in it.
                if not isinstance(step, (FileStep, HandoverStep)) and getattr(step, "link", "") is not None:
                    self.undone.discard(index)
                    runner.run(step)

    def _undo_rows(self, act: Act, runner: StepRunner) -> None:
        nic, settings = act["rows"], act["before"]
        if self._rebooted and settings is None:
            _empty_bridge(nic, runner)
        self._write_rows(nic, settings, self._change.remote)
        if settings is None:
            _remove_left_link(names.uplink_bridge(nic), runner)
            restore_flag(nic, act["after"], runner)
        else:  # a bridge that Open vSwitch makes again is down
            link = LinkStep(names.uplink_bridge(nic), up=True, promiscuous=settings["promiscuous"] or None)
            with contextlib.suppress(OSError):
                runner.run(link)


def restore_flag(nic: str, settings: Settings, runner: StepRunner) -> None:
    """Take promiscuous mode from a NIC that is in no bridge any more, and did not have it before.

    The userspace datapath sets it. An ovs-vswitchd that is killed leaves it, and the next one takes it for the NIC's.

    :param settings: of the bridge that is gone; None: not known.
    """
    if settings is not None and not settings["promiscuous"]:
        with contextlib.suppress(OSError):  # the NIC is gone
            set_link(runner.kernel, nic, promiscuous=False)


def _remove_left_link(bridge: str, runner: StepRunner) -> None:
    """Remove the link of a bridge that is gone: one of the userspace datapath outlives an ovs-vswitchd that is killed,
    and the next one does not know it."""
    kind = read_kind(runner.kernel, bridge)
    if kind and kind.kind == TAP:
        remove_link(runner.kernel, bridge)


def _is_return(act: Act) -> bool:
    """Return whether the act removes a bridge, from which the NIC goes back to being one of its own."""
    return "rows" in act and act["before"] is not None and act["after"] is None


def _keeps_attached(act: Act) -> bool:
    """Return whether a NIC is in a bridge of the kernel's datapath while the act is not rolled back."""
    return "rows" in act and act["before"] is None and (act["after"] or {}).get("datapath_type") == SYSTEM


def _undo(step: Any, runner: StepRunner) -> None:
    inverse = step.undo()
    if inverse is None:
        return
    try:
        try:
            runner.run(inverse)
        except OSError:
            file = inverse.desired if isinstance(inverse, FileStep) else None
            if file is None or not restore_second_name(inverse.path, file):
                raise
    except (OSError, HostError) as error:
        if getattr(error, "errno", None) != errno.ENODEV:  # ENODEV: the link is gone, and with it what it had
            raise HostError(inverse.failure(error)) from error


def _empty_bridge(nic: str, runner: StepRunner) -> None:
    """Give the NIC what its bridge has: a boot that found the files of the change gave it to the bridge, which is about
    to be removed."""
    try:
        for step in read_and_plan(address_move(names.uplink_bridge(nic), nic)):
            for part in step.parts():
                runner.run(part)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
