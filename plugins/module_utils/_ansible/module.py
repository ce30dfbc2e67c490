# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the modules' doors share: options, and how a result or an error leaves. No Ansible in here: the module is handed in."""

from __future__ import annotations

import contextlib
import os

from .._common import names
from .._common.addressing import family
from .._common.errors import Conflict, DatabaseError, HostError, KubernetesError, RollbackFailed, SettingsError
from .._common.result import Result
from .._host.apply import ADVICE
from .._nic import checkpoint as guarded
from .._nic.plan import Change, kept_uplinks, users_of
from .._ovsdb.connection import Connection, NoDatabase
from .._ovsdb.converge import converge_rows, plan_rows
from .._ovsdb.transaction import operations
from .._topology.gateway import Gateway
from .._topology.gateway import check as check_gateway
from .._topology.host import Host
from .._topology.node import Node

CONNECTION = {
    "northbound": {"type": "str", "default": names.NORTHBOUND_SOCKET},
    "open_vswitch": {"type": "str", "default": names.LOCAL_SOCKET},
    "timeout": {"type": "int", "default": 10},
    "private_key": {"type": "path"},
    "certificate": {"type": "path"},
    "ca_cert": {"type": "path"},
}
OBJECT = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "part": {"type": "str", "choices": ["all", "northbound", "host"], "default": "all"},
    "cluster_ip_subnet": {"type": "list", "elements": "str"},
    "node_name": {"type": "str"},
}
NODE_HOST = {
    "southbound": {"type": "str", "default": names.SOUTHBOUND_SOCKET},
    "encap_type": {"type": "str", "choices": ["geneve"], "default": "geneve"},
    "encap_ip": {"type": "str"},
    "mtu": {"type": "int"},
    "datapath_type": {"type": "str", "choices": ["system", "netdev"]},
    "routes": {"type": "list", "elements": "str", "default": []},
}
MOVE_UNDERLAY = {"move_underlay": {"type": "bool", "default": True}}
NODES = {
    "type": "list",
    "elements": "dict",
    "options": {
        "node_name": {"type": "str", "required": True},
        "minion_switch_subnet": {"type": "list", "elements": "str"},
        "chassis": {"type": "str"},
    },
}
GATEWAY = {
    "physical_interface": {"type": "str"},
    "bridge_interface": {"type": "str"},
    "physical_ip": {"type": "list", "elements": "str"},
    "default_gw": {"type": "list", "elements": "str"},
    "physical_mac": {"type": "str"},
    "chassis": {"type": "str"},
    "mtu": {"type": "int"},
}
GATEWAYS = {"type": "list", "elements": "dict", "options": dict(GATEWAY, node_name={"type": "str", "required": True})}
TOGETHER = [("private_key", "certificate", "ca_cert")]


class Northbound:
    """The Northbound part of one call.

    :param connect: makes a connection.
    :param comment: who asks, for the database's log.
    :param check: plan only.
    """

    def __init__(self, connect, comment, check):
        self._connect = connect
        self._comment = comment
        self._check = check

    def look(self, overlay):
        """Find out what the database would refuse, before a host is touched; :raises DatabaseError: :raises SettingsError: in one sentence."""
        overlay.check()
        connection = self._connect()
        try:
            with contextlib.suppress(Conflict):  # it changes just now: the change itself plans anew
                operations(plan_rows(connection, overlay), self._comment)
        finally:
            connection.close()

    def converge(self, overlay):
        """Make it hold what is wanted."""
        overlay.check()
        return converge_rows(self._connect, overlay, self._comment, self._check)


def northbound(module, comment, notes):
    """The :class:`Northbound` of a module's options.

    :param notes: list that takes what the user should know.
    """
    params = module.params
    tls = {key: params[key] for key in ("private_key", "certificate", "ca_cert")} if params["private_key"] else None

    def connect():
        try:
            return Connection(params["northbound"], names.NORTHBOUND, params["timeout"], tls)
        except DatabaseError as exc:
            if not module.check_mode:
                raise
            notes.append(f"the plan assumes an empty Northbound database: {exc}")
            return NoDatabase()

    return Northbound(connect, f"ovn.kubernetes: {comment}", module.check_mode)


def looks(module):
    """Whether a call touches a host and the Northbound database: then it looks at the one before it touches the other."""
    return module.params["part"] == "all" and not module.check_mode


def node_host(module, subnet_option):
    """Converge the host's own part of the node that a module is about; its subnets are in ``subnet_option``.

    NICs stay where they are: the action plugin moves those that the facts name, where it is asked to.
    """
    single(module)
    params = module.params
    settings = {
        "name": params["node_name"],
        "subnets": params[subnet_option] or [],
        "cluster_subnets": params["cluster_ip_subnet"] or [],
    }
    settings.update((key, params[key]) for key in NODE_HOST)
    return Host(params["open_vswitch"], module.check_mode).node(
        settings if params["state"] == "present" else None, move_underlay=False
    )


