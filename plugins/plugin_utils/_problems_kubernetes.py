# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with the way to the API server. Private to the collection."""

from __future__ import annotations

from ._inventory import Inventory
from ._kubeconfig import Unusable, authority, kubeconfig
from ._problems_cluster import hosts_with
from ._values import show

API, CA, TOKEN, ADMIN = (
    "ovn_kubernetes_api",
    "ovn_kubernetes_ca",
    "ovn_kubernetes_token",
    "ovn_kubernetes_admin_kubeconfig",
)


def kubernetes_problems(inventory: Inventory, found) -> None:
    """Say what is wrong to ``found``."""
    api = inventory.cluster_value_or_none(API)
    if not api:
        return
    given = {name: inventory.cluster_value_or_none(name) for name in (CA, TOKEN, ADMIN)}
    if not any(inventory.is_set(host, "ovn_service_subnet") for host in inventory.hosts):
        found.say(
            hosts_with(inventory, API),
            "ovn_service_subnet is not set, and ovn_kubernetes_api needs it: set it to the API server's --service-cluster-ip-range",
        )
    if api.startswith("http:"):
        for name in (TOKEN, ADMIN):
            if given[name]:
                found.say(
                    hosts_with(inventory, name),
                    "%s is set, and would go over the network in clear text: write ovn_kubernetes_api as https://..., "
                    "or remove the variable where the API server asks for no credential" % name,
                )
        return
    if not (given[TOKEN] or given[ADMIN]) and not any(
        inventory.is_set(host, name) for host in inventory.hosts for name in (TOKEN, ADMIN)
    ):
        found.say(
            hosts_with(inventory, API),
            "%s %s wants a credential, and there is none: set %s, from which the play makes the accounts itself, or %s"
            % (API, show(api), ADMIN, TOKEN),
        )
    if given[CA]:
        try:
            authority(given[CA])
        except Unusable as error:
            found.say(
                hosts_with(inventory, CA),
                "%s %s: write PEM text, or the path of such a file on the controller" % (CA, error),
            )
    if given[ADMIN]:
        try:
            kubeconfig(given[ADMIN])
        except Unusable as error:
            found.say(hosts_with(inventory, ADMIN), "%s %s %s" % (ADMIN, show(given[ADMIN]), error))
