# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""NICs that are to go into their bridges, or back, become one change of this host: acts in their order, each with its inverse."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, field, fields

from .._common import names
from .._common.errors import HostError
from .._common.files import read_file
from .._host import facts
from .._host.desired import HostState
from .._host.read import read_and_plan
from .._host.rows import COLUMNS, LocalRows
from .._host.steps.links import OffloadStep
from .._netlink.ethtool import offloads_on
from .._ovsdb.converge import plan_rows, read_rows
from .._ovsdb.rows import Query, by_name, is_uuid
from .._ovsdb.values import as_set
from . import uplink as policy
from .boot import managers_to_restore, missing_steps, saved_steps
from .kind import deaf, refusal
from .managers import registry
from .persistence import persistence
from .serialize import from_json, to_json
from .steps import HandoverStep
from .sysctls import for_bridge, own_settings


@dataclass
class Change:
    """A change of this host.

    :ivar acts: plain values: ``{"rows": NIC, "before": settings or None, "after": settings or None}`` or ``{"step": a part of a step}``.
    :ivar items: the same for people, as :class:`._common.result.Result` has them.
    """

    acts: list = field(default_factory=list)
    items: list = field(default_factory=list)


def plan(connect, nics, present, user, datapath_type=None):
    """The change after which ``user`` needs the NICs in their bridges, or needs them no longer; without acts when nothing differs.

    :param connect: makes a connection to the host's Open_vSwitch database.
    :param user: one of :data:`._nic.uplink.USERS`; a NIC goes back with the last that needed it.
    :param datapath_type: system or netdev; None: what the host's Open vSwitch uses.
    :raises HostError: one sentence for what can't be done; nothing was touched.
    :raises DatabaseError: when the database can't be used.
    """
    connection = connect()
    try:
        found = [_Nic(connection, nic) for nic in dict.fromkeys(nics)]
        return _present(connection, found, user, datapath_type) if present else _absent(connection, found, user)
    finally:
        connection.close()


def users_of(nic):
    """Who needs the NIC in its bridge; empty where it is not in one of ours."""
    kept = read_file(names.uplink_file(nic))
    return tuple(_settings(nic, kept).get("users", ())) if kept else ()


def kept_uplinks(user=None):
    """The NICs that are kept in their bridges; with ``user``, those that it needs."""
    with contextlib.suppress(FileNotFoundError):
        nics = sorted(
            file[: -len(".json")]
            for file in os.listdir(names.UPLINKS_DIRECTORY)
            if file.endswith(".json") and not file.startswith(".")
        )
        return [nic for nic in nics if user is None or user in users_of(nic)]
    return []


class _Nic:
    """A NIC as it is: ``now`` are the settings of its uplink (None: it has none), ``kept`` what is kept of it."""

    def __init__(self, connection, name):
        self.name, self.bridge = name, names.uplink_bridge(name)
        self.own = read_rows(connection, LocalRows(policy.owner(name)).owned_queries())
        kept = read_file(names.uplink_file(name))
        self.kept = _settings(name, kept) if kept else {}
        self.users = list(self.kept.get("users", ()))
        by_role = {row.role: row for row in self.own}
        bridge, inside = by_role.get("uplink-bridge"), by_role.get("uplink-bridge-interface")
        self.now = None
        if bridge is not None:
            mtu = as_set(inside.columns.get("mtu_request")) if inside else ()
            self.now = policy.UplinkHost(
                name,
                bridge.map_value("other_config", "hwaddr") or "",
                mtu[0] if mtu else 1500,
                bridge.columns.get("datapath_type") or "system",
                bool(self.kept.get("promiscuous")),
            )

    def refuse(self, connection):
        """:raises HostError: when it can't go into its bridge."""
        reason = refusal(self.name, ours=self.now is not None)
        if reason is None and self.now is None:
            reason = self._taken(connection)
        if reason:
            raise HostError(reason)

    def _taken(self, connection):
        port, bridge = _one(connection, "Port", self.name), _one(connection, "Bridge", self.bridge)
        if port is not None:
            return f"{self.name} is in another bridge of Open vSwitch already: take it out (ovs-vsctl del-port {self.name}), or name another NIC"
        if bridge is not None or facts.link_mac(self.bridge):
            return f"the bridge's name {self.bridge} is taken by somebody else: rename or remove that {'bridge' if bridge is not None else 'link'}"
        return None


