# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Nodes that would lose the subnet or the name under which pods run. Private to the collection."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping, Sequence

from ..module_utils._topology.drain import loss, problem
from ._inventory import Inventory
from ._known_nodes import Known, renamed

VARIABLES = {"node_subnets": "ovn_node_subnet", "name": "ovn_node_name"}


def undrained(inventory: Inventory, planned: Mapping[str, Sequence[str]], overlay: Mapping[str, t.Any]) -> list[str]:
    """Return a sentence for each host whose node has pods that would lose their addresses.

    :param planned: host to its node subnets.
    :param overlay: what the databases hold, as ``ovn_info`` returns it.
    """
    nodes = overlay.get("nodes") or {}
    new_names = renamed(inventory, Known.of(overlay))
    hosts = {inventory.node_name(host): host for host in inventory.named}
    return [
        sentence
        for node, found in nodes.items()
        for host in [hosts.get(new_names.get(node, node))]
        for sentence in _sentences(node, found, new_names.get(node), host, planned, bool(overlay.get("pods_marked")))
    ]


def _sentences(
    node: str,
    found: Mapping[str, t.Any],
    new_name: str | None,
    host: str | None,
    planned: Mapping[str, Sequence[str]],
    marked: bool,
) -> Iterator[str]:
    if host is None:
        return
    lost = loss(node, found["subnets"], planned[host], new_name)
    pods = [found["pods"][subnet] for subnet in lost.subnets if subnet in (found.get("pods") or {})]
    if not pods:
        return
    most = max(pods, key=lambda one: int(one["count"]))  # with two families each pod may have an address in both
    refused = problem(lost, most["some"], most["count"], marked)
    variable = VARIABLES[refused.field]
    instead = "" if new_name else f"; the plan has {', '.join(planned[host])}"
    yield f'{host}: {variable} "{refused.value}" {refused.problem}{instead}: {refused.advice}'
