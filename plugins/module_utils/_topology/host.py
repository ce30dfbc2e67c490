# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Converge this host's own part of a node and of a gateway: rows of its Open vSwitch, its kernel, and its files.

Settings are plain JSON values. They are saved below /etc/ovn-kubernetes, and the program ``ovn-k8s-host`` converges
them again after a boot, so that what the kernel forgets comes back without a controller.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import DatabaseError, HostError
from .._common.result import Result
from .._host import facts
from .._host.change import DesiredHost
from .._host.converge import converge_host
from .._host.desired import File, HostState, Link
from .._host.rows import COLUMNS, LocalRows, uplink_nic
from .._nic.executor import change_now, finish_pending
from .._nic.journal import host_journal
from .._nic.moved import moved_nics, users_of
from .._nic.plan import plan as plan_uplinks
from .._nic.saved import as_text, from_text
from .._ovsdb.connection import Connection, NoDatabase
from .._ovsdb.converge import read_rows
from .._ovsdb.rows import Owner, by_name
from . import clones, gateway_host, node_host, own_facts
from .host_facts import HostFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Union

    from .._nic.plan import Change
    from .._ovsdb.rows import CurrentRow, Row

    Settings = Mapping[str, Any]
    PlanChange = Callable[[], Change]
    AnyConnection = Union[Connection, NoDatabase]

NODE_FILE = names.NODE_SETTINGS
GATEWAY_FILE = names.SETTINGS_DIRECTORY + "/gateway.json"
NODE = Owner("Node", "host")
GATEWAY = Owner("Gateway", "host")


@dataclass(frozen=True)
class Part:
    """A part of this host that is converged by itself.

    :ivar name: for the database's log.
    :ivar owner: the owner of its rows.
    :ivar file: its saved settings.
    """

    name: str
    owner: Owner
    file: str


@dataclass(frozen=True)
class Current:
    """What Open vSwitch's database has now.

    :ivar rows: the rows of one owner.
    :ivar settings: the row of the table Open_vSwitch; None where Open vSwitch does not run.
    """

    rows: Sequence[CurrentRow]
    settings: CurrentRow | None

    def external_id(self, key: str) -> str | None:
        """Return a key of the table Open_vSwitch."""
        return self.settings.external_id(key) if self.settings else None


