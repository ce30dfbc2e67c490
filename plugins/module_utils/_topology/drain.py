# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A node keeps its subnets, and its name, while pods have addresses there: a pod that runs can't be given another one.

Pods that a drain leaves on their node (of DaemonSets, and static ones) don't count: the watcher has marked their ports.
"""

from __future__ import annotations

import bisect
import ipaddress
from typing import TYPE_CHECKING, NamedTuple

from .._common import addressing, names
from .._ovsdb.rows import Query, includes
from .._ovsdb.values import as_set
from .problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .._ovsdb.rows import CurrentRow
    from .node import Node

SHOWN = 5  # pods that a message names
UNMARKED = (
    "; if only pods of DaemonSets are left, first run ovn.kubernetes.site once without this change, so that the "
    "watcher marks them as those that stay"
)
OF_PODS = {names.OWNER_CONTROLLER: names.CONTROLLER, names.OWNER_TYPE: "Pod"}
PORTS = Query("Logical_Switch_Port", (includes("external_ids", OF_PODS),), ("addresses", "external_ids"))


class Loss(NamedTuple):
    """What a node is about to lose.

    :ivar node: its name today.
    :ivar subnets: that it would not have any more.
    :ivar new_name: None: the name stays.
    """

    node: str
    subnets: tuple[str, ...]
    new_name: str | None = None


def loss(node: str, held: Iterable[str], wanted: Iterable[str], new_name: str | None = None) -> Loss:
    """Return what a node would lose that has the subnets ``held``, and is to have those that are wanted."""
    wanted = set(wanted)
    gone = tuple(subnet for subnet in held if subnet and (new_name or subnet not in wanted))
    return Loss(node, gone, new_name)


def losses(nodes: Iterable[Node], held: Mapping[str, str], old_names: Mapping[str, str]) -> list[Loss]:
    """Return what nodes of a call would lose; none for a node that loses nothing.

    :param held: node -> its subnets in the database, with commas.
    :param old_names: node -> its name in the database, where that is another one.
    """
    found = [
        loss(
            old_names.get(node.owner.name, node.owner.name),
            held.get(node.owner.name, "").split(","),
            node.subnets,
            node.owner.name if node.owner.name in old_names else None,
        )
        for node in nodes
    ]
    return [one for one in found if one.subnets]


def pods_by_node(subnets: Mapping[str, Iterable[str]], ports: Iterable[CurrentRow]) -> dict[str, list[str]]:
    """Return node -> ``namespace/name`` of each pod that has an address in its subnets, of those that a drain ends.

    :param subnets: node -> its subnets; no two share an address.
    :param ports: rows that :data:`PORTS` finds.
    """
    ranges = sorted(
        (network.version, int(network.network_address), int(network.broadcast_address), node)
        for node, texts in subnets.items()
        for network in (ipaddress.ip_network(text, strict=False) for text in texts)
    )
    found: dict[str, set[str]] = {}
    for port in ports:
        if port.external_id(names.STAYS_KEY):
            continue
        words = (word for line in as_set(port.columns["addresses"]) for word in line.split()[1:])
        for text in filter(None, map(addressing.normalized, words)):
            address = ipaddress.ip_address(text)
            index = bisect.bisect_right(ranges, (address.version, int(address), float("inf"))) - 1
            if index >= 0 and ranges[index][0] == address.version and int(address) <= ranges[index][2]:
                found.setdefault(ranges[index][3], set()).add(str(port.external_id(names.OWNER_NAME)))
    return {node: sorted(pods) for node, pods in found.items()}


def problems(lost: Iterable[Loss], ports: Sequence[CurrentRow]) -> Iterator[Problem]:
    """Yield what can't be done as long as pods have addresses there."""
    lost = list(lost)
    pods = pods_by_node({one.node: one.subnets for one in lost}, ports)
    for one in lost:
        if one.node in pods:
            yield problem(one, pods[one.node][:SHOWN], len(pods[one.node]), are_marked(ports))


def are_marked(ports: Iterable[CurrentRow]) -> bool:
    """Return whether ports say which pods stay on a drain: a watcher from before that did not write it."""
    return any(port.external_id(names.STAYS_KEY) for port in ports)


def problem(lost: Loss, shown: Sequence[str], count: int, marked: bool) -> Problem:
    """Return the problem of a node with pods.

    :param shown: some of the pods.
    :param count: of all.
    :param marked: whether any port of the cluster says that its pod stays on a drain.
    """
    others = f" and {count - len(shown)} more" if count > len(shown) else ""
    what = f"is node {lost.node} today, which has" if lost.new_name else "can't be left while there are"
    return Problem(
        "name" if lost.new_name else "node_subnets",
        f"{what} pods with addresses ({', '.join(shown)}{others})",
        f"drain the node first (kubectl drain {lost.node} --ignore-daemonsets), then run this again"
        f"{'' if marked else UNMARKED}; rows of pods that Kubernetes does not have any more are deleted with those of "
        f"the node, ansible-playbook ovn.kubernetes.remove -e ovn_remove_hosts={lost.node}, and site makes it anew",
        lost.new_name or ", ".join(lost.subnets),
        f"node {lost.new_name or lost.node}",
    )
