# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with an inventory for those who remove: what says which hosts and which rows are meant. Private to the
collection.

Everything else matters only to those who build, and what can't be built any more must still go.
"""

from __future__ import annotations

from ._inventory import Inventory
from ._problems_hosts import add_name_problems
from ._problems_variables import add_problems_of
from ._report import Report
from ._variables import PLAY, VARIABLES

NEEDED = frozenset(name for name, variable in VARIABLES.items() if variable.scope == PLAY or name == "ovn_node_name")


def add_removal_problems(inventory: Inventory, report: Report) -> None:
    """Add wrong names, and unknown variables: ``ovn_remove_host`` may be meant for ``ovn_remove_hosts``."""
    add_problems_of(NEEDED, inventory, report)
    add_name_problems(inventory, report)