def uplinks(module):
    """One turn of a change of NICs (the action plugin takes them in their order)."""
    params = module.params
    turn, identity = params["_turn"], params["_change"]
    present, user = params["state"] == "present", params["used_by"]
    nics = params["nics"] or ([] if present else kept_uplinks(user))
    if present and not nics:
        raise HostError("nics is empty: name at least one NIC")
    guarded.check_timeout("rollback_timeout", params["rollback_timeout"])
    kept = [nic for nic in kept_uplinks() if present or nic not in nics or set(users_of(nic)) - {user}]
    facts = {
        "bridges": {nic: names.uplink_bridge(nic) for nic in nics},
        "kept": kept,
        "others": [nic for nic in kept_uplinks(user) if nic not in nics],
    }
    if turn in ("look", "confirm"):
        outcome = guarded.look(identity) if turn == "look" else guarded.confirm(identity, params["rollback_timeout"])
        yield Result(facts=dict(facts, outcome=outcome.state, reason=outcome.reason))
        return
    host = Host(params["open_vswitch"], module.check_mode)

    def plan():
        return host.plan_uplinks(nics, present, user, params["datapath_type"]) if nics else Change()

    if turn == "begin" and not module.check_mode:
        change = guarded.begin(plan, nics, identity, params["rollback_timeout"], params["open_vswitch"], os.getpid())
    else:
        change = plan()
        if turn is None and change.acts and not module.check_mode:
            raise HostError(
                "nics_to_bridge needs its part on the controller, which connects anew and confirms: run it as ovn.kubernetes.nics_to_bridge"
            )
    yield Result(change.items, host.notes, facts)


def single(module):
    """A host's part is one object's; :raises SettingsError: for a list."""
    if module.params["node_name"] is None:
        raise SettingsError(
            f"part {module.params['part']} is about the host that this runs on: give node_name, and lists with part northbound only"
        )


def node(params, cluster):
    """A node of the options; ``cluster`` is the list cluster_ip_subnet."""
    return Node(params["node_name"], tuple(params["minion_switch_subnet"] or ()), tuple(cluster), params["chassis"])


def gateway(params, cluster):
    """A gateway of the options. :raises SettingsError: when they don't fit."""
    nic, bridge = params["physical_interface"], params["bridge_interface"]
    if bool(nic) == bool(bridge):
        raise SettingsError(
            f"gateway {params['node_name']} needs exactly one of physical_interface and bridge_interface"
        )
    made = Gateway(
        params["node_name"],
        tuple(cluster),
        tuple(params["physical_ip"] or ()),
        tuple(params["default_gw"] or ()),
        bridge or names.uplink_bridge(nic),
        params["chassis"],
        params["physical_mac"],
        params["mtu"],
        shared=bool(bridge),
    )
    check_gateway(made)
    return made


def gateway_host(params, cluster):
    """The settings of a gateway's host part, as :meth:`._topology.host.Host.gateway` takes them."""
    settings = {"nic": params["physical_interface"], "datapath_type": params.get("datapath_type")}
    if params["bridge_interface"]:
        settings.update(bridge=params["bridge_interface"], families=sorted({family(subnet) for subnet in cluster}))
    return settings


def leave(module, work):
    """Run ``work(notes)``, which returns results, and leave the module with them, or with one sentence that says what is wrong."""
    notes, results = [], []
    try:
        for result in work(notes):
            results.append(result)
    except (SettingsError, DatabaseError, HostError, KubernetesError, OSError) as exc:
        done = Result([item for result in results for item in result.plan])
        reason = _refused(exc) if isinstance(exc, OSError) else str(exc)
        module.fail_json(
            msg=reason,
            changed=(done.changed or isinstance(exc, RollbackFailed)) and not module.check_mode,
            plan=_told(done.plan),
        )
        return
    whole = Result([item for result in results for item in result.plan])
    answer = {"changed": whole.changed, "plan": _told(whole.plan)}
    for result in results:
        notes += result.notes
        answer.update(result.facts)
    if module._diff:
        answer["diff"] = whole.diff()
    for note in dict.fromkeys(notes):
        module.warn(note)
    module.exit_json(**answer)


def _told(plan):
    """A plan as RETURN documents it."""
    return [dict(item.as_dict(), text=item.describe()) for item in plan]


def _refused(error):
    """What the kernel answers, as a sentence."""
    advice = ADVICE.get(error.errno)
    return f"{error.filename or 'this host'} can't be read or changed: {error.strerror or error}{f' ({advice})' if advice else ''}"