class Host:
    """This host.

    :param remote: the host's Open_vSwitch database.
    :param check: plan only; then a host without Open vSwitch counts as one that has nothing yet.
    :param move: ``move(plan, nics)`` carries out a change of NICs; by default at once, without a confirmation from
        outside.
    """

    def __init__(
        self,
        remote: str = names.LOCAL_SOCKET,
        check: bool = False,
        move: Callable[[PlanChange, Sequence[str]], Change] | None = None,
    ) -> None:
        self.remote = remote
        self.check = check
        self.notes: list[str] = []
        self._expects_database = True
        self._facts = HostFacts(check)
        self._move = move or self._move_at_once

    def _move_at_once(self, plan: PlanChange, nics: Sequence[str]) -> Change:
        return change_now(host_journal(), plan, nics, self.remote)

    def node(
        self, settings: Settings | None, move_underlay: bool = True, former: frozenset[str] = frozenset()
    ) -> Result:
        """Converge the node's part.

        :param settings: as :func:`.options.node_host` makes them; None: the node is removed.
        :param move_underlay: whether to move NICs: into its bridge the one that the tunnels need there, and back those
            that they no longer need.
        :param former: names under which the caller knows this host to have been a node.
        :returns: the result, with the facts ``chassis``, ``datapath_type``, ``encap_ip``, ``mtu`` and
            ``management_ips``. Without ``move_underlay`` also the NICs that are to be moved: ``underlay_nic`` into its
            bridge, ``spare_nics`` back.
        :raises SettingsError: the settings can't work.
        :raises HostError: this host can't be what they say.
        """
        part = Part("node", NODE, NODE_FILE)
        self._expect(part, settings)
        current = self._current(NODE)
        _refuse_uplink_of_old_release(current)
        moved = moved_nics("node")
        saved_forwarding, saved_hostname = _saved_before_node(current)
        if settings is None:
            rows, state = node_host.absent_rows(saved_hostname), node_host.absent_state(saved_forwarding)
            result = self._remove(part, rows, state)
            if move_underlay:
                result.plan = [*result.plan, *self.uplinks(moved, False, "node").plan]
            return result
        _refuse_other_overlay(current, settings["southbound"])
        host, underlay_nic = self._facts.node_host(settings)
        _refuse_clone(current, host, former)
        if saved_hostname is None and not current.rows:
            saved_hostname = current.external_id("hostname") or ""
        saved_forwarding = saved_forwarding or self._facts.learn(facts.sysctl, node_host.FORWARDING)
        host = replace(host, saved_forwarding=saved_forwarding, saved_hostname=saved_hostname)
        spare_nics = [nic for nic in moved if nic != underlay_nic]
        moves: list[Any] = []
        if move_underlay:
            needed = [underlay_nic] if underlay_nic else []
            moves += self.uplinks(spare_nics, False, "node").plan
            moves += self.uplinks(needed, True, "node", host.datapath_type).plan
        result = self._converge(part, node_host.rows(host), node_host.state(host), settings)
        result.plan = [*moves, *result.plan]
        result.facts.update(
            chassis=current.external_id("system-id"),
            datapath_type=host.datapath_type,
            encap_ip=host.encap_ip,
            mtu=host.mtu,
            management_ips=[cidr.split("/")[0] for cidr in host.node.management_addresses()],
            underlay_nic=None if move_underlay else underlay_nic,
            spare_nics=[] if move_underlay else spare_nics,
        )
        return result

    def uplinks(self, nics: Sequence[str], present: bool, user: str, datapath_type: str | None = None) -> Result:
        """Move NICs into their bridges, or back.

        :param present: whether ``user`` needs the NICs in their bridges. A NIC moves back when no user needs it any
            more.
        :param user: one of :data:`.._nic.uplink.USERS`.
        """

        def plan() -> Change:
            return self.plan_uplinks(nics, present, user, datapath_type)

        if not nics:
            return Result()
        change = plan() if self.check else self._move(plan, nics)
        return Result(change.items)

    def plan_uplinks(self, nics: Sequence[str], present: bool, user: str, datapath_type: str | None = None) -> Change:
        """Return the change that :meth:`uplinks` makes."""
        return plan_uplinks(self._connect, nics, present, user, datapath_type)

    def finish_uplinks(self) -> Result:
        """Bring a change of NICs that a boot has interrupted to its end."""
        finish_pending(host_journal())
        return Result()

    def restore_uplink(self, nic: str) -> Result:
        """Move a NIC into its bridge again, as its saved settings say."""
        return self.uplinks([nic], True, users_of(nic)[0])

    def gateway(self, settings: Settings | None) -> Result:
        """Converge the gateway's part.

        :param settings: as :func:`.options.gateway_host` makes them; None: the gateway is removed.
        :returns: the result, with the facts ``chassis``, ``physical_mac`` and ``bridge``;
            for a shared NIC also ``physical_ip`` and ``default_gw``.
        :raises HostError: this host can't be what the settings say.
        """
        part = Part("gateway", GATEWAY, GATEWAY_FILE)
        self._expect(part, settings)
        current = self._current(GATEWAY)
        old_nic = uplink_nic(current.rows)
        saved_nic = next(
            (row.external_id(names.NIC_BEFORE_KEY) for row in current.rows if row.external_id(names.UPLINK_KEY)), None
        )
        if settings is None:
            state = gateway_host.absent_state(old_nic, from_text(old_nic, saved_nic) if old_nic else None)
            return self._remove(part, gateway_host.absent_rows(), state)
        first = HostState()
        if old_nic and old_nic != settings["nic"]:
            first = gateway_host.absent_state(old_nic, from_text(old_nic, saved_nic))
        result = (
            self._shared_gateway(part, settings, first)
            if settings["nic"] is None
            else self._dedicated_gateway(part, settings, current, saved_nic, first)
        )
        result.facts["chassis"] = current.external_id("system-id")
        return result

    def _dedicated_gateway(
        self, part: Part, settings: Settings, current: Current, saved_nic: str | None, first: HostState
    ) -> Result:
        """Converge a gateway that has a NIC of its own.

        :param saved_nic: the configuration from before the gateway, of the NIC that it has now; None: not known.
        :param first: the state to reach before: another NIC gets its configuration back.
        """
        nic = settings["nic"]
        mac = self._facts.learn(facts.link_mac, nic)
        if mac is None and not self.check:
            raise HostError(
                f"physical_interface {nic} does not exist on this host: "
                "name the NIC that is connected to the physical network (ip link shows them)"
            )
        is_new = uplink_nic(current.rows) != nic
        if is_new:
            self._refuse_nic_in_use(nic)
        datapath = (
            settings.get("datapath_type")
            or current.external_id("ovn-bridge-datapath-type")
            or self._facts.datapath_type()
        )
        if is_new:
            saved = self._facts.learn(facts.saved_nic, nic, datapath == "netdev")
            saved_nic = as_text(saved) if saved else None
        host = gateway_host.GatewayHost(nic, mac or "", datapath, saved_nic)
        result = self._converge(part, gateway_host.rows(host), gateway_host.state(host), settings, first)
        result.facts.update(physical_mac=mac, bridge=names.uplink_bridge(nic))
        return result

    def _refuse_nic_in_use(self, nic: str) -> None:
        """Refuse a NIC that this host needs itself; :raises HostError: with the reason."""
        reason = None
        if "node" in users_of(nic):
            reason = f"it carries this host's tunnels, in {names.uplink_bridge(nic)}"
        reason = reason or self._facts.learn(facts.connection_over, nic)
        if reason:
            raise HostError(f"physical_interface {nic} can't be the gateway's alone: {reason}; use a NIC of its own")

    def _shared_gateway(self, part: Part, settings: Settings, first: HostState) -> Result:
        """Converge a gateway whose NIC the host uses too: the host keeps bridge, addresses and routes, and OVN is
        connected to the bridge."""
        bridge = self.bridge(settings)
        state = HostState(links=(Link(bridge["bridge"], owned=False),))
        saved = {"bridge": bridge["bridge"], "families": settings["families"], "nic": None}
        result = self._converge(part, gateway_host.shared_rows(bridge["bridge"]), state, saved, first)
        result.facts.update(bridge)
        return result

    def bridge(self, settings: Settings) -> dict[str, Any]:
        """Return the facts of a shared NIC's bridge: ``bridge``, ``physical_mac``, ``physical_ip``, ``default_gw``."""
        return self._facts.bridge(settings["bridge"], settings["families"])

    def default_address(self) -> str:
        """Return the address of the default route's link; :raises HostError: there is none."""
        return self._facts.default_address()

    def chassis(self) -> str | None:
        """Return the host's system-id; None where Open vSwitch does not run."""
        try:
            return self._current(NODE).external_id("system-id")
        except DatabaseError:
            return None

    def former(self) -> frozenset[str]:
        """Return the name under which this host is a node already, as far as it knows.

        A clone has the settings of its original, too, and not its tunnel address.
        """
        try:
            name, address = own_facts.saved_node(NODE_FILE)[0], self._current(NODE).external_id("ovn-encap-ip")
            is_here = bool(name and address) and facts.link_of_address(str(address)) is not None
        except (DatabaseError, HostError, ValueError):
            return frozenset()
        return frozenset({name} if is_here else ())

    def _expect(self, part: Part, settings: Settings | None) -> None:
        """Note whether Open vSwitch must run: not for the removal of a part that never came."""
        self._expects_database = settings is not None or os.path.exists(part.file)

    def _connect(self) -> AnyConnection:
        try:
            return Connection(self.remote, names.LOCAL)
        except DatabaseError as exc:
            if self.check:
                self.notes.append(f"the plan assumes that nothing is here yet: {exc}")
            elif self._expects_database:
                raise
            return NoDatabase()

    def _current(self, owner: Owner) -> Current:
        """Read the owner's rows, and the row of the table Open_vSwitch."""
        connection = self._connect()
        try:
            rows = read_rows(connection, LocalRows(owner).owned_queries())
            settings = read_rows(connection, [by_name("Open_vSwitch", ".", COLUMNS["Open_vSwitch"])])
        finally:
            connection.close()
        return Current(rows, next(iter(settings), None))

    def _converge(
        self, part: Part, rows: Sequence[Row], state: HostState, settings: Settings, first: HostState | None = None
    ) -> Result:
        """Converge a part, and save its settings for the next boot.

        :param first: the state to reach before the rows change.
        """
        content = json.dumps(settings, indent=2, sort_keys=True) + "\n"
        state = replace(state, files=(*state.files, File(part.file, content)))
        return self._converge_state(part, rows, first or HostState(), state)

    def _remove(self, part: Part, rows: Sequence[Row], state: HostState) -> Result:
        """Remove a part: the kernel's state comes before the rows change, files go after."""
        last = HostState(files=(*state.files, File(part.file, None)))
        return self._converge_state(part, rows, replace(state, files=()), last)

    def _converge_state(self, part: Part, rows: Sequence[Row], first: HostState, last: HostState) -> Result:
        desired = DesiredHost(LocalRows(part.owner, tuple(rows)), before=first, after=last)
        result = converge_host(self._connect, desired, f"ovn.kubernetes: {part.name}", self.check)
        result.notes = list(dict.fromkeys([*self.notes, *result.notes]))
        return result


