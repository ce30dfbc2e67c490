# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can't work beside what the databases hold, found before any host is changed. Private to the collection.

The rules are those by which the rows are refused later (``module_utils/_topology``).
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

from ..module_utils._common import addressing
from ..module_utils._common.errors import SettingsError
from ..module_utils._topology import gateway_checks, join_offsets
from ..module_utils._topology.clones import ADVICE, moved_advice
from . import _identities
from ._derived import JOIN, join_subnets, tunnel_address
from ._errors import show
from ._inventory import Inventory, natural
from ._known_nodes import Known, former_names, renamed
from ._kubernetes_nodes import add_unknown_nodes
from ._problems_gateways import gateways_of
from ._report import Report

Overlay = Mapping[str, t.Any]  # as ovn_info returns it
Rows = dict[str, Mapping[str, t.Any]]


def add_overlay_problems(inventory: Inventory, overlay: Overlay, report: Report) -> None:
    """Add what can't work beside gateways that exist, and names that Kubernetes does not know."""
    add_unknown_nodes(inventory, overlay.get("kubernetes_nodes"), report)
    today = renamed(inventory, Known.of(overlay))
    existing: Rows = {today.get(name, name): gateway for name, gateway in (overlay.get("gateways") or {}).items()}
    names = {inventory.node_name(host) for host in inventory.named}
    others = {name: existing[name] for name in sorted(existing, key=natural) if name not in names}
    if _identities.record(inventory) is None:  # which the databases had not said before
        record = _identities.record_of(overlay)
        for host, text in _identities.problems(inventory, _identities.claims(inventory), record):
            report.add(host, text)
    _add_join(inventory, existing, others, report)
    addresses = {name: gateway["physical_ips"] for name, gateway in others.items()}
    for problem in gateway_checks.sharing_problems(gateways_of(inventory), addresses):
        report.add_problems(problem.subject.split(" ", 1)[1], [problem])


def add_rename_problems(
    inventory: Inventory, overlay: Overlay, planned: Mapping[str, Sequence[str]], report: Report
) -> None:
    """Add hosts that get a new name and at once other subnets or another tunnel address, and that nobody can tell from
    a clone then: the modules would refuse them later, on the host and for the rows.

    :param planned: host to its node subnets.
    """
    known = Known.of(overlay)
    today, former = renamed(inventory, known), former_names(inventory, known)
    for host in inventory.named:
        name, own = inventory.node_name(host), inventory.facts(host).own
        if not own.system_id or host in former:
            continue
        node = next((one for one, new in today.items() if new == name and known.chassis.get(one) == own.system_id), "")
        held = list(known.subnets.get(node) or ())
        if held and not set(held) & set(planned[host]):
            subnets = ", ".join(held)
            report.add(
                host,
                f"its system-id {show(own.system_id)} is that of node {node} with subnet {subnets}, and it would have "
                f"another name and another subnet: {ADVICE}; if it is the same host, first run site with the new name "
                f"and ovn_node_subnet {subnets}, and then change the subnet",
            )
        chassis = (overlay.get("chassis") or {}).get(own.system_id) or {}
        addresses = list(map(addressing.normalized, chassis.get("encap_ips") or ()))
        address = tunnel_address(inventory, host)
        if addresses and address and addressing.normalized(address) not in addresses:
            other = str(chassis.get("hostname"))
            if name not in (other, own.node):
                report.add(
                    host,
                    f"its system-id {show(own.system_id)} is registered by {other} with the tunnel address "
                    f"{', '.join(map(str, addresses))}: {ADVICE}; {moved_advice(own.system_id)}",
                )


def _add_join(inventory: Inventory, existing: Rows, others: Rows, report: Report) -> None:
    """Add a join network that has no address for each gateway, and one that not all gateways would move into."""
    joins = list(map(str, join_subnets(inventory)))
    names = [inventory.node_name(host) for host in inventory.named if inventory.is_gateway(host)]
    try:
        offsets = {name: _offset(gateway["join_ips"], joins) for name, gateway in existing.items()}
        stays = next((name for name in others if offsets[name] is None), None)
        if stays is not None:
            raise join_offsets.left_behind(stays, joins)
        used = [offset for name in others for offset in [offsets[name]] if offset]
        join_offsets.offsets({name: offsets.get(name) for name in names}, used, joins)
    except SettingsError as error:
        if others:
            error.advice = (
                f"remove the gateways that the inventory does not have, ansible-playbook ovn.kubernetes.remove "
                f"-e ovn_remove_hosts={','.join(others)}, or give all gateways room in {JOIN}"
            )
        report.add_error(JOIN, error)


def _offset(addresses: Sequence[str], joins: Sequence[str]) -> int | None:
    """Return a gateway's offset in the join networks; None when it is in others."""
    for address in addresses:
        for join in joins:
            if addressing.address(address) in addressing.network(join):
                return addressing.offset_in(join, address)
    return None
