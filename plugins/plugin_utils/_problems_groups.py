# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with the groups of an inventory. Private to the collection.

A host that is in none of our groups is left out by every play, so a name that was meant for one of them is refused.
"""

from __future__ import annotations

import difflib
import re

from ._inventory import GATEWAYS, GROUPS, MASTERS, NODES, Inventory
from ._report import Report
from ._variables import GATEWAY, HOST, MISSPELT_PREFIX, PREFIX, VARIABLES, meant

NUMBERS_OF_MASTERS = (1, 3, 5)  # with another number a database loses its majority too easily, ovsdb(7)
SIMILARITY = 0.85  # of a group's name to one of ours, for which it is taken for a mistake

# What others call such hosts, in the singular.
OTHER_WORDS = {
    "central": MASTERS,
    "control_plane": MASTERS,
    "controller": MASTERS,
    "master": MASTERS,
    "chassis": NODES,
    "compute": NODES,
    "minion": NODES,
    "node": NODES,
    "worker": NODES,
    "egress": GATEWAYS,
    "gateway": GATEWAYS,
    "gw": GATEWAYS,
}


def add_group_problems(inventory: Inventory, report: Report) -> None:
    """Add what is wrong with the groups."""
    for group, members in inventory.groups.items():
        if group not in GROUPS:
            _add_misspelt(inventory, group, members, report)
    _add_left_out(inventory, report)
    _add_number_of_masters(inventory, report)


def _add_misspelt(inventory: Inventory, group: str, members: list[str], report: Report) -> None:
    """Add a group whose name means one of ours, and that has a host that is in none of ours."""
    ours = _group_meant(inventory, group)
    left_out = [host for host in members if not inventory.is_host(host)]
    text = f"the group {group} is not one of this collection"
    if ours and f"{group}s" == ours and not inventory.groups.get(ours) and members:
        report.add(members, f"{text}: did you mean {ours}?")
    elif ours and left_out:
        report.add(left_out, f"{text}, and the host is in none that is: did you mean {ours}?")


def _group_meant(inventory: Inventory, group: str) -> str:
    """Return the one of our groups that the name means; empty: none of them.

    Without our prefix a name may belong to something else, so it counts only where ours is not there at all.
    """
    name = re.sub(r"[^a-z0-9]+", "_", group.lower()).strip("_")
    prefixed = MISSPELT_PREFIX.fullmatch(name)
    word = re.sub(r"^(k8s|kube|kubernetes)_", "", prefixed["rest"]) if prefixed else name
    ours = name.startswith("ovn")
    known = OTHER_WORDS.get(word) or OTHER_WORDS.get(word[:-1] if word.endswith("s") else word, "")
    if known:
        return known if ours or known not in inventory.groups else ""
    return "".join(difflib.get_close_matches(PREFIX + word, GROUPS, n=1, cutoff=SIMILARITY)) if ours else ""


def _add_left_out(inventory: Inventory, report: Report) -> None:
    """Add hosts that have variables of a host of ours, and are in none of our groups.

    What every host of the inventory has says nothing about one of them.
    """
    places = {name: place for place, (name, one) in enumerate(VARIABLES.items()) if one.scope in (HOST, GATEWAY)}
    for host in inventory.others:
        names = [*inventory.names(host), *inventory.other_names(host)]
        meanings = {name: name if name in VARIABLES else meant(name) for name in names}
        found = sorted((name for name in names if meanings[name] in places), key=lambda name: places[meanings[name]])
        own = [name for name in found if not all(inventory.is_set(other, name) for other in inventory.hosts)]
        if own:
            group = GATEWAYS if VARIABLES[meanings[own[0]]].scope == GATEWAY else NODES
            report.add(
                host,
                f"{own[0]} is set, and the host is in none of {', '.join(GROUPS)}: add it to {group}, or remove the "
                "variable",
            )


def _is_awx(inventory: Inventory) -> bool:
    """Return whether AWX runs the play. It does not say whether the job is a slice."""
    return "awx_job_id" in (inventory.extra or ())


def _add_number_of_masters(inventory: Inventory, report: Report) -> None:
    number = len(inventory.masters)
    if number == 0:
        slices = (
            "; slices of a job have a part of the inventory each, so turn job slicing off" if _is_awx(inventory) else ""
        )
        report.add(
            (),
            f"{MASTERS} has no host: put the host that is to hold OVN's databases, or a group like "
            f"kube_control_plane, into it{slices}",
        )
    elif number not in NUMBERS_OF_MASTERS:
        most = max(NUMBERS_OF_MASTERS)
        right = "add one, or take one out" if number < most else f"take {number - most} out"
        report.add(inventory.masters, f"{MASTERS} has {number} hosts, and must have 1, 3 or 5: {right}")
