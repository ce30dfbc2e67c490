# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Converge this host: its part of a node (:mod:`.node_part`), its part of a gateway (:mod:`.gateway_part`), its NICs.

Settings are plain JSON values. They are saved below /etc/ovn-kubernetes, and the program ``ovn-k8s-host`` converges
them again after a boot, so that what the kernel forgets comes back without a controller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import DatabaseError, HostError
from .._common.result import Result
from .._host import facts
from .._nic.executor import change_now, finish_pending, restore_now
from .._nic.journal import host_journal
from .._nic.moved import users_of
from .._nic.plan import plan as plan_uplinks
from . import own_facts, user_settings
from .gateway_part import GatewayPart
from .node_network import Held
from .node_part import NODE, NodePart
from .part import LocalHost

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from .._nic.plan import Change
    from .part import Settings

    PlanChange = Callable[[], Change]


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
        self._local = LocalHost(remote, check)
        self._move = move or self._move_at_once

    @property
    def notes(self) -> list[str]:
        """What users have to know beside the results."""
        return self._local.notes

    def _move_at_once(self, plan: PlanChange, nics: Sequence[str]) -> Change:
        return change_now(host_journal(), plan, nics, self._local.remote)

    def node(
        self,
        settings: Settings | None,
        move_underlay: bool = True,
        former: frozenset[str] = frozenset(),
        accepted: bool = False,
        defer: bool = False,
    ) -> Result:
        """Converge the node's part.

        :param settings: as :func:`.options.node_host` makes them; None: the node is removed.
        :param move_underlay: whether to move NICs: into its bridge the one that the tunnels need there, and back those
            that they no longer need.
        :param former: names under which the caller knows this host to have been a node.
        :param accepted: the settings are those that this host has saved. Its networks were compared before, and at a
            boot it reaches by other ways what it reaches through them.
        :param defer: leave what may cut this host off to the caller, who confirms it; settings are not saved then.
        :returns: the result, with the facts ``chassis``, ``datapath_type``, ``encap_ip``, ``mtu`` and
            ``management_ips``; ``network`` is what was deferred, for :meth:`plan_network`. Without ``move_underlay``
            also the NICs that are to be moved: ``underlay_nic`` into its bridge, ``spare_nics`` back.
        :raises SettingsError: the settings can't work.
        :raises HostError: this host can't be what they say.
        """
        move_nics = self.uplinks if move_underlay else None
        return NodePart(self._local, move_nics, former, accepted, defer).converge(settings)

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
        change = plan() if self._local.check else self._move(plan, nics)
        return Result(change.items, change.notes)

    def plan_uplinks(self, nics: Sequence[str], present: bool, user: str, datapath_type: str | None = None) -> Change:
        """Return the change that :meth:`uplinks` makes."""
        return plan_uplinks(self._local.connect, nics, present, user, datapath_type)

    def plan_network(self, network: Mapping[str, Any]) -> Change:
        """Return the change by which this host gets what :meth:`node` has deferred."""
        return Held.from_option(network).change()

    def finish_uplinks(self) -> Result:
        """Bring a change of NICs that a boot has interrupted to its end."""
        finish_pending(host_journal())
        return Result()

    def restore_uplink(self, nic: str) -> Result:
        """Move a NIC into its bridge again, as its saved settings say."""
        user = next(iter(users_of(nic)), "request")
        change = restore_now(host_journal(), lambda: self.plan_uplinks([nic], True, user), [nic], self._local.remote)
        return Result(change.items, change.notes)

    def gateway(self, settings: Settings | None, accepted: bool = False) -> Result:
        """Converge the gateway's part.

        :param settings: as :func:`.options.gateway_host` makes them; None: the gateway is removed.
        :param accepted: the settings are those that this host has saved.
        :returns: the result, with the facts ``chassis``, ``physical_mac``, ``physical_mtu`` and ``bridge``;
            for a shared NIC also ``physical_ip`` and ``default_gw``.
        :raises HostError: this host can't be what the settings say.
        """
        return GatewayPart(self._local, accepted).converge(settings)

    def refuse_in_use(self, nic: str) -> None:
        """Refuse a NIC that this host needs itself, in its bridge or outside; :raises HostError: with the reason."""
        GatewayPart(self._local).refuse_in_use(nic)

    def bridge(self, settings: Settings) -> dict[str, Any]:
        """Return the facts of a shared NIC's bridge: ``bridge``, ``physical_mac``, ``physical_ip``, ``default_gw``."""
        return self._local.facts.bridge(settings["bridge"], settings["families"])

    def default_address(self) -> str:
        """Return the address of the default route's link; :raises HostError: there is none."""
        return self._local.facts.default_address()

    def differing_settings(self, wanted: Sequence[user_settings.Setting]) -> list[user_settings.Change]:
        """Return which of the users' own settings of Open vSwitch differ."""
        with self._local.database() as database:
            return user_settings.changes(database, wanted, self._local.check)

    def chassis(self) -> str | None:
        """Return the host's system-id; None where Open vSwitch does not run."""
        try:
            return self._local.current(NODE).external_id("system-id")
        except DatabaseError:
            return None

    def former(self) -> frozenset[str]:
        """Return the name under which this host is a node already, as far as it knows.

        A clone has the settings of its original, too, and not its tunnel address.
        """
        try:
            name = own_facts.saved_node(names.NODE_SETTINGS)[0]
            address = self._local.current(NODE).external_id("ovn-encap-ip")
            is_here = bool(name and address) and facts.link_of_address(str(address)) is not None
        except (DatabaseError, HostError, ValueError):
            return frozenset()
        return frozenset({name} if is_here else ())
