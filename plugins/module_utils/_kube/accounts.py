# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Kubernetes accounts of our programs, with the rights that each needs and no other.

The watcher reads what the network is made from, and writes pods' annotations and events. A node's server may act as its node
(``system:node:NAME``), to which the API server's Node authorizer shows that node's pods and no other's; a role can't say so. And it may read what
kube-proxy would read.
Each account may ask for its own next token.
"""

from __future__ import annotations

from .._common.names import ACCOUNTS_NAMESPACE, CONTROLLER, WATCHER_ACCOUNT, node_account

MANAGED_BY = "app.kubernetes.io/managed-by"
SELECTOR = f"{MANAGED_BY}={CONTROLLER}"
NAMESPACES = "/api/v1/namespaces"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
INSIDE = f"/namespaces/{ACCOUNTS_NAMESPACE}"
# The collections that hold accounts, in the order in which they are made.
COLLECTIONS = (
    NAMESPACES,
    f"/api/v1{INSIDE}/serviceaccounts",
    f"{RBAC}{INSIDE}/roles",
    f"{RBAC}{INSIDE}/rolebindings",
    f"{RBAC}/clusterroles",
    f"{RBAC}/clusterrolebindings",
)
ACCOUNTS, ROLES, ROLE_BINDINGS, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS = COLLECTIONS[1:]

READ = ["get", "list", "watch"]
WATCHER_RULES = [
    {"apiGroups": [""], "resources": ["nodes", "pods", "services"], "verbs": READ},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": READ},
    {"apiGroups": [""], "resources": ["pods/status"], "verbs": ["patch"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
]


def node_user(node):
    """(user, group) that a node's server acts as: those of the node's kubelet."""
    return f"system:node:{node}", "system:nodes"


def node_rules(node):
    """What the account of a node's server may do."""
    user, group = node_user(node)
    return [
        {"apiGroups": [""], "resources": ["users"], "resourceNames": [user], "verbs": ["impersonate"]},
        {"apiGroups": [""], "resources": ["groups"], "resourceNames": [group], "verbs": ["impersonate"]},
        {"apiGroups": [""], "resources": ["nodes", "services"], "verbs": READ},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": READ},
    ]


def objects(nodes):
    """collection -> name -> object, of the whole."""
    wanted = {collection: {} for collection in COLLECTIONS}

    def want(collection, version, kind, name, **content):
        metadata = {"name": name, "labels": {MANAGED_BY: CONTROLLER}}
        if INSIDE in collection:
            metadata["namespace"] = ACCOUNTS_NAMESPACE
        wanted[collection][name] = {"apiVersion": version, "kind": kind, "metadata": metadata, **content}

    def account(name, rules):
        rbac = "rbac.authorization.k8s.io"
        subjects = [{"kind": "ServiceAccount", "name": name, "namespace": ACCOUNTS_NAMESPACE}]
        want(ACCOUNTS, "v1", "ServiceAccount", name)
        want(
            ROLES,
            f"{rbac}/v1",
            "Role",
            name,
            rules=[
                {
                    "apiGroups": [""],
                    "resources": ["serviceaccounts/token"],
                    "resourceNames": [name],
                    "verbs": ["create"],
                }
            ],
        )
        want(
            ROLE_BINDINGS,
            f"{rbac}/v1",
            "RoleBinding",
            name,
            subjects=subjects,
            roleRef={"apiGroup": rbac, "kind": "Role", "name": name},
        )
        want(CLUSTER_ROLES, f"{rbac}/v1", "ClusterRole", name, rules=rules)
        want(
            CLUSTER_ROLE_BINDINGS,
            f"{rbac}/v1",
            "ClusterRoleBinding",
            name,
            subjects=subjects,
            roleRef={"apiGroup": rbac, "kind": "ClusterRole", "name": name},
        )

    want(NAMESPACES, "v1", "Namespace", ACCOUNTS_NAMESPACE)
    account(WATCHER_ACCOUNT, WATCHER_RULES)
    for node in nodes:
        account(node_account(node), node_rules(node))
    return wanted
