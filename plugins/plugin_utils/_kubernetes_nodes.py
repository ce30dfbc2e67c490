# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compare the names of the inventory's nodes with those of Kubernetes. Private to the collection.

A host that Kubernetes does not know may only not have joined it yet: the play may run before the kubelets. A host that
Kubernetes knows under its full or its short name will never join under the other one.
"""

from __future__ import annotations

import difflib
import typing as t
from collections.abc import Iterable, Iterator

from ._errors import show
from ._inventory import NAME, NODES, Inventory
from ._report import Report

SIMILARITY = 0.8  # of two names, for which one may be meant for the other


class Unknown(t.NamedTuple):
    """A host whose name is no node of Kubernetes.

    :ivar other: the full or the short form of its name, which is one; empty: none is.
    :ivar similar: a node that no host of the inventory is, with a similar name; may be empty.
    """

    host: str
    name: str
    other: str
    similar: str


def unknown(inventory: Inventory, nodes: Iterable[str] | None) -> Iterator[Unknown]:
    """Yield the hosts that run pods, and that Kubernetes does not know by their names.

    :param nodes: the names of Kubernetes' nodes; None: they are not known.
    """
    if nodes is None:
        return
    known = {str(node).lower() for node in nodes}
    names = {host: inventory.node_name(host) for host in inventory.named if host in inventory.groups.get(NODES, ())}
    free = sorted(known - set(names.values()))
    for host, name in names.items():
        if name in known:
            continue
        other = next((node for node in free if node.startswith(f"{name}.") or name.startswith(f"{node}.")), "")
        similar = difflib.get_close_matches(name, free, n=1, cutoff=SIMILARITY)
        yield Unknown(host, name, other, "".join(similar))


def add_unknown_nodes(inventory: Inventory, nodes: Iterable[str] | None, report: Report) -> None:
    """Add hosts that Kubernetes knows under another form of their name."""
    for one in unknown(inventory, nodes):
        if one.other:
            report.add(
                one.host,
                f"{report.setting(one.host, NAME, one.name)} is no node of Kubernetes, which has {show(one.other)}: "
                f"set {NAME} to it, or its pods would wait for ever",
            )


def unjoined(inventory: Inventory, nodes: Iterable[str] | None) -> list[str]:
    """Return a sentence for hosts that are no nodes of Kubernetes, as far as is known only not yet."""
    report = Report(inventory)
    for one in unknown(inventory, nodes):
        hint = f"; Kubernetes has {show(one.similar)}, which no host of the inventory is" if one.similar else ""
        if not one.other:
            report.add(
                one.host, f"Kubernetes has no node of this name yet; if it has another name there, set {NAME}{hint}"
            )
    return report.sentences()
