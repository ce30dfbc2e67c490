# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a host's programs reach the API server: the files that they read, without the secrets. Private to the collection."""

from __future__ import annotations

import typing as t

from ..module_utils._common import names
from ..module_utils._kube.accounts import node_user
from ._inventory import MASTERS, NODES, Inventory
from ._kubeconfig import Unusable, kubeconfig
from ._values import InventoryError


class Access:
    """What all hosts have in common, worked out once."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._service_subnets = [str(network) for network in inventory.cluster_value("ovn_service_subnet") or []]
        self.server = (inventory.cluster_value("ovn_kubernetes_api") or "").rstrip("/")
        admin = inventory.cluster_value("ovn_kubernetes_admin_kubeconfig")
        self.accounts = bool(self.server and admin)
        self._token = self.accounts or bool(inventory.cluster_value("ovn_kubernetes_token"))
        self._authority = bool(inventory.cluster_value("ovn_kubernetes_ca"))
        if self.accounts and not self._authority:
            try:
                self._authority = "ca" in kubeconfig(admin)
            except Unusable as error:
                raise InventoryError("ovn_kubernetes_admin_kubeconfig %s" % error) from None

    def of(self, host: str) -> dict[str, t.Any] | None:
        """Nothing without Kubernetes. The watcher's program is on masters, the node's server on nodes."""
        if not self.server:
            return None
        node = self._inventory.node_name(host)
        pods = host in self._inventory.groups.get(NODES, ())
        programs = []
        if host in self._inventory.groups.get(MASTERS, ()):
            programs.append(
                self._program(
                    names.WATCHER_ACCOUNT,
                    names.WATCHER_ACCESS,
                    names.WATCHER_TOKEN,
                    service_subnets=self._service_subnets,
                )
            )
        if pods:
            user, group = node_user(node)
            acts = {"user": user, "group": group} if self.accounts else {}
            programs.append(self._program(names.node_account(node), names.NODE_ACCESS, names.NODE_TOKEN, **acts))
        return {"server": self.server, "accounts": self.accounts, "pods": pods, "programs": programs}

    def _program(self, account: str, file: str, token: str, **more: t.Any) -> dict[str, t.Any]:
        settings = {
            "server": self.server,
            "ca_file": names.KUBERNETES_CA if self._authority else None,
            "token_file": token if self._token else None,
            **more,
        }
        return {"account": account, "file": file, "token_file": token if self._token else "", "settings": settings}
