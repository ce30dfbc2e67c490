# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with the access to the API server. Private to the collection."""

from __future__ import annotations

from ._errors import show
from ._inventory import Inventory
from ._kubeconfig import Unusable, authority, kubeconfig
from ._kubernetes import ADMIN, API, CA, TOKEN
from ._report import Report

SERVICE = "ovn_service_subnet"


def add_kubernetes_problems(inventory: Inventory, report: Report) -> None:
    """Add what is wrong with the API server's variables."""
    api = inventory.valid_cluster_value(API)
    if not api:
        _add_unused(inventory, report)
        return
    if not any(inventory.is_set(host, SERVICE) for host in inventory.hosts):
        report.add(
            inventory.hosts_with(API),
            f"{SERVICE} is not set, and {API} needs it: set it to the API server's --service-cluster-ip-range",
        )
    if api.startswith("http:"):
        _add_clear_text(inventory, report)
    else:
        _add_credentials(inventory, api, report)
    _add_authority(inventory, report)


def _add_unused(inventory: Inventory, report: Report) -> None:
    """Add what is for an API server that nobody names.

    What the environment gives may be for other inventories too.
    """
    if any(inventory.is_set(host, API) for host in inventory.hosts):
        return  # its value is wrong, and that is said
    for name in (ADMIN, TOKEN, CA):
        hosts = [host for host in inventory.hosts if inventory.is_in_inventory(host, name)]
        hosts = [host for host in hosts if inventory.valid_value(host, name)]
        if hosts:
            report.add(
                hosts,
                f"{name} is set, and {API} is not, without which the overlay has no Kubernetes: set {API}, or remove "
                "the variable",
            )


def _add_clear_text(inventory: Inventory, report: Report) -> None:
    for name in (TOKEN, ADMIN):
        if inventory.valid_cluster_value(name):
            report.add(
                inventory.hosts_with(name),
                f"{name} is set, and would be sent over the network in clear text: write {API} as https://..., "
                "or remove the variable where the API server asks for no credential",
            )


def _add_credentials(inventory: Inventory, api: str, report: Report) -> None:
    if not any(inventory.is_set(host, name) for host in inventory.hosts for name in (TOKEN, ADMIN)):
        report.add(
            inventory.hosts_with(API),
            f"{API} {show(api)} needs a credential, and there is none: set {ADMIN}, from which the play makes the "
            "accounts itself, "
            f"or {TOKEN}",
        )
    admin = inventory.valid_cluster_value(ADMIN)
    if admin:
        try:
            kubeconfig(admin, inventory.path(""))
        except Unusable as error:
            report.add(inventory.hosts_with(ADMIN), f"{ADMIN} {error}")


def _add_authority(inventory: Inventory, report: Report) -> None:
    ca = inventory.valid_cluster_value(CA)
    if ca:
        try:
            authority(ca, inventory.path(""))
        except Unusable as error:
            text = f"{CA} {error}: write PEM text, or the path of such a file on the controller"
            report.add(inventory.hosts_with(CA), text)
