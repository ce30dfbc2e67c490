# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What removal needs of an inventory, which is little: names, and how the API server is reached. Private to the
collection.

No facts: a host is removed when its NICs are gone, and when other hosts can't be reached.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

from ._errors import InventoryError
from ._inventory import Inventory
from ._kubernetes import Access

OFF = "it can't be reached; its programs, NICs, rows of Open vSwitch and files are as they were"
AGAIN = (
    "Run it again when what is named here can be reached: what is done stays done. "
    "A host that is gone for good only has to be taken out of the inventory."
)


def settings(inventory: Inventory) -> dict[str, dict[str, t.Any]]:
    """Return host to ``node_name`` and ``kubernetes``, as the filter ``settings`` has them.

    The name is empty where it is made from facts that nobody could gather.
    ``kubernetes`` is None also where the access can't be worked out: ``kubernetes_problem`` says why then.
    """
    access, problem, named = None, "", frozenset(inventory.named)
    try:
        access = Access(inventory)
    except InventoryError as error:
        problem = error.text
    return {
        host: {
            "node_name": inventory.node_name(host) if host in named else "",
            "kubernetes": access.of(host) if access else None,
            "kubernetes_problem": problem,
        }
        for host in inventory.hosts
    }


def left(
    hosts: Sequence[str],
    reads: Mapping[str, t.Any],
    alive: Sequence[str],
    more: Mapping[str, str],
) -> str:
    """Return what a removal has left, as lines with one sentence each; empty: nothing.

    :param hosts: those that were to be removed.
    :param reads: host to the result of the first task on it.
    :param alive: the hosts on which no task has failed.
    :param more: what else is left, and why: the rows in the databases, accounts. Empty reasons are left out.
    """
    lines = []
    for host in hosts:
        if _unreachable(reads.get(host)):
            lines.append(f"{host}: {OFF}")
        elif host not in alive:
            lines.append(f"{host}: a task failed there (see above), and what comes after it was not done")
    lines += [f"{subject}: {' '.join(reason.split())}" for subject, reason in more.items() if reason]
    return "\n".join(["This is left:", *(f"- {line}" for line in lines), AGAIN]) if lines else ""


def _unreachable(read: t.Any) -> bool:
    return isinstance(read, Mapping) and bool(read.get("unreachable"))
