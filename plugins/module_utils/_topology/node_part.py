# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""This host's part of a node: whether it can be one, and which NIC moves. What the host must have is in
:mod:`.node_host`."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import HostError
from .._host import facts
from .._host.rows import uplink_nic
from .._nic.moved import moved_nics
from .._ovsdb import access
from .._ovsdb.rows import Owner
from . import before, clones, foreign, node_host, own_facts, used_networks
from .node_network import held_back
from .part import Part, Way

if TYPE_CHECKING:
    from typing import Any, Protocol

    from .._common.result import Result
    from .part import Current, LocalHost, Settings

    class MoveNics(Protocol):
        """Moves NICs into their bridges, or back: :meth:`.host.Host.uplinks`."""

        def __call__(self, nics: list[str], present: bool, user: str, datapath_type: str | None = None) -> Result:
            """Return what it has done, or would do."""


NODE = Owner("Node", "host")


@dataclass(frozen=True)
class NodePart:
    """The node's part.

    :ivar move_nics: moves NICs; None: the caller does.
    :ivar former: names under which the caller knows this host to have been a node.
    :ivar accepted: the settings are those that this host has saved. Its networks were compared before, and at a boot it
        reaches by other ways what it reaches through them.
    :ivar defer: leave what may cut this host off to the caller, who confirms it; settings are not saved then.
    """

    local: LocalHost
    move_nics: MoveNics | None
    former: frozenset[str] = frozenset()
    accepted: bool = False
    defer: bool = False

    def converge(self, settings: Settings | None) -> Result:
        """Converge it: :meth:`.host.Host.node`.

        :param settings: None: it is removed.
        """
        part = Part("node", NODE, names.NODE_SETTINGS)
        self.local.expect(part, settings)
        current = self.local.current(NODE)
        _refuse_uplink_of_old_release(current)
        if settings is None:
            return self._remove(part, current)
        self._refuse_foreign(current, settings)
        host, underlay_nic = self.local.facts.node_host(settings)
        _refuse_clone(current, host, self.former)
        host = replace(host, own_links=frozenset(own_facts.own_links(current.rows, host.node.owner.name)))
        if not self.accepted:
            self._refuse_used(host)
        host = self._with_saved(host, current)
        host = replace(host, scale={**dict.fromkeys(own_facts.saved_scale()), **host.scale})
        # A boot gives no NIC back, and must not depend on what is kept of each.
        spare_nics = [] if self.accepted else [nic for nic in moved_nics("node") if nic != underlay_nic]
        moves = self._moves(underlay_nic, spare_nics, host.datapath_type)
        result = self._change(part, host, settings)
        result.plan = [*moves, *result.plan]
        result.facts.update(
            chassis=current.external_id("system-id"),
            datapath_type=host.datapath_type,
            encap_ip=host.encap_ip,
            mtu=host.mtu,
            management_ips=[cidr.split("/")[0] for cidr in host.node.management_addresses()],
            underlay_nic=None if self.move_nics else underlay_nic,
            spare_nics=[] if self.move_nics else spare_nics,
        )
        return result

    def _remove(self, part: Part, current: Current) -> Result:
        moved = moved_nics("node")
        forwarding, hostname = _saved_before_node(current)
        result = self.local.remove(
            part, node_host.absent_rows(hostname, own_facts.saved_scale()), Way(node_host.absent_state(forwarding))
        )
        if self.move_nics:
            result.plan = [*result.plan, *self.move_nics(moved, False, "node").plan]
        return result

    def _refuse_foreign(self, current: Current, settings: Settings) -> None:
        """Refuse a host that belongs to another overlay; :raises HostError: then."""
        foreign.refuse_other_identity(current.settings, settings["southbound"])
        if access.uses_tls(settings["southbound"]):
            with self.local.database() as database:
                foreign.refuse_other_tls(database)
        if os.path.exists(names.NODE_SETTINGS):
            return
        if not current.rows:
            foreign.refuse_other_overlay(current.settings, settings["southbound"])
        with self.local.database() as database:
            is_chassis = current.external_id("ovn-remote") is not None
            foreign.refuse_integration_bridge(database, self.local.remote, is_chassis)

    def _refuse_used(self, host: node_host.NodeHost) -> None:
        """Refuse networks of which this host uses a part already; :raises HostError: then."""
        pods, peers = host.node.cluster_subnets, used_networks.southbound_peers(host.southbound)
        found = self.local.facts.learn(used_networks.uses_of_host, pods, host.routes, host.own_links, peers)
        error = used_networks.refusal(pods, found or ())
        if error:
            raise error

    def _with_saved(self, host: node_host.NodeHost, current: Current) -> node_host.NodeHost:
        """Return the host with what it had before it was a node."""
        forwarding, hostname = _saved_before_node(current)
        if hostname is None and not current.rows:
            hostname = current.external_id("hostname") or ""
        forwarding = forwarding or self.local.facts.learn(facts.sysctl, node_host.FORWARDING)
        return replace(host, saved_forwarding=forwarding, saved_hostname=hostname)

    def _moves(self, underlay_nic: str | None, spare_nics: list[str], datapath_type: str) -> list[Any]:
        """Move NICs back that the tunnels no longer need, and the one into its bridge that they need there."""
        if not self.move_nics:
            return []
        back = self.move_nics(spare_nics, False, "node")
        there = self.move_nics([underlay_nic] if underlay_nic else [], True, "node", datapath_type)
        self.local.notes += [] if self.local.check else there.notes
        return [*back.plan, *there.plan]

    def _change(self, part: Part, host: node_host.NodeHost, settings: Settings) -> Result:
        """Converge rows and state, without what is deferred."""
        saved = {names.FORWARDING_KEY: host.saved_forwarding, names.HOSTNAME_KEY: host.saved_hostname}
        rows, state = node_host.rows(host), node_host.state(host)
        state = replace(state, files=(*state.files, before.file(names.NODE_SETTINGS, saved)))
        held = None
        if self.defer and not self.local.check:
            held = held_back(state, names.management_link(host.node.owner.name), host.own_links)
        if not held:
            return self.local.converge(part, rows, state, settings)
        result = self.local.converge_state(part, rows, Way(), held.rest(state))
        result.facts["network"] = held.as_option()
        return result


def _refuse_clone(current: Current, host: node_host.NodeHost, former: frozenset[str]) -> None:
    """Refuse a host with the system-id of another one; :raises HostError: then.

    A host that has saved this node as its own has passed this before: it needs no other host at a boot. One that has
    saved a former name of it has a new name.
    """
    chassis, name = current.external_id("system-id"), host.node.owner.name
    with contextlib.suppress(HostError):
        if own_facts.saved_node(names.NODE_SETTINGS)[0] in former | {name}:
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
    saved = before.kept(names.NODE_SETTINGS, bridge)
    return saved.get(names.FORWARDING_KEY), saved.get(names.HOSTNAME_KEY)