def _refuse_other_overlay(current: Current, southbound: str) -> None:
    """Refuse a host that is a chassis of another OVN; :raises HostError: then."""
    remote = current.external_id("ovn-remote")
    if remote not in (None, southbound) and not os.path.exists(NODE_FILE):
        raise HostError(
            f"this host is a chassis of another OVN already (ovn-remote {remote}): take it out there, "
            "and remove external_ids:ovn-remote from its Open_vSwitch table"
        )


def _refuse_clone(current: Current, host: node_host.NodeHost, former: frozenset[str]) -> None:
    """Refuse a host with the system-id of another one; :raises HostError: then.

    A host that has saved this node as its own has passed this before: it needs no other host at a boot. One that has
    saved a former name of it has a new name.
    """
    chassis, name = current.external_id("system-id"), host.node.owner.name
    with contextlib.suppress(HostError):
        if own_facts.saved_node(NODE_FILE)[0] in former | {name}:
            return
    if chassis:
        clones.refuse_registered(host.southbound, chassis, name, host.encap_ip)


def _refuse_uplink_of_old_release(current: Current) -> None:
    """Refuse a host whose node has the tunnels' NIC among its own rows, as an early state of this collection made them.

    To converge it would delete the bridge that has the host's addresses.

    :raises HostError: then.
    """
    nic = uplink_nic(current.rows)
    if nic:
        raise HostError(
            f"the bridge {names.uplink_bridge(nic)} on this host was made by an earlier state of ovn.kubernetes, "
            "which can't hand it over: take the host out with that one first (ovn.kubernetes.remove)"
        )


def _saved_before_node(current: Current) -> tuple[str | None, str | None]:
    """Return net.ipv4.ip_forward and external_ids:hostname from before the node came; None where that is not known."""
    bridge = next((row for row in current.rows if row.role == "integration-bridge"), None)
    if bridge is None:
        return None, None
    return bridge.external_id(names.FORWARDING_KEY), bridge.external_id(names.HOSTNAME_KEY)
