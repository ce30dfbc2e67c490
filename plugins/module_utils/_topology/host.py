# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""This host: its settings, and what can be learnt of it, become what is wanted here, and are converged.

The settings are plain JSON values. They are kept in /etc/ovn-kubernetes, from where the program ``host`` converges again
after a boot: what the kernel forgets comes back without a controller.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace

from .._common import addressing, names
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
from . import gateway_host, node_host
from . import node as node_policy

NODE_FILE = names.SETTINGS_DIRECTORY + "/node.json"
GATEWAY_FILE = names.SETTINGS_DIRECTORY + "/gateway.json"
NODE = Owner("Node", "host")
GATEWAY = Owner("Gateway", "host")


class Host:
    """The host that this runs on.

    :param remote: of the host's Open_vSwitch database.
    :param check: plan only; then a host without Open vSwitch is one where everything is still to be made.
    :param move: ``move(plan, nics)`` carries out a change of NICs; by default here and now, without anybody who must confirm it.
    """

    def __init__(self, remote=names.LOCAL_SOCKET, check=False, move=None):
        self.remote = remote
        self.check = check
        self.notes = []
        self._move = move or (lambda plan, nics: change_now(host_journal(), plan, nics, remote))

    def node(self, settings, move_underlay=True):
        """Converge the node's part; ``settings`` as :func:`node_settings` makes them, None: the node goes.

        :param move_underlay: whether NICs are moved here: the one that must be in a bridge for the tunnels, and back those that must no longer.
        :returns: a :class:`._common.result.Result` with the facts ``chassis``, ``datapath_type``, ``encap_ip``, ``mtu``, ``management_ips``;
            and what is still to be moved: ``underlay_nic`` to its bridge (or compared there), ``spare_nics`` back.
        """
        own, switch = self._own(NODE)
        _refuse_older_uplink(own)
        moved = moved_nics("node")
        if settings is None:
            forwarding, hostname = _before(own)
            rows, state = node_host.absent_rows(hostname), node_host.absent_state(forwarding)
            result = self._converge(NODE, "node", rows, state, NODE_FILE, None, {})
            if move_underlay:
                result.plan += self.uplinks(moved, False, "node").plan
            return result
        self._refuse_other_overlay(switch, settings["southbound"])
        host, underlay = self._node_host(settings)
        forwarding, hostname = _before(own)
        if hostname is None and not own:
            hostname = (switch.external_id("hostname") if switch else None) or ""
        host = replace(
            host,
            saved_forwarding=forwarding or self._learn(facts.sysctl, node_host.FORWARDING),
            saved_hostname=hostname,
        )
        spare, plan = [nic for nic in moved if nic != underlay], []
        if move_underlay:
            plan += self.uplinks(spare, False, "node").plan
            plan += self.uplinks([underlay] if underlay else [], True, "node", host.datapath_type).plan
        result = self._converge(
            NODE,
            "node",
            node_host.rows(host),
            node_host.state(host),
            NODE_FILE,
            settings,
            {
                "datapath_type": host.datapath_type,
                "encap_ip": host.encap_ip,
                "mtu": host.mtu,
                "management_ips": [cidr.split("/")[0] for cidr in host.node.management_addresses()],
                "underlay_nic": None if move_underlay else underlay,
                "spare_nics": [] if move_underlay else spare,
            },
        )
        result.plan = plan + result.plan
        result.facts["chassis"] = switch.external_id("system-id") if switch else None
        return result

    def uplinks(self, nics, present, user, datapath_type=None):
        """Say that ``user`` needs the NICs in their bridges, or needs them no longer.

        :param user: one of :data:`._nic.uplink.USERS`.
        :returns: a :class:`._common.result.Result`.
        """

        def plan():
            return self.plan_uplinks(nics, present, user, datapath_type)

        if not nics:
            return Result()
        change = plan() if self.check else self._move(plan, nics)
        return Result(change.items)

    def plan_uplinks(self, nics, present, user, datapath_type=None):
        """The same as a :class:`._nic.plan.Change`, not done."""
        return plan_uplinks(self._connect, nics, present, user, datapath_type)

    def finish_uplinks(self):
        """Bring a change of NICs that a boot has cut off to its end."""
        finish_pending(host_journal())
        return Result()

    def restore_uplink(self, nic):
        """Bring a NIC into the bridge where it is kept."""
        return self.uplinks([nic], True, users_of(nic)[0])

    def gateway(self, settings):
        """Converge the gateway's part; ``settings`` as :func:`gateway_settings` makes them, None: the gateway goes.

        :returns: a :class:`._common.result.Result` with the facts ``chassis``, ``physical_mac`` and ``bridge``.
        """
        own, switch = self._own(GATEWAY)
        nic = uplink_nic(own)
        kept = next((row.external_id(names.NIC_BEFORE_KEY) for row in own if row.external_id(names.UPLINK_KEY)), None)
        if settings is None:
            rows, state = gateway_host.absent_rows(), gateway_host.absent_state(nic, from_text(nic, kept))
            return self._converge(GATEWAY, "gateway", rows, state, GATEWAY_FILE, None, {})
        wanted = settings["nic"]
        before = gateway_host.absent_state(nic, from_text(nic, kept)) if nic and nic != wanted else HostState()
        if wanted is None:
            return self._shared_gateway(settings, switch, before)
        mac = self._learn(facts.link_mac, wanted)
        if mac is None and not self.check:
            raise HostError(
                f"physical_interface {wanted} does not exist on this host: name the NIC that leads outside (ip link shows them)"
            )
        if nic != wanted:
            reason = (
                "it carries this host's tunnels, in " + names.uplink_bridge(wanted)
                if "node" in users_of(wanted)
                else None
            )
            reason = reason or self._learn(facts.connection_over, wanted)
            if reason:
                raise HostError(
                    f"physical_interface {wanted} can't be the gateway's alone: {reason}; use a NIC of its own"
                )
        datapath = (
            settings.get("datapath_type")
            or (switch.external_id("ovn-bridge-datapath-type") if switch else None)
            or self._datapath()
        )
        if nic != wanted:
            had = self._learn(facts.saved_nic, wanted, datapath == "netdev")
            kept = as_text(had) if had else None
        host = gateway_host.GatewayHost(wanted, mac or "", datapath, kept)
        result = self._converge(
            GATEWAY,
            "gateway",
            gateway_host.rows(host),
            gateway_host.state(host),
            GATEWAY_FILE,
            settings,
            {"physical_mac": mac, "bridge": names.uplink_bridge(wanted)},
            before,
        )
        result.facts["chassis"] = switch.external_id("system-id") if switch else None
        return result

    def _shared_gateway(self, settings, switch, before):
        """A gateway whose NIC the host has too: the host keeps bridge, addresses and routes, and OVN gets a way to the bridge.

        :returns: as :meth:`gateway`, with the facts ``physical_ip`` and ``default_gw``, which the rows take where nothing is given.
        """
        learnt = self.bridge(settings)
        bridge = learnt["bridge"]
        state = HostState(links=(Link(bridge, owned=False),))
        kept = {"bridge": bridge, "families": settings["families"], "nic": None}
        result = self._converge(
            GATEWAY, "gateway", gateway_host.shared_rows(bridge), state, GATEWAY_FILE, kept, learnt, before
        )
        result.facts["chassis"] = switch.external_id("system-id") if switch else None
        return result

    def bridge(self, settings):
        """What a gateway has of the bridge whose NIC it shares: ``bridge``, ``physical_mac``, ``physical_ip``, ``default_gw``."""
        bridge = settings["bridge"]
        mac = self._learn(facts.link_mac, bridge)
        if mac is None and not self.check:
            raise HostError(
                f"bridge_interface {bridge} does not exist on this host: move the NIC into it first (nics_to_bridge)"
            )
        found = self._learn(facts.configured_addresses, bridge) or ()
        ips = [
            cidr
            for cidr in (
                next((one for one in found if addressing.family(one) == version), None)
                for version in settings["families"]
            )
            if cidr
        ]
        hops = [
            hop for hop in (self._learn(facts.next_hop, bridge, version) for version in settings["families"]) if hop
        ]
        return {"physical_mac": mac, "bridge": bridge, "physical_ip": ips, "default_gw": hops}

    def chassis(self):
        """The host's system-id, None where Open vSwitch does not run."""
        try:
            switch = self._own(NODE)[1]
        except DatabaseError:
            return None
        return switch.external_id("system-id") if switch else None

    def _node_host(self, settings):
        """The node's settings, completed with what this host is; and the NIC that must be in a bridge for its tunnels, None where none must."""
        node = node_policy.Node(settings["name"], tuple(settings["subnets"]), tuple(settings["cluster_subnets"]))
        node_policy.check(node, settings.get("mtu"))
        encap_ip = settings.get("encap_ip") or self.default_address()
        link = self._learn(facts.link_of_address, encap_ip)
        if link is None and not self.check:
            raise HostError(
                f"encap_ip {encap_ip} is on no link of this host: give the address of the NIC that leads to the other nodes"
            )
        datapath = settings.get("datapath_type") or self._datapath()
        mtu = (
            settings.get("mtu")
            or (self._learn(facts.link_mtu, link) or 1500) - addressing.GENEVE_OVERHEAD[addressing.family(encap_ip)]
        )
        # Userspace tunnels leave through a bridge of their own datapath only, and once the NIC is in its bridge, that has the address.
        underlay = (
            next((nic for nic in moved_nics() if link == names.uplink_bridge(nic)), link)
            if datapath == "netdev"
            else None
        )
        return node_host.NodeHost(
            node,
            settings["southbound"],
            settings.get("encap_type") or "geneve",
            encap_ip,
            mtu,
            datapath,
            routes=tuple(settings.get("routes") or ()),
            programs=os.path.exists(names.ARCHIVE),
        ), underlay

    @staticmethod
    def _refuse_other_overlay(switch, southbound):
        """A chassis of somebody else's OVN is not taken over."""
        remote = switch.external_id("ovn-remote") if switch else None
        if remote not in (None, southbound) and not os.path.exists(NODE_FILE):
            raise HostError(
                f"this host is a chassis of another OVN already (ovn-remote {remote}): take it out there, "
                "and remove external_ids:ovn-remote from its Open_vSwitch table"
            )

    def default_address(self):
        """The address of the default route's link."""
        for version in (4, 6):
            link = self._learn(facts.default_route_link, version)
            for cidr in self._learn(facts.configured_addresses, link) or () if link else ():
                if addressing.family(cidr) == version:
                    return cidr.split("/")[0]
        raise HostError(
            "this host has no default route, so its tunnel address is not known: set encap_ip (in the inventory ovn_encap_ip)"
        )

    def _datapath(self):
        """system where the kernel has Open vSwitch's datapath, else netdev."""
        return "system" if self._learn(facts.has_kernel_datapath) in (True, None) else "netdev"

    def _learn(self, question, *args):
        """A fact of this host; in check mode None where it can't be learnt yet."""
        try:
            return question(*args)
        except HostError:
            if self.check:
                return None
            raise

    def _connect(self):
        try:
            return Connection(self.remote, names.LOCAL)
        except DatabaseError as exc:
            if not self.check:
                raise
            self.notes.append(f"the plan assumes that nothing is here yet: {exc}")
            return NoDatabase()

    def _own(self, owner):
        """The owner's rows on this host, and the row of Open_vSwitch."""
        connection = self._connect()
        try:
            subject = LocalRows(owner)
            switch = by_name("Open_vSwitch", ".", COLUMNS["Open_vSwitch"])
            return read_rows(connection, subject.owned_queries()), next(iter(read_rows(connection, [switch])), None)
        finally:
            connection.close()

    def _converge(self, owner, what, rows, state, path, settings, learnt, before=None):
        """Converge rows and state, and keep the settings for the next boot."""
        content = None if settings is None else json.dumps(settings, indent=2, sort_keys=True) + "\n"
        if settings is None:
            before, state = state, HostState(files=state.files)
            before = replace(before, files=())
        state = replace(state, files=(*state.files, File(path, content)))
        result = converge_host(
            self._connect,
            DesiredHost(LocalRows(owner, tuple(rows)), before or HostState(), state),
            f"ovn.kubernetes: {what}",
            self.check,
        )
        result.notes = list(dict.fromkeys(self.notes + result.notes))
        result.facts.update(learnt)
        return result


def _refuse_older_uplink(own):
    """The tunnels' NIC was once among the node's own rows, where nothing wants it now: the host would lose the bridge that its addresses are on."""
    nic = uplink_nic(own)
    if nic:
        raise HostError(
            f"the bridge {names.uplink_bridge(nic)} on this host was made by an earlier state of ovn.kubernetes, which can't hand it over: "
            "take the host out with that one first (ovn.kubernetes.remove)"
        )


def _before(own):
    """net.ipv4.ip_forward and external_ids:hostname as they were before the node came, None where that is not known."""
    bridge = next((row for row in own if row.role == "integration-bridge"), None)
    return (
        (bridge.external_id(names.FORWARDING_KEY), bridge.external_id(names.HOSTNAME_KEY)) if bridge else (None, None)
    )
