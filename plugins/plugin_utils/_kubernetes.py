# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a host's programs reach the API server: what is in the files that they read, without the secrets. Private to the
collection."""

from __future__ import annotations

import typing as t

from ..module_utils._common import names
from ..module_utils._kube.accounts import node_user
from ._errors import InventoryError
from ._inventory import MASTERS, NODES, Inventory
from ._kubeconfig import Unusable, kubeconfig


class Access:
    """What all hosts have in common, computed once.

    :ivar server: URL of the API server; empty: there is no Kubernetes.
    :ivar accounts: the play makes the accounts and tokens.
    :raises InventoryError: the administrator's kubeconfig can't be used.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._service_subnets = list(map(str, inventory.cluster_value("ovn_service_subnet") or []))
        self.server = (inventory.cluster_value("ovn_kubernetes_api") or "").rstrip("/")
        admin = inventory.cluster_value("ovn_kubernetes_admin_kubeconfig")
        self.accounts = bool(self.server and admin)
        self._has_token = self.accounts or bool(inventory.cluster_value("ovn_kubernetes_token"))
        self._has_authority = bool(inventory.cluster_value("ovn_kubernetes_ca"))
        if self.accounts and not self._has_authority:
            try:
                self._has_authority = "ca" in kubeconfig(admin)
            except Unusable as error:
                raise InventoryError(f"ovn_kubernetes_admin_kubeconfig {error}") from None

    def of(self, host: str) -> dict[str, t.Any] | None:
        """Return the access of a host's programs, the watcher on masters and the node server on nodes; None without
        Kubernetes.

        A host whose name is not known has no programs here.
        """
        if not self.server:
            return None
        pods = host in self._inventory.groups.get(NODES, ())
        programs = []
        if host in self._inventory.groups.get(MASTERS, ()):
            more: dict[str, t.Any] = {"service_subnets": self._service_subnets}
            programs.append(self._program(names.WATCHER_ACCOUNT, names.WATCHER_ACCESS, names.WATCHER_TOKEN, more))
        if pods and host in self._inventory.named:
            node = self._inventory.node_name(host)
            user, group = node_user(node)
            more = {"user": user, "group": group} if self.accounts else {}
            programs.append(self._program(names.node_account(node), names.NODE_ACCESS, names.NODE_TOKEN, more))
        return {"server": self.server, "accounts": self.accounts, "pods": pods, "programs": programs}

    def _program(self, account: str, file: str, token_file: str, more: dict[str, t.Any]) -> dict[str, t.Any]:
        settings = {
            "server": self.server,
            "ca_file": names.KUBERNETES_CA if self._has_authority else None,
            "token_file": token_file if self._has_token else None,
            **more,
        }
        return {
            "account": account,
            "file": file,
            "token_file": token_file if self._has_token else "",
            "settings": settings,
        }
