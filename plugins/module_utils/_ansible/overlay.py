# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The work of ovn_master_init, ovn_minion_init and ovn_gateway: options become settings, and both parts of an object
are converged.

Each function yields one result for each part. A call for both parts first lets the Northbound database refuse
(preflight), so that nothing is changed on a host for rows that can't be written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import DatabaseError, SettingsError
from .._ovsdb import access
from .._ovsdb.connection import Connection, NoDatabase
from .._topology import options
from .._topology.cluster import Cluster
from .._topology.gateway_checks import missing_next_hops
from .._topology.host import Host
from .._topology.northbound import Northbound
from .._topology.overlay import Overlay, gateway_owner, node_owner

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from .._common.result import Result
    from .._topology.node import Node
    from .results import Module

TLS_OPTIONS = ("private_key", "certificate", "ca_cert")


def converge_cluster(module: Module, notes: list[str]) -> Iterator[Result]:
    """Converge the cluster's rows with those of nodes and gateways, and the master as a node."""
    params = module.params
    overlay = _cluster_overlay(module) if params["state"] == "present" else Overlay(everything=True)
    northbound = northbound_of(module, "ovn_master_init", notes)
    if params["part"] != "northbound" and params["node_name"]:
        overlay.check()
        if _needs_preflight(module):
            northbound.preflight(overlay)
        result = _converge_node_host(module, "master_switch_subnet")
        yield result
        if result.facts.get("network"):  # the controller calls again, once it has confirmed that
            return
    if params["part"] != "host":
        yield northbound.converge(overlay)
        if params["state"] == "absent":
            yield northbound.remove_marks()
        if params["rebalance_egress"] and params["state"] == "present":
            yield northbound.rebalance()


def _cluster_overlay(module: Module) -> Overlay:
    """Return the rows of ovn_master_init as settings; the master is a node where it has a name."""
    params = module.params
    cluster_subnets = params["cluster_ip_subnet"] or []
    master: tuple[Node, ...] = ()
    if params["node_name"]:
        chassis = _chassis(module)
        master = (options.node({**params, "chassis": chassis}, cluster_subnets, "master_switch_subnet"),)
    both = set(map(gateway_owner, params["absent_gateways"])) & {
        gateway_owner(one["node_name"]) for one in params["gateways"]
    }
    if both:
        names_of_both = ", ".join(sorted(owner.name for owner in both))
        raise SettingsError(f"gateways and absent_gateways both name {names_of_both}: name it in one of them")
    return Overlay(
        cluster=Cluster(tuple(cluster_subnets), tuple(params["join_subnet"] or ())),
        nodes=(*master, *(options.node(node, cluster_subnets) for node in params["nodes"])),
        gateways=tuple(options.gateway(gateway, cluster_subnets) for gateway in params["gateways"]),
        absent=tuple(map(gateway_owner, params["absent_gateways"])),
        known=frozenset(map(names.node_name, params["known_nodes"])),
        former=_former(module),
    )


def converge_nodes(module: Module, notes: list[str]) -> Iterator[Result]:
    """Converge nodes' rows, and the host's own part of one node."""
    params = module.params
    cluster_subnets = params["cluster_ip_subnet"] or []
    nodes = params["nodes"] or [{**params, "chassis": _chassis(module)}]
    owners = tuple(node_owner(node["node_name"]) for node in nodes)
    overlay = Overlay(absent=owners)
    if params["state"] == "present":
        overlay = Overlay(nodes=tuple(options.node(node, cluster_subnets) for node in nodes), former=_former(module))
    northbound = northbound_of(module, "ovn_minion_init " + ", ".join(owner.name for owner in owners), notes)
    if _needs_preflight(module):
        northbound.preflight(overlay)
    if params["part"] != "northbound":
        result = _converge_node_host(module, "minion_switch_subnet")
        yield result
        if result.facts.get("network"):  # as above
            return
    if params["part"] != "host":
        yield northbound.converge(overlay)


