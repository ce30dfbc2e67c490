# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The change of this host by which NICs go into their bridges, or back: acts in their order, each with its inverse."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING

from .._common.errors import HostError
from .._common.files import read_file
from .._host import facts
from .._host.desired import HostState, OptionsOfLink
from .._host.read import read_and_plan
from .._host.rows import LocalRows
from .._host.steps.files import SysctlStep
from .._host.steps.links import OffloadStep, OptionsStep
from .._netlink.records import DEFAULT_OPTIONS
from .._ovsdb.converge import plan_rows
from . import current, sysctls, uplink
from .boot import managers_to_restore, missing_steps
from .learn import learn, without_programs
from .moved import MovedNic, files_of_others, moved_nic_file
from .serialize import to_json
from .steps import HandoverStep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .._common.result import Operation
    from .._host.desired import File
    from .._host.steps.base import Step
    from .._ovsdb.converge import Database, DatabaseConnection
    from .current import CurrentNic
    from .journal import Act
    from .uplink import UplinkSettings


@dataclass
class Change:
    """A change of this host.

    :ivar acts: for the journal.
    :ivar items: the same for users.
    :ivar notes: what users have to know beside it.
    """

    acts: list[Act] = field(default_factory=list)
    items: list[Operation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def plan(
    connect: Callable[[], DatabaseConnection],
    nics: Iterable[str],
    present: bool,
    user: str,
    datapath_type: str | None = None,
) -> Change:
    """Return the change after which a user needs the NICs in their bridges, or needs them no longer. Without acts
    nothing differs.

    :param connect: opens a connection to the host's Open_vSwitch database.
    :param user: a key of :data:`.uplink.USERS`. A NIC goes back with the last user that needed it.
    :param datapath_type: system or netdev; None: what the host's Open vSwitch uses.
    :raises HostError: it can't be done; nothing was touched.
    :raises DatabaseError: the database can't be used.
    """
    connection = connect()
    try:
        found = [current.read_nic(connection, nic) for nic in dict.fromkeys(nics)]
        return _move(connection, found, user, datapath_type) if present else _give_back(connection, found, user)
    finally:
        connection.close()


def _move(connection: Database, nics: Sequence[CurrentNic], user: str, datapath_type: str | None) -> Change:
    """Return the change by which the NICs are in their bridges."""
    rows = _RowsPlan(connection)
    states: list[HostState] = []
    records: list[File] = []
    restoring: list[Step] = []
    notes: list[str] = []
    files: dict[str, tuple[File, ...]] = {}
    for nic in nics:
        datapath = datapath_type or (nic.settings.datapath_type if nic.settings else current.datapath_type(connection))
        current.refuse_bridge(connection, nic.name, datapath, nic.settings is not None, nic.moved is not None)
        # Of a NIC whose rows are lost nothing more can be learnt: what is kept of it counts.
        moved = (
            without_programs(nic.moved, notes, nic.bridge)
            if nic.moved
            else learn(nic.name, nic.bridge, datapath, notes)
        )
        settings = uplink.UplinkSettings(
            nic.name, facts.link_mac(nic.name) or "", facts.link_mtu(nic.name) or 0, datapath, moved.promiscuous
        )
        rows.add(nic, settings)
        # Once written, a file is the administrator's to change: only one that is missing is written again.
        own_files = tuple(file for file in moved.files if nic.moved is None or read_file(file.path) is None)
        settings_of_bridge = sysctls.for_bridge(nic.bridge, moved.sysctls)
        options = () if moved.options == DEFAULT_OPTIONS else (OptionsOfLink(nic.bridge, moved.options),)
        kernel = HostState(sysctls=settings_of_bridge, options=options)
        states += [uplink.state(settings), kernel, HostState(files=own_files, file_readers=moved.handovers)]
        records.append(moved_nic_file(nic.name, replace(moved, users=tuple(sorted({*nic.users, user})))))
        if nic.moved:
            restoring += missing_steps(moved, nic.name, nic.bridge)
            restoring += managers_to_restore(moved.handovers, moved.had_addresses)
        files[nic.name] = moved.files
    new = {nic.name for nic in nics if nic.moved is None}
    if new:  # a bridge that is made again does not depend on what is kept of other NICs
        current.refuse_shared_files({**files_of_others(nic.name for nic in nics), **files}, new)
    steps = [*read_and_plan(_joined([*states, HostState(files=tuple(records))])), *restoring]
    return Change(rows.acts + acts(steps), [*rows.changes, *steps], notes)


def _give_back(connection: Database, nics: Sequence[CurrentNic], user: str) -> Change:
    """Return the change by which the user needs the NICs no longer; those that nobody else needs go back."""
    rows = _RowsPlan(connection)
    before: list[HostState] = []
    after: list[HostState] = []
    offloads: list[Step] = []
    again: list[Step] = []
    going = [nic for nic in nics if not set(nic.users) - {user}]
    needed = {file.path for files in files_of_others(nic.name for nic in going).values() for file in files}
    for nic in nics:
        if nic.settings is None and nic.moved is None:
            continue
        if nic not in going:
            after += _without_user(nic, user)
            continue
        current.refuse_foreign_ports(connection, nic)
        current.refuse_edited_files(nic)
        rows.add(nic, None)
        datapath = nic.settings.datapath_type if nic.settings else current.datapath_type(connection)
        exists = facts.link_mac(nic.name) is not None
        moved = nic.moved or MovedNic()
        before.append(uplink.state_gone(nic.name, datapath, exists, moved.labels))
        if exists:
            before.append(HostState(sysctls=sysctls.for_nic(nic.name, nic.bridge, moved.sysctls)))
        again += _bridge_again(nic, moved)
        files = [file for file in moved.previous_files if file.path not in needed]
        # No manager can do anything with a NIC that is gone.
        readers = tuple(handover.back() for handover in moved.handovers if exists)
        after.append(HostState(files=(*files, moved_nic_file(nic.name, None)), file_readers=readers))
        if moved.offloads and exists:
            offloads.append(OffloadStep(nic.name, moved.offloads, on=True))
    first = [*read_and_plan(_joined(before)), *offloads]
    last = read_and_plan(_joined(after))
    # What managers did for the bridges goes with the bridges. When these come back, managers have to be told after
    # everything else:
    # so the steps that only their inverse does anything of stand before everything else.
    marks = [step for step in last if isinstance(step, HandoverStep) and not step.tells]
    last = [step for step in last if step not in marks]
    return Change(
        acts([*marks, *first, *again]) + rows.acts + acts(last),
        [*marks, *first, *rows.changes, *last],
    )


def _bridge_again(nic: CurrentNic, moved: MovedNic) -> list[Step]:
    """Return steps that change nothing, and whose inverses give the bridge what it has, once it was made again."""
    if facts.link_mac(nic.bridge) is None:
        return []
    steps: list[Step] = [
        SysctlStep(one.key, one.parts, one.link, one.value, one.value) for one in sysctls.set_again(nic.bridge)
    ]
    if moved.options != DEFAULT_OPTIONS:
        steps.append(OptionsStep(nic.bridge, moved.options, moved.options))
    return steps


def _without_user(nic: CurrentNic, user: str) -> list[HostState]:
    """Return the state in which the NIC stays in its bridge, and this user does not need it.

    :raises HostError: the user asked for the NIC itself, and others need it.
    """
    left = tuple(one for one in nic.users if one != user)
    if user == "request":
        raise HostError(f"{nic.name} stays in {nic.bridge}: {uplink.USERS.get(left[0], left[0])}; take that away first")
    if nic.moved is None or left == nic.users:
        return []
    return [HostState(files=(moved_nic_file(nic.name, replace(nic.moved, users=left)),))]


class _RowsPlan:
    """The changes of uplinks' rows, and their acts.

    :ivar changes: of all rows, for users.
    :ivar acts: one for each NIC whose rows change.
    """

    def __init__(self, connection: Database) -> None:
        self._connection = connection
        self.changes: list[Operation] = []
        self.acts: list[Act] = []

    def add(self, nic: CurrentNic, desired: UplinkSettings | None) -> None:
        """Plan the rows of a NIC; None: they are removed."""
        rows = LocalRows(uplink.owner(nic.name), tuple(uplink.rows(desired)))
        changes = plan_rows(self._connection, rows).changes
        if changes:
            self.changes += changes
            before, after = (asdict(one) if one else None for one in (nic.settings, desired))
            self.acts.append({"rows": nic.name, "before": before, "after": after})


def _joined(states: Iterable[HostState]) -> HostState:
    """Return one state of several: routes that use two NICs need one plan."""
    states = list(states)
    parts = {
        part.name: tuple(dict.fromkeys(item for state in states for item in getattr(state, part.name)))
        for part in fields(HostState)
    }
    return HostState(**parts)


def acts(steps: Iterable[Step]) -> list[Act]:
    """Return steps as acts, in their order."""
    return [{"step": to_json(part)} for step in steps for part in step.parts()]
