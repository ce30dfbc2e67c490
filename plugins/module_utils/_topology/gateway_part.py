# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""This host's part of a gateway: which NIC may be its, and what a NIC gets back that is no longer. What the host must
have is in :mod:`.gateway_host`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import HostError
from .._host import facts
from .._host.desired import HostState, Link
from .._host.liberal_conntrack import LiberalConntrack
from .._host.rows import uplink_nic
from .._nic import alone
from .._nic.moved import gateway_nic, gateway_nics, users_of
from . import before, foreign, gateway_host
from .part import Part, Way

if TYPE_CHECKING:
    from .._common.result import Result
    from .._nic.moved import MovedNic
    from .._ovsdb.rows import CurrentRow
    from .part import Current, LocalHost, Settings


@dataclass(frozen=True)
class GatewayPart:
    """The gateway's part.

    :ivar accepted: the settings are those that this host has saved.
    """

    local: LocalHost
    accepted: bool = False

    def converge(self, settings: Settings | None) -> Result:
        """Converge it: :meth:`.host.Host.gateway`.

        :param settings: None: it is removed.
        """
        part = _part()
        self.local.expect(part, settings)
        current = self.local.current(gateway_host.OWNER)
        old_nic = uplink_nic(current.rows)
        bridge = next((row for row in current.rows if row.external_id(names.UPLINK_KEY)), None)
        nic = settings["nic"] if settings else None
        way = self._others_gone(nic, old_nic, bridge)
        if settings is None:
            return self.local.remove(part, gateway_host.absent_rows(), way)
        result = (
            self._shared(part, settings, current, way)
            if nic is None
            else self._dedicated(part, settings, current, bridge if old_nic == nic else None, way)
        )
        result.facts["chassis"] = current.external_id("system-id")
        return result

    def _others_gone(self, nic: str | None, old_nic: str | None, bridge: CurrentRow | None) -> Way:
        """Return how NICs that are no longer the gateway's get back what they had; one that is gone gets nothing.

        :param nic: the gateway's own NIC from now on; None: it has none.
        :param old_nic: the one that it has had.
        :param bridge: of that one.
        """
        freed = [one for one in dict.fromkeys([*gateway_nics(), *([old_nic] if old_nic else [])]) if one != nic]
        rows = {old_nic: bridge.external_id(names.NIC_BEFORE_KEY)} if bridge else {}
        at_last = tuple(state for one in freed for state in alone.returned(one, rows.get(one)))
        kept = before.kept(names.GATEWAY_SETTINGS)
        old_nic = old_nic or kept.get(before.NIC)  # somebody has deleted its bridge
        if old_nic is None or old_nic == nic:
            return Way(at_last=at_last)
        is_here = self.local.facts.learn(facts.link_mac, old_nic) is not None
        saved = before.kept(names.GATEWAY_SETTINGS, bridge, old_nic)
        saved_settings = saved.get(names.NIC_SETTINGS_BEFORE_KEY) if is_here else None
        return Way(gateway_host.absent_state(old_nic, saved_settings), at_last)

    def _dedicated(
        self, part: Part, settings: Settings, current: Current, bridge: CurrentRow | None, way: Way
    ) -> Result:
        """Converge a gateway that has a NIC of its own.

        :param bridge: the bridge of this NIC, which keeps what the NIC had before the gateway; None: there is none.
        :param way: how another NIC gets its configuration back.
        """
        learn = self.local.facts.learn
        nic = settings["nic"]
        mac = learn(facts.link_mac, nic)
        if mac is None and not self.local.check:
            raise HostError(
                f"physical_interface {nic} does not exist on this host: "
                "name the NIC that is connected to the physical network (ip link shows them)"
            )
        if bridge is None:
            self.refuse_in_use(nic)
            with self.local.database() as database:
                foreign.refuse_new_uplink(database, nic)
                foreign.refuse_other_mapping(database, current.settings, names.uplink_bridge(nic))
        datapath = (
            settings.get("datapath_type")
            or current.external_id("ovn-bridge-datapath-type")
            or self.local.facts.datapath_type()
        )
        if mac is not None:
            with self.local.database() as database:
                alone.refuse(database, nic, datapath, bridge is not None)
        kept, learns = self._kept(nic, mac, datapath, bridge)
        row = bridge.external_id(names.NIC_BEFORE_KEY) if bridge else None
        ipv6 = learn(facts.sysctl, gateway_host.IPV6_DEFAULT) is not None
        host = gateway_host.GatewayHost(
            nic,
            mac or "",
            datapath,
            alone.row_text(nic, kept) if kept else row,
            self._saved_settings(part, nic, bridge, ipv6),
            ipv6,
        )
        state = gateway_host.state(host)
        saved = {before.NIC: nic, names.NIC_SETTINGS_BEFORE_KEY: host.saved_settings}
        state = replace(state, files=(*state.files, before.file(names.GATEWAY_SETTINGS, saved)))
        if kept:
            told = alone.state(nic, kept, bridge is None or learns)
            state = replace(state, files=(*state.files, *told.files), file_readers=told.file_readers)
        result = self.local.converge(part, gateway_host.rows(host), state, settings, way)
        mtu = learn(facts.link_mtu, nic)
        result.facts.update(physical_mac=mac, physical_mtu=mtu, bridge=names.uplink_bridge(nic))
        return result

    def _kept(
        self, nic: str, mac: str | None, datapath: str, bridge: CurrentRow | None
    ) -> tuple[MovedNic | None, bool]:
        """Return what is kept of a NIC, and whether it was learnt just now.

        At a boot nothing is learnt of a NIC that an earlier version has taken.
        """
        kept = gateway_nic(nic)
        if kept is not None or mac is None or self.accepted:
            return kept, False
        row = bridge.external_id(names.NIC_BEFORE_KEY) if bridge else None
        return alone.learn(nic, datapath, row, bridge is not None), True

    def _saved_settings(self, part: Part, nic: str, bridge: CurrentRow | None, ipv6: bool) -> str:
        """Return the kernel's settings that the NIC had before it was the gateway's, as text.

        An earlier release has kept none: then these settings are still the NIC's own. Where the bridge is lost they are
        the gateway's, and the NIC gets what a new one has.
        """
        saved = before.kept(names.GATEWAY_SETTINGS, bridge, nic).get(names.NIC_SETTINGS_BEFORE_KEY)
        if saved is not None:
            return saved
        is_lost = bridge is None and part.has_saved("nic", nic)
        keys = gateway_host.settings_of("default" if is_lost else nic, ipv6)
        return gateway_host.settings_text(
            {setting: self.local.facts.learn(facts.sysctl, key) for setting, key in keys.items()}
        )

    def refuse_in_use(self, nic: str) -> None:
        """Refuse a NIC that this host needs itself, in its bridge or outside; :raises HostError: with the reason."""
        reason = None
        if "node" in users_of(nic):
            reason = f"it carries this host's tunnels, in {names.uplink_bridge(nic)}"
        link = names.uplink_bridge(nic) if users_of(nic) else nic
        reason = reason or self.local.facts.learn(facts.connection_over, link)
        if reason:
            raise HostError(f"physical_interface {nic} can't be the gateway's alone: {reason}; use a NIC of its own")

    def _shared(self, part: Part, settings: Settings, current: Current, way: Way) -> Result:
        """Converge a gateway whose NIC the host uses too: the host keeps bridge, addresses and routes, and OVN is
        connected to the bridge."""
        bridge = self.local.facts.bridge(settings["bridge"], settings["families"])
        if not part.has_saved("bridge", settings["bridge"]):
            with self.local.database() as database:
                foreign.refuse_uplink_bridge(database, self.local.remote, settings["bridge"])
                foreign.refuse_other_mapping(database, current.settings, settings["bridge"])
        netdev = current.external_id("ovn-bridge-datapath-type") == "netdev"
        state = HostState(
            links=(Link(bridge["bridge"], owned=False),),
            files=(before.file(names.GATEWAY_SETTINGS, None),),
            companions=(LiberalConntrack(),) if netdev else (),
        )
        saved = {"bridge": bridge["bridge"], "families": settings["families"], "nic": None}
        result = self.local.converge(part, gateway_host.shared_rows(bridge["bridge"]), state, saved, way)
        result.facts.update(bridge)
        return result


def is_gateways_alone(nic: str) -> bool:
    """Return whether a NIC is the gateway's alone, as the host has saved it."""
    return _part().has_saved("nic", nic)


def _part() -> Part:
    return Part("gateway", gateway_host.OWNER, names.GATEWAY_SETTINGS)
