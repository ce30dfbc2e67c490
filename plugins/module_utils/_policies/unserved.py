# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kinds of policies that the overlay does not enforce: those for which ClusterNetworkPolicy came (network-policy-api
v1alpha1), and ClusterNetworkPolicy itself where OVN has no tiers.

The API server accepts them once their definitions are installed, and whoever makes one relies on it. They are counted
when somebody asks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from .._common.errors import KubernetesError
from .cluster_model import KIND as CLUSTER_KIND

if TYPE_CHECKING:
    from .._kube.client import Client

# Kind (network-policy-api) -> its collection.
COLLECTIONS = {
    "AdminNetworkPolicy": "/apis/policy.networking.k8s.io/v1alpha1/adminnetworkpolicies",
    "BaselineAdminNetworkPolicy": "/apis/policy.networking.k8s.io/v1alpha1/baselineadminnetworkpolicies",
}
# What to do, by kind.
INSTEAD = {
    "AdminNetworkPolicy": "write each as a ClusterNetworkPolicy (policy.networking.k8s.io/v1beta1) of tier Admin, with "
    "Accept for Allow, and delete it",
    "BaselineAdminNetworkPolicy": "write it as a ClusterNetworkPolicy (policy.networking.k8s.io/v1beta1) of tier "
    "Baseline, with Accept for Allow, and delete it",
    CLUSTER_KIND: "renew OVN on the masters, and then on the nodes, to 23.06 or newer, or restrict access by "
    "NetworkPolicies",
}


class Finding(NamedTuple):
    """Policies of one kind, for verify."""

    subject: str
    wrong: str
    causes: str
    mend: str
    severity: str = "warning"


class UnservedPolicies:
    """The policies of a cluster that nobody enforces.

    :param acts: returns whether this watcher acts: others say nothing.
    :param refused: returns how many cluster network policies are refused, since OVN has no tiers.
    """

    def __init__(self, client: Client, acts: Callable[[], bool], refused: Callable[[], int] = lambda: 0) -> None:
        self._client = client
        self._acts = acts
        self._refused = refused

    async def findings(self) -> list[Finding]:
        """Return how many policies of each kind there are; nothing of kinds without any."""
        if not self._acts():
            return []
        counted = {kind: await self._count(collection) for kind, collection in COLLECTIONS.items()}
        counted[CLUSTER_KIND] = self._refused()
        return [_finding(kind, count) for kind, count in counted.items() if count]

    async def _count(self, collection: str) -> int:
        """Return how many objects a collection has; 0 where it does not exist, or may not be read."""
        with contextlib.suppress(KubernetesError):
            page = await self._client.get(collection, limit="1")
            return len(page.get("items") or ()) + (page["metadata"].get("remainingItemCount") or 0)
        return 0


def _finding(kind: str, count: int) -> Finding:
    return Finding(
        kind,
        f"{count} of the cluster's objects are not enforced" if count > 1 else "the cluster's only one is not enforced",
        "pods are reached as if these policies did not exist",
        f"kubectl get {kind.lower()}: {INSTEAD[kind]}",
    )
