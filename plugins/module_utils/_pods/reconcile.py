# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pods converged: the port in the Northbound database first, then the annotation that tells the node of it."""

from __future__ import annotations

import asyncio
import logging
import time

from .._common import names
from .._common.errors import APIRefused, KubernetesError
from .._reconcile.engine import NotYet
from . import northbound as policy
from .addresses import Addresses, Exhausted

LOG = logging.getLogger("ovn-k8s-watcher")
PATCHES = 32  # requests to the API server at one time
NOT_FOUND, CONFLICT = 404, 409
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0  # between two tries to write an annotation


class Pods:
    """The planner of pods.

    :param replica: the Northbound database.
    :param store: key -> Pod, of the informer.
    :param events: tells the cluster about a pod: ``events(pod, reason, sentence)``.
    :param observe: called with (what, seconds) as :class:`.cluster.Cluster` says.
    """

    tables = ("Logical_Switch_Port",)

    def __init__(self, replica, store, client, events, observe):
        self.addresses = Addresses()
        self.patches = self.patch_errors = 0
        self.engine = None
        self._replica = replica
        self._store = store
        self._client = client
        self._events = events
        self._observe = observe
        self._nodes = {}  # node -> keys of its pods
        self._waiting = {}  # node -> keys that its subnet has no address for
        self._seen = {}  # key -> when it was first seen, until it has its annotation
        self._patching = {}  # key -> task
        self._tries = {}  # key -> how often its annotation could not be written
        self._gate = asyncio.Semaphore(PATCHES)

    @property
    def patching(self):
        """How many annotations are being written."""
        return len(self._patching)

    # What happens.

    def changed(self, key, before, after):
        """The API server told of a pod."""
        if before is not None and (after is None or before.node != after.node):
            self._nodes.get(before.node, set()).discard(key)
            self._waiting.get(before.node, set()).discard(key)
        if after is not None:
            self._nodes.setdefault(after.node, set()).add(key)
            if before is None or before.uid != after.uid:
                self._seen[key] = time.monotonic()
        else:
            self._seen.pop(key, None)
            self._tries.pop(key, None)
        self.engine.mark(policy.KIND, key)

    def port_changed(self, before, after):
        """The Northbound database told of a switch port."""
        row = after or before
        if row.external_id(names.OWNER_TYPE) == policy.KIND:
            self.engine.mark(policy.KIND, row.external_id(names.OWNER_NAME))
            return
        # A port of somebody else keeps its addresses from pods.
        self.addresses.release(row.uuid)
        if after is not None and not self.addresses.reserve(row.uuid, policy.addresses_of_port(after)):
            LOG.warning("switch port %s has an address that a pod has too", after.name)

    def switch_changed(self, name):
        """A node's switch came, changed or went."""
        for key in self._nodes.get(name, ()):
            self.engine.mark(policy.KIND, key)

    def begin(self):
        """Learn who has which address, before the first one is given: from all ports, then from pods whose port was lost."""
        self.addresses = Addresses()
        rows = sorted(
            self._replica.rows["Logical_Switch_Port"].values(),
            key=lambda row: row.external_id(names.OWNER_TYPE) == policy.KIND,
        )
        for row in rows:
            key = row.external_id(names.OWNER_NAME) if row.external_id(names.OWNER_TYPE) == policy.KIND else row.uuid
            if not self.addresses.reserve(key, policy.addresses_of_port(row)):
                LOG.warning("switch port %s has an address that another one has too", row.name)
        for key, pod in self._store.items():
            if not self.addresses.held(key):
                self.addresses.reserve(key, policy.addresses_of_annotation(pod))
        for key in {*self._store, *self._replica.owners(policy.KIND)}:
            self.engine.mark(policy.KIND, key)

    # What the engine asks.

    @staticmethod
    def owner(key):
        """Whose rows they are."""
        return policy.owner(key)

    def desired(self, key):
        """The pod's port; nothing for a pod that has none."""
        pod = self._store.get(key)
        if pod is None:
            return []
        where = self._place(pod)
        if not self.addresses.held(key):
            # A pod may be born with annotations (restored, copied): its node may believe them before ours are there.
            self.addresses.reserve(key, policy.addresses_of_annotation(pod))
        try:
            cidrs = self.addresses.take(key, where.subnets)
        except Exhausted as exc:
            self._waiting.setdefault(pod.node, set()).add(key)
            raise NotYet(str(exc)) from None
        return policy.rows(pod, where, cidrs)

    def _place(self, pod):
        switch = self._replica.named("Logical_Switch", pod.node)
        if switch is None:
            raise NotYet(f"node {pod.node} has no switch in the overlay yet: run the site play for it")
        where = policy.place(switch)
        if not where.subnets:
            raise NotYet(f"the switch of node {pod.node} has no subnet of ours: run the site play for it")
        return where

    def done(self, key, changes):
        """The port is as wanted: free what went, tell the node of what came."""
        pod = self._store.get(key)
        if pod is None:
            if self.addresses.release(key) and self._waiting:
                for waiting in self._waiting.values():
                    for other in waiting:
                        self.engine.mark(policy.KIND, other)
                self._waiting.clear()
            return
        self._waiting.get(pod.node, set()).discard(key)
        if changes and key in self._seen:
            self._observe("lsp", time.monotonic() - self._seen[key])
        if key not in self._patching:
            where = self._place(pod)
            texts = policy.annotations(where, self.addresses.take(key, where.subnets))
            if (pod.annotation, pod.networks, pod.marked) != (*texts, True):
                self._patching[key] = asyncio.create_task(self._annotate(key, pod, texts))
            else:
                self._seen.pop(key, None)

    def failed(self, key, sentence):
        """Tell whoever looks at the pod."""
        pod = self._store.get(key)
        if pod is not None:
            self._events(pod, "NetworkNotReady", sentence)

    async def _annotate(self, key, pod, texts):
        """Write the annotations, unless the pod is another one by now."""
        body = {
            "metadata": {
                "uid": pod.uid,
                "annotations": {
                    names.POD_ANNOTATION: texts[0],
                    names.POD_NETWORKS_ANNOTATION: texts[1],
                    names.POD_UID_ANNOTATION: pod.uid,
                },
            }
        }
        again = None
        tries = self._tries.pop(key, 0)
        try:
            async with self._gate:
                await self._client.patch(f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/status", body)
            self.patches += 1
            LOG.info("pod %s: annotated %s", key, texts[0])
            if key in self._seen:
                self._observe("annotation", time.monotonic() - self._seen.pop(key))
            if self._store.get(key) is pod:
                self._store[key] = pod._replace(annotation=texts[0], networks=texts[1], marked=True)
            elif self._store.get(key) is not None:
                again = 0.0
        except APIRefused as exc:
            # Another pod of this name, or none, is what the API server will tell next.
            again = self._unwritten(key, exc, tries, exc.status not in (NOT_FOUND, CONFLICT))
        except KubernetesError as exc:
            again = self._unwritten(key, exc, tries, not tries)
        finally:
            del self._patching[key]
        if again is not None and key in self._store:
            self.engine.later((policy.KIND, key), again)

    def _unwritten(self, key, exc, tries, loud):
        """Note that an annotation could not be written; seconds until it is tried again."""
        self.patch_errors += 1
        if key in self._store:
            self._tries[key] = tries + 1
        if loud:
            LOG.warning("pod %s: %s", key, exc)
        return min(FIRST_PAUSE * 2**tries, LONGEST_PAUSE)