def _one(connection, table, name):
    return next(iter(read_rows(connection, [by_name(table, name, COLUMNS[table])])), None)


def _settings(nic, kept):
    try:
        return dict(json.loads(kept.content))
    except ValueError:
        raise HostError(
            f"{names.uplink_file(nic)} can't be read: restore it, or remove it and say again who needs {nic} in its bridge"
        ) from None


def _present(connection, found, user, datapath_type):
    changes, rows_acts, state, files, lost = [], [], [], [], []
    edits = _files_of_others(found)
    for nic in found:
        nic.refuse(connection)
        datapath = datapath_type or (nic.now.datapath_type if nic.now else _datapath(connection))
        kept = nic.kept or _found(nic, datapath)  # a NIC whose rows are lost has nothing any more that could be found
        wanted = policy.UplinkHost(
            nic.name, facts.link_mac(nic.name), facts.link_mtu(nic.name), datapath, kept["promiscuous"]
        )
        changes += _rows(connection, nic, wanted, rows_acts)
        # Once written, a file is the administrator's to change: only one that is missing is written again.
        mine = tuple(file for file in from_json(kept["files"]) if not nic.kept or read_file(file.path) is None)
        settings = for_bridge(nic.bridge, kept.get("settings", {}))
        state += [
            policy.state(wanted),
            HostState(files=mine, file_readers=from_json(kept["handovers"]), sysctls=settings),
        ]
        files.append(policy.kept_file(nic.name, dict(kept, users=sorted({*nic.users, user}))))
        if nic.kept:
            saved = from_json(kept.get("had")) or ()
            lost += missing_steps(saved if isinstance(saved, tuple) else (saved,), nic.name)
            lost += managers_to_restore(from_json(kept["handovers"]), kept.get("addressed"))
        edits[nic.name] = from_json(kept["files"])
    _refuse_shared(edits, {nic.name for nic in found if not nic.kept})
    steps = read_and_plan(_together([*state, HostState(files=tuple(files))])) + lost
    return Change(rows_acts + _acts(steps), changes + steps)


def _found(nic, datapath):
    """What is to be kept of a NIC that goes into its bridge: how it was, and the files by which it comes back after a boot. Plain values.

    :raises HostError: when that can't be.
    """
    reason = deaf(nic.name, datapath)
    if reason:
        raise HostError(reason)
    configuration = registry.detect(nic.name)
    manager = registry.manager(configuration.manager) if configuration.manager else None
    if manager:
        configuration = manager.query(configuration)
    lasting = persistence(configuration, nic.bridge)
    if manager:
        manager.refuse(configuration, datapath)
    return {
        "promiscuous": facts.is_promiscuous(nic.name),
        "offloads": to_json(offloads_on(nic.name) or ()) if datapath == "netdev" else [],
        "files": to_json(lasting.files),
        "inverse": to_json(lasting.previous),
        "handovers": to_json(lasting.handovers),
        "settings": own_settings(nic.name, configuration.manager),
        "had": to_json(saved_steps(nic.name, nic.bridge)) if lasting.restores else None,
        "addressed": bool(facts.configured_addresses(nic.name)),
    }


def _absent(connection, found, user):
    changes, rows_acts, before, after, offloads = [], [], [], [], []
    stays = {
        file.path
        for nic_files in _files_of_others(nic for nic in found if not set(nic.users) - {user}).values()
        for file in nic_files
    }
    for nic in found:
        left = [one for one in nic.users if one != user]
        if nic.now is None and not nic.kept:
            continue
        if left:
            if user == "request":
                raise HostError(
                    f"{nic.name} stays in {nic.bridge}: {policy.USERS.get(left[0], left[0])}; take that away first"
                )
            if left != nic.users:
                after.append(HostState(files=(policy.kept_file(nic.name, dict(nic.kept, users=left)),)))
            continue
        _refuse_guests(connection, nic)
        _refuse_edited(nic)
        changes += _rows(connection, nic, None, rows_acts)
        before.append(policy.state_gone(nic.name, nic.now.datapath_type if nic.now else _datapath(connection)))
        inverse = (file for file in from_json(nic.kept.get("inverse", [])) if file.path not in stays)
        after.append(
            HostState(
                files=(*inverse, policy.kept_file(nic.name, None)),
                file_readers=tuple(handover.back() for handover in from_json(nic.kept.get("handovers", []))),
            )
        )
        if nic.kept.get("offloads"):
            offloads.append(OffloadStep(nic.name, tuple(nic.kept["offloads"]), on=True))
    first = read_and_plan(_together(before)) + offloads
    last = read_and_plan(_together(after))
    # What managers did for bridges goes with the bridges: where these come back, managers have to be told of it after all else.
    marks = [step for step in last if isinstance(step, HandoverStep) and not step.tells]
    last = [step for step in last if step not in marks]
    return Change(_acts(marks + first) + rows_acts + _acts(last), marks + first + changes + last)


