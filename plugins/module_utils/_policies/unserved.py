# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kinds of policies that the overlay does not enforce: those of administrators, for the whole cluster.

The API server accepts them once their definitions are installed, and whoever makes one relies on it. They are counted
when somebody asks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from .._common.errors import KubernetesError

if TYPE_CHECKING:
    from .._kube.client import Client

# Kind (network-policy-api) -> its collection.
COLLECTIONS = {
    "AdminNetworkPolicy": "/apis/policy.networking.k8s.io/v1alpha1/adminnetworkpolicies",
    "BaselineAdminNetworkPolicy": "/apis/policy.networking.k8s.io/v1alpha1/baselineadminnetworkpolicies",
    "ClusterNetworkPolicy": "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies",
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
    """

    def __init__(self, client: Client, acts: Callable[[], bool]) -> None:
        self._client = client
        self._acts = acts

    async def findings(self) -> list[Finding]:
        """Return how many policies of each kind there are; nothing of kinds without any."""
        if not self._acts():
            return []
        counted = {kind: await self._count(collection) for kind, collection in COLLECTIONS.items()}
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
        f"kubectl get {kind.lower()}: restrict access by NetworkPolicies, or delete what nobody should rely on",
    )
