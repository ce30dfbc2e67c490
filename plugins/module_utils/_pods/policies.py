# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Policies of Kubernetes, which the overlay does not enforce: say so.

The API server accepts them without a plugin that serves them, and whoever makes one relies on it. Each NetworkPolicy
gets an event. Those of administrators, which are for the whole cluster, are counted when somebody asks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .._common.errors import KubernetesError
from .._kube import reasons
from .._kube.informer import Informer
from .._kube.reference import OnEvent, Reference

if TYPE_CHECKING:
    from .._kube.client import Client

MESSAGE = (
    "this policy is not enforced: the overlay serves no policies, so the pods that it selects are reached as if it did "
    "not exist; restrict access outside of Kubernetes' policies, or delete it"
)
GROUP = "networking.k8s.io/v1"
# Policies for the whole cluster (network-policy-api): kind -> collection.
OF_ADMINISTRATORS = {
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


def _reference(item: Mapping[str, Any]) -> Reference:
    """Return what is kept of a NetworkPolicy."""
    meta = item["metadata"]
    return Reference("NetworkPolicy", meta["namespace"], meta["name"], meta["uid"], GROUP)


class Policies:
    """The policies of a cluster.

    :param on_event: writes a Kubernetes event.
    :param acts: returns whether this watcher acts: others say nothing.

    :ivar informer: of NetworkPolicies.
    """

    def __init__(self, client: Client, on_event: OnEvent, acts: Callable[[], bool]) -> None:
        self.informer: Informer[Reference] = Informer(
            client, f"/apis/{GROUP}/networkpolicies", _reference, self._changed, is_optional=True
        )
        self._client = client
        self._on_event = on_event
        self._acts = acts

    def begin(self) -> None:
        """Say it of all policies."""
        for policy in self.informer.store.values():
            self._on_event(policy, reasons.POLICY_NOT_ENFORCED, MESSAGE)

    def _changed(self, _key: str, _old: Reference | None, new: Reference | None) -> None:
        if new is not None and self._acts():
            self._on_event(new, reasons.POLICY_NOT_ENFORCED, MESSAGE)

    async def findings(self) -> list[Finding]:
        """Return how many policies of each kind there are; nothing of kinds without any."""
        if not self._acts():
            return []
        counted = {"NetworkPolicy": len(self.informer.store)}
        for kind, collection in OF_ADMINISTRATORS.items():
            counted[kind] = await self._count(collection)
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
        f"kubectl get {kind.lower()} -A: restrict access in another way, or delete what nobody should rely on",
    )
