# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Everything that is wrong with an inventory, before any host is changed. Private to the collection.

Each sentence has host, variable, value, and what would be right. What many hosts have in common is said once.

What a setting may be is decided by the policies in ``module_utils/_topology``, and what an address may be used for by
``module_utils/_common/address_rules.py``. Here are only the checks that need an inventory: groups, unknown names,
differences and
duplicates between hosts, templates that can't be computed, and facts.
"""

from __future__ import annotations

from ._central_ports import add_withdrawn_problems
from ._errors import InventoryError
from ._inventory import Inventory
from ._known_nodes import Known
from ._problems_certificates import add_certificate_problems
from ._problems_cluster import add_cluster_problems
from ._problems_gateways import add_gateway_problems
from ._problems_groups import add_group_problems
from ._problems_hosts import add_host_problems
from ._problems_kubernetes import add_kubernetes_problems
from ._problems_overlay import Overlay, add_overlay_problems, add_rename_problems
from ._problems_removal import add_removal_problems
from ._problems_variables import add_variable_problems
from ._report import Report
from ._subnets import plan


def problems(
    inventory: Inventory, overlay: Overlay | None = None, removal: bool = False, make_authorities: bool = True
) -> list[str]:
    """Return one sentence for each problem; none when the inventory can be used.

    :param overlay: what ``ovn_info`` has found in the databases; None: they were not asked.
    :param removal: only what matters to those who remove.
    :param make_authorities: missing authorities are about to be made, and where they can't be, that is a problem.
    """
    report = Report(inventory)
    add_group_problems(inventory, report)
    if not inventory.hosts:
        return report.sentences()
    if removal:
        add_removal_problems(inventory, report)
        return report.sentences()
    add_variable_problems(inventory, report)
    add_cluster_problems(inventory, report)
    add_withdrawn_problems(inventory, report)
    add_kubernetes_problems(inventory, report)
    add_certificate_problems(inventory, report, make_authorities)
    add_host_problems(inventory, report)
    add_gateway_problems(inventory, report)
    if not report:  # a plan from wrong values would only repeat what the report has
        try:
            if overlay is not None:
                add_overlay_problems(inventory, overlay, report)
            # Without the databases nobody can say whether what a host has saved is right, or needed.
            planned = plan(inventory, Known.of(overlay or {}), saved=overlay is not None)
            if overlay is not None:
                add_rename_problems(inventory, overlay, planned, report)
        except InventoryError as error:
            report.add_unreadable(error.host or inventory.hosts, error)
    return report.sentences()