def converge_gateways(module: Module, notes: list[str]) -> Iterator[Result]:
    """Converge gateways' rows, and the host's own part of one gateway."""
    params = module.params
    present = params["state"] == "present"
    cluster_subnets = params["cluster_ip_subnet"] or []
    gateways: list[dict[str, Any]] = params["gateways"] or [dict(params)]
    host = Host(params["open_vswitch"], module.check_mode)
    settings = options.gateway_host(params, cluster_subnets) if present else None
    if params["part"] != "northbound":
        _require_one_object(module)
    if params["part"] == "all":
        _learn_from_host(host, gateways[0], settings)
    if present:
        for gateway in gateways:
            # The host's part alone needs no address where the bridge has it.
            if params["part"] == "northbound" or gateway["physical_ip"] or not gateway["bridge_interface"]:
                options.gateway(gateway, cluster_subnets)
    owners = tuple(gateway_owner(gateway["node_name"]) for gateway in gateways)
    northbound = northbound_of(module, "ovn_gateway " + ", ".join(owner.name for owner in owners), notes)

    former = _former(module)

    def overlay() -> Overlay:
        if not present:
            return Overlay(absent=owners)
        return Overlay(gateways=tuple(options.gateway(one, cluster_subnets) for one in gateways), former=former)

    if _needs_preflight(module):
        northbound.preflight(overlay())
    if present:
        notes += _without_next_hop(gateways, cluster_subnets, params["part"])
    if params["part"] != "northbound":
        result = host.gateway(settings)
        yield result
        learnt = {fact: gateways[0][fact] or result.facts.get(fact) for fact in ("physical_mac", "physical_mtu")}
        gateways[0].update(learnt)
    if params["part"] != "host":
        yield northbound.converge(overlay())


def _without_next_hop(gateways: Sequence[dict[str, Any]], cluster_subnets: Sequence[str], part: str) -> list[str]:
    """Return a sentence for each gateway that leads no further than its own network.

    A call for the host's part alone need not know the next hop, unless it was given one, or an empty list.
    """
    known = [one for one in gateways if one["physical_ip"] and (part != "host" or one["default_gw"] is not None)]
    return [note for one in known for note in missing_next_hops(options.gateway(one, cluster_subnets))]


def _learn_from_host(host: Host, gateway: dict[str, Any], settings: dict[str, Any] | None) -> None:
    """Complete a gateway's options with the host's system-id and, for a shared NIC, the bridge's addresses and next
    hops."""
    gateway["chassis"] = gateway["chassis"] or host.chassis()
    if settings is not None and gateway["bridge_interface"] and not gateway["physical_ip"]:
        bridge = host.bridge(settings)
        gateway["physical_ip"] = bridge["physical_ip"]
        gateway["default_gw"] = gateway["default_gw"] or bridge["default_gw"]


def northbound_of(module: Module, comment: str, notes: list[str]) -> Northbound:
    """Return the Northbound database of a module's options.

    In check mode, a database that can't be reached counts as an empty one, with a note.
    """
    params = module.params
    tls = {key: params[key] for key in TLS_OPTIONS} if params["private_key"] else None

    def connect() -> Any:
        try:
            found = access.northbound(params["northbound"], tls)
            return Connection(found.remote, names.NORTHBOUND, params["timeout"], found.tls)
        except DatabaseError as exc:
            if not module.check_mode:
                raise
            notes.append(f"the plan assumes an empty Northbound database: {exc}")
            return NoDatabase()

    return Northbound(connect, f"ovn.kubernetes: {comment}", module.check_mode)


def _needs_preflight(module: Module) -> bool:
    """Return whether a call changes a host and then the Northbound database."""
    return bool(module.params["part"] == "all" and not module.check_mode)


def _converge_node_host(module: Module, subnet_option: str) -> Result:
    """Converge the host's own part of the module's node.

    NICs stay where they are. The facts name those to move, and the action plugin moves them.
    """
    _require_one_object(module)
    params = module.params
    settings = None
    if params["state"] == "present":
        settings = options.node_host(params, params["cluster_ip_subnet"] or [], subnet_option)
    former = frozenset(map(names.node_name, params["former_nodes"]))
    host = Host(params["open_vswitch"], module.check_mode)
    result = host.node(settings, move_underlay=False, former=former, defer=bool(params.get("_defer")))
    if settings is None:
        left = host.differing_settings([])
        result.plan = [*result.plan, *left]
        result.facts["openvswitch_settings"] = [change.as_option() for change in left]
    return result


def _chassis(module: Module) -> str | None:
    """Return the system-id: the option, else for both parts what this host has."""
    params = module.params
    chassis: str | None = params["chassis"]
    if chassis or params["part"] != "all":
        return chassis
    return Host(params["open_vswitch"], module.check_mode).chassis()


def _former(module: Module) -> frozenset[str]:
    """Return the names under which hosts of the call are nodes already: what the options say, and what this host knows
    where the call is about it."""
    given = frozenset(map(names.node_name, module.params.get("former_nodes") or ()))
    if module.params["part"] != "all":
        return given
    return given | Host(module.params["open_vswitch"], module.check_mode).former()


def _require_one_object(module: Module) -> None:
    """Refuse lists for a host's own part, which is about this host; :raises SettingsError: for a list."""
    params = module.params
    if params["node_name"] is None:
        raise SettingsError(
            f"part {params['part']} is about the host that this runs on: "
            "give node_name, and lists with part northbound only"
        )
