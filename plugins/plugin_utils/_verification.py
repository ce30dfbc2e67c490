# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What verify compares hosts with: the settings and subnets of site, but an error of one host leaves the others as they
are. Private to the collection."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping

from ..module_utils._common import addressing
from . import _overlay
from ._advice import exposed_tunnels, left_gateways, of_exposed_tunnels
from ._central_findings import central_findings
from ._certificate_findings import findings as certificate_findings
from ._derived import SHARED_NIC, log_level
from ._errors import InventoryError
from ._inventory import Inventory
from ._known_nodes import Known
from ._kubernetes_nodes import unjoined
from ._problems import problems
from ._settings import Cluster, settings
from ._subnets import plan as plan_subnets
from ._undrained import undrained

Values = dict[str, t.Any]
PEERS = 50  # hosts that one host asks for an answer through the overlay: those that follow it in the inventory


def verification(
    inventory: Inventory,
    names: Mapping[str, str],
    overlay: Mapping[str, t.Any],
    hosts: Iterable[str],
    reached: Iterable[str],
) -> Values:
    """Return what each host is compared with.

    :param names: host to node name.
    :param overlay: result of ovn_info; without ``nodes`` the overlay could not be read. Then subnets are not known
        here, and hosts are compared with what they have saved.
    :param hosts: those of the play.
    :param reached: those of them whose facts were gathered.
    :returns: ``settings``, ``subnets``, ``peers`` and ``routers`` by host, ``overlay``, the options of ovn_master_init,
        ``problems`` and ``warnings``, sentences, ``advice``, as :class:`._advice.Advice` has it, ``central``,
        as :class:`._central_findings.CentralFinding` has it, ``unnamed``, hosts whose node names are not known, and
        ``masters``.
    """
    hosts, live = set(hosts), set(reached)
    unreached = hosts - live
    found: Values = {"settings": {}, "subnets": {}, "peers": {}, "routers": {}, "overlay": {}}
    found["masters"] = inventory.masters
    found["unnamed"] = [host for host in inventory.hosts if host not in inventory.named]
    known = overlay if "nodes" in overlay else None
    found["problems"] = problems(inventory, known, make_authorities=False)
    found["warnings"] = unjoined(inventory, overlay.get("kubernetes_nodes"))
    advice = left_gateways(inventory, overlay)
    for host, address in exposed_tunnels(inventory).items():
        advice += of_exposed_tunnels(inventory, {host: address})
    stops, of_certificates = certificate_findings(inventory)
    found["problems"] += stops
    advice += of_certificates
    found["advice"] = [one._asdict() for one in advice]
    found["central"] = [one._asdict() for one in central_findings(inventory, hosts)]
    try:
        cluster = Cluster(inventory)
    except InventoryError as error:
        found["problems"] = found["problems"] or [str(error)]
        return found
    complete = {}
    for host in (host for host in inventory.hosts if host in live):
        found["settings"][host], problem = _settings(inventory, host, cluster, names)
        if problem is None:
            complete[host] = found["settings"][host]
        elif not found["problems"] and problem.host not in unreached:
            found["problems"].append(str(problem))
    if known is None:
        return found
    try:
        subnets = plan_subnets(inventory, Known.of(known))
        found["problems"] += undrained(inventory, subnets, known)
    except InventoryError as error:
        found["problems"] = found["problems"] or [str(error)]
        return found
    found["subnets"] = {host: subnets[host] for host in complete if host in subnets}
    found.update(_answers(inventory, names, overlay, unreached, subnets))
    if complete:
        found["overlay"] = _rows(inventory, complete, found["subnets"], names)
    return found


def _settings(
    inventory: Inventory, host: str, cluster: Cluster, names: Mapping[str, str]
) -> tuple[Values, InventoryError | None]:
    """Return a host's settings; with an error, those that don't depend on facts."""
    try:
        return settings(inventory, host, cluster), None
    except InventoryError as error:
        return {
            "node_name": names.get(host, host),
            "cluster_subnets": list(map(str, cluster.cluster_subnets)),
            "kubernetes": cluster.access.of(host),
            "gateway": _known_gateway(inventory, host),
            "log_level": log_level(inventory, host),
        }, error


def _known_gateway(inventory: Inventory, host: str) -> Values | None:
    """Return which NICs the gateway of a host uses; None for a host that is no gateway."""
    if not inventory.is_gateway(host):
        return None
    nic = inventory.valid_value(host, SHARED_NIC) or ""
    return {"physical_interface": "", "bridge_interface": "", "shared_interface": nic}


def _answers(
    inventory: Inventory,
    names: Mapping[str, str],
    overlay: Mapping[str, t.Any],
    unreached: set[str],
    subnets: Mapping[str, list[str]],
) -> Values:
    """Return what must answer each host through the overlay: hosts that are part of it, and its own gateway router.

    A host that Ansible does not reach is not asked: it is a finding itself.
    """
    nodes, gateways = overlay["nodes"], overlay["gateways"]
    ring = [host for host in inventory.hosts if host not in unreached and names.get(host) in nodes and host in subnets]
    peers = {}
    for place, host in enumerate(ring):
        others = [*ring[place + 1 :], *ring[:place]][:PEERS]
        peers[host] = [
            {"name": other, "address": addressing.nth(subnet, addressing.HOST, prefix=False)}
            for other in others
            for subnet in subnets[other]
        ]
    routers = {
        host: [{"name": host, "address": address} for address in gateways[names[host]]["join_ips"]]
        for host in inventory.gateways
        if names.get(host) in gateways
    }
    return {"peers": peers, "routers": routers}


def _rows(
    inventory: Inventory, complete: Mapping[str, Values], subnets: Mapping[str, list[str]], names: Mapping[str, str]
) -> Values:
    """Return the options of ovn_master_init that the site play would give it. What only hosts know, their system-ids
    and MACs, is compared by the findings."""
    first = next(iter(complete.values()))
    with_subnets = {host: one for host, one in complete.items() if host in subnets}
    return {
        "cluster_ip_subnet": first["cluster_subnets"],
        "join_subnet": first["join_subnets"],
        "nodes": _overlay.nodes(with_subnets, subnets, {}),
        "gateways": _overlay.gateways(with_subnets, [one["node_name"] for one in with_subnets.values()], {}),
        "known_nodes": [names[host] for host in inventory.hosts if host in names],
    }
