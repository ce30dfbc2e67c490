# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with the groups of an inventory. Private to the collection."""

from __future__ import annotations

import difflib

from ._inventory import GROUPS, MASTERS, Inventory
from ._report import Report
from ._unsupported import MASTERS_TEXT, MAXIMUM_MASTERS

NUMBERS_OF_MASTERS = (1, 3, 5)  # with another number a database loses its majority too easily, ovsdb(7)
SIMILARITY = 0.85  # of a group's name to one of ours, for which it is taken for a mistake


def add_group_problems(inventory: Inventory, report: Report) -> None:
    """Add what is wrong with the groups."""
    for group in GROUPS:
        singular = group[:-1]
        if not inventory.groups.get(group) and inventory.groups.get(singular):
            report.add(
                inventory.groups[singular],
                f"the group {singular} is not one of this collection: did you mean {group}?",
            )
    _add_misspelt_groups(inventory, report)
    _add_number_of_masters(inventory, report)


def _add_misspelt_groups(inventory: Inventory, report: Report) -> None:
    """Add groups whose name is similar to one of ours, and that have a host that is in none of ours."""
    for group, members in inventory.groups.items():
        plural = f"{group}s"
        reported = plural in GROUPS and not inventory.groups.get(plural)
        similar = difflib.get_close_matches(group, GROUPS, n=1, cutoff=SIMILARITY)
        left_out = [host for host in members if not inventory.is_host(host)]
        if group not in GROUPS and similar and left_out and not reported:
            report.add(
                left_out,
                f"the group {group} is not one of this collection, and the host is in none that is: did you mean "
                f"{similar[0]}?",
            )


def _add_number_of_masters(inventory: Inventory, report: Report) -> None:
    number = len(inventory.masters)
    unsupported = number > MAXIMUM_MASTERS
    if number == 0:
        report.add(
            (),
            f"{MASTERS} has no host: put the host that is to hold OVN's databases, or a group like "
            "kube_control_plane, into it",
        )
    elif number not in NUMBERS_OF_MASTERS:
        more = f"; {MASTERS_TEXT}" if unsupported else ""
        report.add(inventory.masters, f"{MASTERS} has {number} hosts, and must have 1, 3 or 5{more}")
    elif unsupported:
        report.add(inventory.masters, f"{MASTERS} has {number} hosts, and {MASTERS_TEXT}")
