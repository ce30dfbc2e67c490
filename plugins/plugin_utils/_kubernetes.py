# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the API server is reached: by the play, and by a host's programs, as far as the files that they read hold no
secret. Private to the collection."""

from __future__ import annotations

import typing as t

from ..module_utils._common import names
from ..module_utils._kube.accounts import node_user
from ..module_utils._kube.settings import ROUTER
from ._derived import tunnel_address
from ._errors import InventoryError
from ._inventory import GATEWAYS, MASTERS, NODES, Inventory
from ._kubeconfig import Unusable, authority, kubeconfig

T = t.TypeVar("T")
API, TOKEN = "ovn_kubernetes_api", "ovn_kubernetes_token"
GATEWAY_IP, NEXT_HOP = "ovn_gateway_ip", "ovn_gateway_next_hop"
CA, ADMIN = "ovn_kubernetes_ca", "ovn_kubernetes_admin_kubeconfig"


def api_access(inventory: Inventory) -> dict[str, str]:
    """Return how the play reaches the API server, as options of our modules: ``server``, and those of ``ca``,
    ``token``, ``certificate`` and ``key`` that there are. Empty: there is no Kubernetes.

    The credential is the administrator's, where there is one. The server and the authority of the inventory go before
    those of the kubeconfig, which may be one for another network.

    :raises InventoryError: a variable, or the file that it names, can't be used.
    """
    server = (inventory.cluster_value(API) or "").rstrip("/")
    if not server:
        return {}
    token = inventory.cluster_value(TOKEN)
    access = _read(inventory, ADMIN, kubeconfig) or ({"token": token} if token else {})
    ca = _read(inventory, CA, authority)
    return {**access, "server": server, **({"ca": ca} if ca else {})}


def _read(inventory: Inventory, name: str, reader: t.Callable[[str, str], T]) -> T | None:
    """Return what the file of this variable says; None when the variable is not set."""
    value = inventory.cluster_value(name)
    try:
        return reader(value, inventory.path("")) if value else None
    except Unusable as error:
        raise InventoryError(
            inventory.message((inventory.masters or inventory.hosts)[0], name, value, str(error))
        ) from None


def _several(inventory: Inventory, host: str, name: str) -> list[t.Any]:
    """Return the members of a variable that is a list; none where it is not set, or can't be read."""
    return list(inventory.valid_value(host, name) or ())


class Access:
    """What all hosts have in common, computed once.

    :ivar server: URL of the API server; empty: there is no Kubernetes.
    :ivar accounts: the play makes the accounts and tokens.
    :raises InventoryError: the administrator's kubeconfig or the certificate authority can't be used.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._service_subnets = list(map(str, inventory.cluster_value("ovn_service_subnet") or []))
        allowed = list(map(str, inventory.cluster_value("ovn_external_ip_networks") or ()))
        self._allowed: dict[str, t.Any] = {"external_ip_networks": allowed} if allowed else {}
        access = api_access(inventory)
        self.server = access.get("server", "")
        self.accounts = bool(self.server and inventory.cluster_value(ADMIN))
        self._has_token = self.accounts or "token" in access
        self._has_authority = "ca" in access

    def _masters(self) -> dict[str, str]:
        """Return the tunnel addresses of masters that are no nodes, whose addresses Kubernetes does not know: address
        -> node."""
        inventory, nodes = self._inventory, self._inventory.groups.get(NODES, ())
        masters = [host for host in inventory.masters if host not in nodes and host in inventory.named]
        found = {tunnel_address(inventory, host): inventory.node_name(host) for host in masters}
        return {address: node for address, node in sorted(found.items()) if address}

    def _gateways(self) -> dict[str, str]:
        """Return the addresses of gateways, address -> node, and of the routers behind them, which Kubernetes does not
        know: what variables say, as facts are known of the hosts of one batch alone.

        A router that is a gateway too is one that no service may have.
        """
        inventory = self._inventory
        own: dict[str, str] = {}
        routers: dict[str, str] = {}
        for host in inventory.groups.get(GATEWAYS, ()):
            if host in inventory.named:
                own.update({str(face.ip): inventory.node_name(host) for face in _several(inventory, host, GATEWAY_IP)})
                routers.update({str(hop): ROUTER for hop in _several(inventory, host, NEXT_HOP)})
        return dict(sorted({**own, **routers}.items()))

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
            masters = self._masters()
            more: dict[str, t.Any] = {"service_subnets": self._service_subnets, **self._allowed}
            more.update({"host_addresses": masters} if masters else {})
            programs.append(self._program(names.WATCHER_ACCOUNT, names.WATCHER_ACCESS, names.WATCHER_TOKEN, more))
        if pods and host in self._inventory.named:
            node = self._inventory.node_name(host)
            user, group = node_user(node)
            more = {**({"user": user, "group": group} if self.accounts else {}), **self._allowed}
            gateways = self._gateways()
            more.update({"host_addresses": gateways} if gateways else {})
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
