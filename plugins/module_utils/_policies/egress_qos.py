# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the rows of EgressQoS: for each rule a row of QoS (ovn-nb(5)) at the switch of each node that has pods of the
namespace. A pod that comes or goes changes rows where it is the first or the last one of its namespace on its node.

What a pod sends is marked after load balancing, by the address of the endpoint (``to-lport``, as ovn-kubernetes does).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from .._common.addressing import family
from .._kube import reasons, statuses
from .._kube.reference import OnEvent
from .._kube.statuses import StatusWriter
from .._kube.told import Told
from .._ovsdb.plan import Change
from .._ovsdb.replica import Replica
from .._ovsdb.rows import CurrentRow, ExactMap, Owner, Row
from .._pods.model import Pod
from .._reconcile.engine import Engine
from .._reconcile.planning import NotReady
from .egress_qos_model import NAME, Condition, EgressQoS, QoSRule
from .shared import Key, PodGroup
from .sharing import Sharing

LOG = logging.getLogger("ovn-k8s-watcher")
KIND = "EgressQoS"
TABLE, SWITCHES = "QoS", "Logical_Switch"
PATH = "/apis/k8s.ovn.org/v1/egressqoses"
FIRST = 1000  # priority of the first rule
APPLIED, NOT_APPLIED = "EgressQoS Rules applied", "EgressQoS Rules not correctly applied"
READY = "Ready-In-Zone-global"  # type of a condition: ovn-kubernetes' name of the only zone
LONGEST = 500  # characters of a message


