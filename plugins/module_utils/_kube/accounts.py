# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Kubernetes service accounts of the programs, each with the rights that it needs and no others (RBAC).

The watcher reads what the overlay is made from, and writes pods' annotations and events.
A node's server may act as its node (``system:node:NAME``): the API server's Node authorizer shows a node only its own
pods, which no role can do. It may also read what kube-proxy reads.
Each account may request its own next token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .._common.names import ACCOUNTS_NAMESPACE, CONTROLLER, WATCHER_ACCOUNT, node_account

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from .client import Object

    Rules = list[dict[str, Any]]  # of a Role or ClusterRole

MANAGED_BY = "app.kubernetes.io/managed-by"
SELECTOR = f"{MANAGED_BY}={CONTROLLER}"
NAMESPACES = "/api/v1/namespaces"
RBAC_GROUP = "rbac.authorization.k8s.io"
RBAC = f"/apis/{RBAC_GROUP}/v1"
IN_NAMESPACE = f"/namespaces/{ACCOUNTS_NAMESPACE}"
# The collections of these objects, in the order in which they are created.
COLLECTIONS = (
    NAMESPACES,
    f"/api/v1{IN_NAMESPACE}/serviceaccounts",
    f"{RBAC}{IN_NAMESPACE}/roles",
    f"{RBAC}{IN_NAMESPACE}/rolebindings",
    f"{RBAC}/clusterroles",
    f"{RBAC}/clusterrolebindings",
)
ACCOUNTS, ROLES, ROLE_BINDINGS, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS = COLLECTIONS[1:]

READ = ["get", "list", "watch"]
WATCHER_RULES: Rules = [
    {"apiGroups": [""], "resources": ["nodes", "pods", "services"], "verbs": READ},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": READ},
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies", "servicecidrs"], "verbs": READ},
    {
        "apiGroups": ["policy.networking.k8s.io"],
        "resources": ["adminnetworkpolicies", "baselineadminnetworkpolicies", "clusternetworkpolicies"],
        "verbs": ["list"],
    },
    {"apiGroups": [""], "resources": ["pods/status"], "verbs": ["patch"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
]


class User(NamedTuple):
    """A user of the API, and a group of it."""

    user: str
    group: str


def node_user(node: str) -> User:
    """Return whom a node's server acts as: the node's kubelet."""
    return User(f"system:node:{node}", "system:nodes")


def node_rules(node: str) -> Rules:
    """Return the rights of the account of a node's server."""
    user, group = node_user(node)
    return [
        {"apiGroups": [""], "resources": ["users"], "resourceNames": [user], "verbs": ["impersonate"]},
        {"apiGroups": [""], "resources": ["groups"], "resourceNames": [group], "verbs": ["impersonate"]},
        {"apiGroups": [""], "resources": ["nodes", "services"], "verbs": READ},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": READ},
        {"apiGroups": ["networking.k8s.io"], "resources": ["servicecidrs"], "verbs": READ},
    ]


def objects(nodes: Iterable[str]) -> dict[str, dict[str, Object]]:
    """Return all desired objects: collection -> name -> object."""
    desired: dict[str, dict[str, Object]] = {collection: {} for collection in COLLECTIONS}
    desired[NAMESPACES][ACCOUNTS_NAMESPACE] = _object(NAMESPACES, "v1", "Namespace", ACCOUNTS_NAMESPACE)
    accounts = {WATCHER_ACCOUNT: WATCHER_RULES, **{node_account(node): node_rules(node) for node in nodes}}
    for account, rules in accounts.items():
        for collection, item in _account(account, rules).items():
            desired[collection][account] = item
    return desired


def without_nodes(current: Mapping[str, Mapping[str, Object]], nodes: Iterable[str]) -> dict[str, dict[str, Object]]:
    """Return the current objects without the accounts of these nodes: collection -> name -> object."""
    gone = {node_account(node) for node in nodes}
    return {
        collection: {name: item for name, item in items.items() if name not in gone or collection == NAMESPACES}
        for collection, items in current.items()
    }


def with_others(
    desired: Mapping[str, Mapping[str, Object]], current: Mapping[str, Mapping[str, Object]]
) -> dict[str, dict[str, Object]]:
    """Return the desired objects, and the current ones of all other accounts: collection -> name -> object."""
    return {
        collection: {
            **{name: item for name, item in current.get(collection, {}).items() if name not in desired[ACCOUNTS]},
            **items,
        }
        for collection, items in desired.items()
    }


def _account(name: str, rules: Rules) -> dict[str, Object]:
    """Return a service account with its roles and bindings: collection -> object."""
    subjects = [{"kind": "ServiceAccount", "name": name, "namespace": ACCOUNTS_NAMESPACE}]
    token_rules: Rules = [
        {"apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": [name], "verbs": ["create"]}
    ]

    def rbac(collection: str, kind: str, **content: Any) -> Object:
        return _object(collection, f"{RBAC_GROUP}/v1", kind, name, **content)

    def binding(collection: str, kind: str, role: str) -> Object:
        return rbac(collection, kind, subjects=subjects, roleRef={"apiGroup": RBAC_GROUP, "kind": role, "name": name})

    return {
        ACCOUNTS: _object(ACCOUNTS, "v1", "ServiceAccount", name),
        ROLES: rbac(ROLES, "Role", rules=token_rules),
        ROLE_BINDINGS: binding(ROLE_BINDINGS, "RoleBinding", "Role"),
        CLUSTER_ROLES: rbac(CLUSTER_ROLES, "ClusterRole", rules=rules),
        CLUSTER_ROLE_BINDINGS: binding(CLUSTER_ROLE_BINDINGS, "ClusterRoleBinding", "ClusterRole"),
    }


def _object(collection: str, version: str, kind: str, name: str, **content: Any) -> Object:
    metadata: dict[str, Any] = {"name": name, "labels": {MANAGED_BY: CONTROLLER}}
    if IN_NAMESPACE in collection:
        metadata["namespace"] = ACCOUNTS_NAMESPACE
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}