def _rows(connection, nic, wanted, acts):
    """The changes of the uplink's rows; where there are any, their act is added to ``acts``."""
    changes = plan_rows(connection, LocalRows(policy.owner(nic.name), tuple(policy.rows(wanted)))).changes
    if changes:
        acts.append(
            {
                "rows": nic.name,
                "before": asdict(nic.now) if nic.now else None,
                "after": asdict(wanted) if wanted else None,
            }
        )
    return changes


def _refuse_guests(connection, nic):
    """:raises HostError: when somebody else's ports are in the bridge, which would go with it."""
    (bridge,) = read_rows(connection, [Query("Bridge", (("name", "==", nic.bridge),), ("name", "ports"))]) or (None,)
    ports = as_set(bridge.columns["ports"]) if bridge else ()
    for port in read_rows(connection, [Query("Port", (is_uuid(uuid),), COLUMNS["Port"]) for uuid in ports]):
        # ovn-controller makes its own port as long as a mapping names the bridge, and takes it away itself.
        if port.role is None and not port.external_id("ovn-localnet-port"):
            raise HostError(
                f"{nic.name} stays in {nic.bridge}, since {port.name} is a port of that bridge too: take it out first "
                f"(ovs-vsctl del-port {nic.bridge} {port.name})"
            )


def _files_of_others(found):
    """NIC -> files of the NICs that are kept beside these."""
    others = sorted(set(kept_uplinks()) - {nic.name for nic in found})
    return {nic: from_json(_settings(nic, read_file(names.uplink_file(nic))).get("files", [])) for nic in others}


def _refuse_shared(edits, new):
    """:raises HostError: when a file would have to have another text for one of the new NICs than for another NIC."""
    seen = {}
    for nic, edited in edits.items():
        for file in edited:
            other, text = seen.setdefault(file.path, (nic, file.content))
            if text != file.content and new & {nic, other}:
                raise HostError(
                    f"{other} and {nic} are both configured in {file.path}, which can't be given back for one of them alone: "
                    "give each NIC a file of its own below /etc/network/interfaces.d"
                )


def _refuse_edited(nic):
    """:raises HostError: when a file that would be as it was before has been edited since."""
    before = {file.path: file for file in from_json(nic.kept.get("inverse", [])) if file.content is not None}
    for file in from_json(nic.kept.get("files", [])):
        now = read_file(file.path) if file.path in before else None
        if now is not None and now.content not in (file.content, before[file.path].content):
            raise HostError(
                f"{file.path} was changed after {nic.name} went into {nic.bridge}, and giving {nic.name} back would undo that: move the file "
                "aside, run it again, and make the change once more in the file that is there then"
            )


def _datapath(connection):
    switch = next(iter(read_rows(connection, [by_name("Open_vSwitch", ".", COLUMNS["Open_vSwitch"])])), None)
    chosen = switch.external_id("ovn-bridge-datapath-type") if switch else None
    return chosen or ("system" if facts.has_kernel_datapath() else "netdev")


def _together(states):
    """One state of several: routes that use two NICs need one plan."""
    return HostState(
        **{
            part.name: tuple(dict.fromkeys(item for state in states for item in getattr(state, part.name)))
            for part in fields(HostState)
        }
    )


def _acts(steps):
    return [{"step": to_json(part)} for step in steps for part in step.parts()]