class QoSPlanner:
    """The planner of EgressQoS. A key is an object's, or with ``@node`` that of its rows at a node.

    :param objects: key -> EgressQoS, the informer's store.
    :param groups: port groups of network policies, which it uses too.
    :param is_readable: returns whether the API server shows these objects, or does not know them.

    :ivar engine: set by whoever makes the engine.
    """

    tables = (TABLE,)
    engine: Engine

    def __init__(
        self,
        replica: Replica,
        objects: Mapping[str, EgressQoS],
        groups: Sharing,
        on_event: OnEvent,
        status: StatusWriter,
        is_readable: Callable[[], bool],
    ) -> None:
        self._replica = replica
        self._objects = objects
        self._sharing = groups
        self._status = status
        self._is_readable = is_readable
        self._told = Told(on_event, LOG)
        self._pods: dict[str, dict[str, set[str]]] = {}  # namespace -> node -> keys of pods
        self._used: dict[str, set[Key]] = {}  # object -> port groups that it uses, or did until its rows are written
        self._pending: dict[str, set[str]] = {}  # object -> its keys whose rows may not be as desired

    def begin_sets(self) -> None:
        """Keep the port groups that rows of an earlier run name, until these are as desired."""
        self._sharing.begin(KIND, self._replica.owners(KIND))

    def begin(self) -> None:
        """Look at all objects."""
        written = self._replica.owners(KIND)
        for key in {*self._objects, *self._used, *(one.partition("@")[0] for one in written)}:
            self._mark_all(key)
        for one in written:
            self._mark(one)

    # Events.

    def object_changed(self, key: str, old: EgressQoS | None, new: EgressQoS | None) -> None:
        """Take in a change of an object."""
        if old is not None and new is not None and old._replace(status=new.status, conditions=new.conditions) == new:
            self._status.seen(_path(key), (new.status, new.conditions))
            return
        used = self._used.setdefault(key, set())
        for group in self._groups(new):
            if group not in used:
                used.add(group)
                self._sharing.use(group, _user(key))
        if new is None:
            self._told.forget(key)
            self._status.forget(_path(key))
        self._mark_all(key)
        if not self.engine.active:
            self._release(key)

    def pod_changed(self, key: str, old: Pod | None, new: Pod | None) -> None:
        """Take in a change of a pod."""
        if old is not None and new is not None and old.node == new.node:
            return
        namespace = key.partition("/")[0]
        nodes = self._pods.setdefault(namespace, {})
        if old is not None and key in nodes.get(old.node, ()):
            nodes[old.node].discard(key)
            if not nodes[old.node]:
                del nodes[old.node]
                self._node_changed(namespace, old.node)
        if new is not None and new.node:
            if new.node not in nodes:
                self._node_changed(namespace, new.node)
            nodes.setdefault(new.node, set()).add(key)
        if not nodes:
            del self._pods[namespace]

    def _node_changed(self, namespace: str, node: str) -> None:
        key = f"{namespace}/{NAME}"
        if key in self._objects:
            self._mark(f"{key}@{node}")

    def switch_changed(self, old: CurrentRow | None, new: CurrentRow | None) -> None:
        """Take in that a switch has come."""
        if old is None and new is not None:
            for namespace, nodes in self._pods.items():
                if new.name in nodes:
                    self._node_changed(namespace, new.name or "")

    def _mark_all(self, key: str) -> None:
        """Look at an object, and its rows at all nodes."""
        namespace = key.partition("/")[0]
        for node in self._pods.get(namespace, ()):
            self._mark(f"{key}@{node}")
        self._mark(key)

    def _mark(self, key: str) -> None:
        self._pending.setdefault(key.partition("@")[0], set()).add(key)
        self.engine.mark(KIND, key)

    @staticmethod
    def _groups(one: EgressQoS | None) -> set[Key]:
        if one is None or one.name != NAME:
            return set()
        return {PodGroup(one.namespace, rule.pods) for rule in one.rules}

    def _release(self, key: str) -> None:
        """Give up the port groups that no row of an object names any more."""
        current, used = self._groups(self._objects.get(key)), self._used.get(key, set())
        for group in used - current:
            used.discard(group)
            self._sharing.release(group, _user(key))
        if not used:
            self._used.pop(key, None)

    # For the engine.

    @staticmethod
    def owner(key: str) -> Owner:
        """Return the owner of the rows of an object at a node."""
        return Owner(KIND, key)

    def desired(self, key: str) -> list[Row]:
        """Return the rows of an object at a node; none at one without pods of the namespace."""
        name, _at, node = key.partition("@")
        one = self._objects.get(name)
        if one is None and not self._is_readable():
            raise NotReady("EgressQoS can't be read now", keeps_rows=True)
        if one is None or one.name != NAME or node not in self._pods.get(one.namespace, ()):
            return []
        if self._replica.named(SWITCHES, node) is None:
            return []
        return [self._row(key, node, one, rule) for rule in one.rules]

    def _row(self, key: str, node: str, one: EgressQoS, rule: QoSRule) -> Row:
        group = self._sharing.get(PodGroup(one.namespace, rule.pods))
        to = "ip" if rule.network is None else f"ip{family(rule.network)}.dst == {rule.network}"
        columns = {
            "direction": "to-lport",
            "priority": FIRST - rule.number,
            "match": f"inport == @{group.group} && {to}",
            "action": ExactMap(dscp=rule.dscp),
        }
        role = f"rule-{rule.number}"
        return Row(TABLE, self.owner(key), role, parent=node, columns=columns, needs=(group.need,))

    def done(self, key: str, changes: Sequence[Change]) -> None:
        """Take in that the rows are as desired; after the last of an object's say how it is served."""
        name = key.partition("@")[0]
        self._pending.get(name, set()).discard(key)
        self._sharing.written(KIND, key)
        one = self._objects.get(name)
        if self._pending.get(name):
            return
        self._pending.pop(name, None)
        self._release(name)
        if one is None:
            return
        faults: Sequence[str] = one.faults
        if one.name != NAME:
            faults = (f"its name is not {NAME!r}: it is not served",)
        said = "; ".join(faults)
        self._told.tell(name, one.reference, reasons.QOS_NOT_SERVED, "")
        self._told.tell(name, one.reference, reasons.QOS_PART_REFUSED, f"not served as written: {said}" if said else "")
        self._write(one, said)

    def failed(self, key: str, reason: str) -> None:
        """Say that an object is not served yet."""
        name = key.partition("@")[0]
        one = self._objects.get(name)
        if one is not None:
            self._told.tell(name, one.reference, reasons.QOS_NOT_SERVED, f"it is not served yet: {reason}")
            self._write(one, reason)

    def _write(self, one: EgressQoS, wrong: str) -> None:
        """Write the status. The time of a condition is new only where something else of it is."""
        text = NOT_APPLIED if wrong else APPLIED
        message = f"{NOT_APPLIED}: {wrong}"[:LONGEST] if wrong else APPLIED
        condition = Condition(READY, *(("False", "SetupFailed") if wrong else ("True", "SetupSucceeded")), message)
        status = {"status": text, "conditions": [{**condition._asdict(), "lastTransitionTime": statuses.now()}]}
        self._status.merge(_path(one.key), one.uid, status, (text, (condition,)), (one.status, one.conditions))


def _path(key: str) -> str:
    namespace, _slash, name = key.partition("/")
    return f"/apis/k8s.ovn.org/v1/namespaces/{namespace}/egressqoses/{name}"


def _user(key: str) -> str:
    return f"{KIND} {key}"
