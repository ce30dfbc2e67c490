# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the validation says of an inventory with which nothing is wrong: what it has looked at, and which variables have
no effect. Private to the collection."""

from __future__ import annotations

from ._authorities import FOLDER, ROLES, Wrong, authorities, folder, variable
from ._errors import InventoryError, count, show, show_path
from ._inventory import Inventory
from ._variables import VARIABLES

TLS = "ovn_tls_"  # how the variables begin that only TLS reads


def checked(inventory: Inventory) -> list[str]:
    """Return sentences: what was looked at, and what of it nobody reads.

    :param inventory: one that has no problems.
    """
    if not inventory.hosts:
        return []
    found = [f"Nothing is wrong with the variables of {_hosts(inventory)}; {_certificates(inventory)}."]
    return [*found, *_without_effect(inventory)]


def _hosts(inventory: Inventory) -> str:
    groups = {"master": inventory.masters, "gateway": inventory.gateways}
    counted = [count(len(hosts), noun) for noun, hosts in groups.items() if hosts]
    return f"{count(len(inventory.hosts), 'host')}, {' and '.join(counted)} among them"


def _certificates(inventory: Inventory) -> str:
    """Return which CAs sign, or that nobody needs any."""
    if not inventory.tls:
        return "the databases have no TLS (ovn_tls: false), and need no CA"
    try:
        found, where = authorities(inventory), show_path(folder(inventory))
    except (Wrong, InventoryError):
        return "the CAs can't be read"
    said = []
    for role in ROLES:
        one = found[role]
        if not one.certificates:
            said.append(f"the {role} CA is not there yet, and a site run makes it in {where}")
            continue
        place = f"{FOLDER} {where}" if one.of_folder else variable(role, "certificate")
        said.append(f"the {role} CA is {show(one.certificates[0].name)} of {place}")
    return "; ".join(said)


def _without_effect(inventory: Inventory) -> list[str]:
    given = [
        name
        for name in VARIABLES
        if name.startswith(TLS) and any(inventory.is_in_inventory(host, name) for host in inventory.hosts)
    ]
    if inventory.tls or not given:
        return []
    return [f"Without effect on hosts while ovn_tls is false: {', '.join(given)}."]
