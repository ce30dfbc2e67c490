# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say what became of policies: by events and in the log, and of cluster network policies by a condition as well."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Union

from .._kube import reasons, statuses
from .._kube.reference import OnEvent
from .._kube.statuses import StatusWriter
from .._kube.told import Told
from . import acl_log
from .acls import KIND
from .cluster_model import COLLECTION, CONDITION, GROUP, ClusterPolicy, Condition
from .cluster_model import KIND as CLUSTER_KIND
from .model import Policy

LOG = logging.getLogger("ovn-k8s-watcher")
AnyPolicy = Union[Policy, ClusterPolicy]
# Reasons of the condition of cluster network policies.
ENFORCED, PART_REFUSED, NOT_ENFORCED, NOT_SUPPORTED = "Enforced", "PartRefused", "NotEnforced", "NotSupported"
SUCCESS = "its rules are in the Northbound database, from where each node takes them"
NO_TIERS = (
    "it is not enforced: this cluster's OVN has no tiers of ACLs (they come with 23.06), so nothing would be left to "
    "NetworkPolicies; renew the masters' OVN, and then the nodes'"
)


def kind_of(key: str) -> str:
    """Return the kind of the policy of a key: those of a namespace have it in their key."""
    return KIND if "/" in key else CLUSTER_KIND


class Reports:
    """What is said.

    :param on_event: writes an event about a policy.
    :param status: writes the condition of a cluster network policy.

    :ivar told: what was said by events and in the log.
    """

    def __init__(self, on_event: OnEvent, status: StatusWriter) -> None:
        self.told = Told(on_event, LOG)
        self._status = status
        self._said: dict[str, Condition] = {}  # cluster network policy -> its condition, without the time

    def is_told(self, policy: ClusterPolicy) -> bool:
        """Return whether a policy has the condition that was said last, which its object has come back with."""
        if policy.condition is None or self._said.get(policy.key) != policy.condition._replace(since=""):
            return False
        self._status.confirm(_path(policy))
        return True

    def forget(self, key: str, policy: AnyPolicy | None) -> None:
        """Forget a policy that was deleted.

        :param policy: what it was.
        """
        self.told.forget(key)
        self._said.pop(key, None)
        if isinstance(policy, ClusterPolicy):
            self._status.forget(_path(policy))

    def written(self, policy: AnyPolicy, faults: Sequence[str]) -> None:
        """Say that the rows of a policy are as desired.

        :param faults: what of it is not enforced as written.
        """
        problem = f"not enforced as written: {'; '.join(faults)}" if faults else ""
        if isinstance(policy, Policy):
            self.told.tell(policy.key, policy.reference, reasons.POLICY_NOT_ENFORCED, "")
            self.told.tell(policy.key, policy.reference, reasons.POLICY_PART_REFUSED, problem)
            return
        unlogged = f"; it is not logged: {acl_log.refused(policy.log_fault)}" if policy.log_fault else ""
        self._write(policy, PART_REFUSED if problem else ENFORCED, problem, SUCCESS + unlogged)
        self.told.tell(policy.key, policy.reference, reasons.ACL_LOGGING_REFUSED, acl_log.refused(policy.log_fault))
        self.told.tell(policy.key, policy.reference, reasons.CLUSTER_POLICY_NOT_ENFORCED, "")
        self.told.tell(policy.key, policy.reference, reasons.CLUSTER_POLICY_PART_REFUSED, problem)

    def not_enforced(self, policy: AnyPolicy, message: str, reason: str = NOT_ENFORCED) -> None:
        """Say that a policy is not enforced, or only what it isolates.

        :param reason: of the condition.
        """
        if isinstance(policy, Policy):
            self.told.tell(policy.key, policy.reference, reasons.POLICY_NOT_ENFORCED, message)
            return
        self._write(policy, reason, message, "")
        self.told.tell(policy.key, policy.reference, reasons.CLUSTER_POLICY_NOT_ENFORCED, message)

    def _write(self, policy: ClusterPolicy, reason: str, problem: str, success: str) -> None:
        """Write the condition :data:`.cluster_model.CONDITION` of a policy, and leave those of others.

        :param problem: what is not as it says; empty: all is.
        """
        text = (problem or success)[: statuses.LONGEST]
        found = Condition("False" if problem else "True", reason, text, policy.generation)
        self._said[policy.key] = found
        told = policy.condition._replace(since="") if policy.condition is not None else None
        self._status.apply(_path(policy), _body(policy, found), found, told)


def _path(policy: ClusterPolicy) -> str:
    return f"/apis/{GROUP}/{policy.version}/{COLLECTION}/{policy.name}"


def _body(policy: ClusterPolicy, found: Condition) -> dict[str, Any]:
    """Return the part of an object that is applied. The time changes with the condition's status only
    (metav1.Condition).
    """
    known = policy.condition
    since = known.since if known is not None and known.status == found.status else ""
    condition = {
        "type": CONDITION,
        "status": found.status,
        "reason": found.reason,
        "message": found.message,
        "observedGeneration": found.generation,
        "lastTransitionTime": since or statuses.now(),
    }
    return {
        "apiVersion": f"{GROUP}/{policy.version}",
        "kind": CLUSTER_KIND,
        "metadata": {"name": policy.name, "uid": policy.uid},
        "status": {"conditions": [condition]},
    }
