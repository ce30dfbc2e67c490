# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pods of this node, as the API server tells of them, and those who wait for one of them."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from ..._common import addressing, names
from .. import interface as pod_interface
from .protocol import MALFORMED, TRY_AGAIN, CniError

LOG = logging.getLogger("ovn-k8s-node")
# On the API server's copy of a static pod: what the kubelet and the runtime have for its UID.
STATIC_UID = "kubernetes.io/config.mirror"
ANNOTATIONS = (
    names.POD_ANNOTATION,
    names.POD_NETWORKS_ANNOTATION,
    names.POD_UID_ANNOTATION,
    names.INGRESS_BANDWIDTH,
    names.EGRESS_BANDWIDTH,
    STATIC_UID,
)


@dataclass(frozen=True)
class Pod:
    """What is kept of a pod.

    :ivar host_ports: (protocol, port of the host, address of the host or None for all, port of the pod), of a pod that has not ended.
    """

    uid: str
    annotations: dict = field(hash=False)
    host_ports: tuple = ()

    def is_meant_by(self, uid):
        """Whether a runtime that says this UID (empty: it says none) means this pod."""
        return uid in ("", self.uid, self.annotations.get(STATIC_UID))

    def network(self):
        """The pod's :class:`._pods.interface.PodNetwork`, None as long as it has none of its own: annotations may be a restored or copied pod's.

        :raises AnnotationError: when they can't be used.
        """
        return (
            pod_interface.network(self.annotations)
            if self.annotations.get(names.POD_UID_ANNOTATION) == self.uid
            else None
        )


def trimmed(item):
    """A pod of the API server as a :class:`Pod`; None for one without an interface of its own."""
    if (item.get("spec") or {}).get("hostNetwork"):
        return None
    meta = item["metadata"]
    annotations = meta.get("annotations") or {}
    return Pod(
        meta["uid"], {name: annotations[name] for name in ANNOTATIONS if name in annotations}, tuple(_host_ports(item))
    )


def _host_ports(item):
    if (item.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return
    spec = item.get("spec") or {}
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                where = addressing.normalized(port.get("hostIP") or "0.0.0.0")
                if where is None:  # the API server takes any text
                    LOG.warning(
                        "pod %s/%s: hostIP %.50r of host port %s is not an address: that port is not served",
                        item["metadata"].get("namespace"),
                        item["metadata"].get("name"),
                        port["hostIP"],
                        port["hostPort"],
                    )
                    continue
                yield (
                    port.get("protocol", "TCP").lower(),
                    port["hostPort"],
                    where if where not in ("0.0.0.0", "::") else None,
                    port["containerPort"],
                )


class Pods:
    """Waits for what an informer tells.

    :ivar store: namespace/name -> :class:`Pod`, the informer's.
    """

    def __init__(self):
        self.store = {}
        self._waiting = {}

    def changed(self, key, _before, _after):
        """A pod came, changed or went: wake those who wait for it."""
        for waiter in self._waiting.pop(key, ()):
            if not waiter.done():
                waiter.set_result(None)

    async def _change(self, key):
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, set()).add(waiter)
        try:
            await waiter
        finally:
            waiters = self._waiting.get(key)
            if waiters is not None:
                waiters.discard(waiter)
                if not waiters:
                    del self._waiting[key]

    async def network(self, key, uid):
        """Wait until the watcher has given the pod its network: (the pod's UID, :class:`._pods.interface.PodNetwork`).

        :param uid: the pod that is meant, empty: whichever has the name.
        :raises CniError: when that pod goes meanwhile, or its annotation can't be used.
        """
        seen = False
        while True:
            pod = self.known(key, uid)
            if pod is not None:
                seen = True
                network = self.network_of(key, pod)
                if network is not None:
                    return pod.uid, network
            elif seen:
                raise gone(key)
            await self._change(key)

    def known(self, key, uid):
        """The pod of that name and UID (empty: any), None when it is not known."""
        pod = self.store.get(key)
        return pod if pod is not None and pod.is_meant_by(uid) else None

    @staticmethod
    def network_of(key, pod):
        """The pod's network, None as long as it has none of its own; :raises CniError: when its annotations can't be used."""
        try:
            return pod.network()
        except pod_interface.AnnotationError as exc:
            raise CniError(MALFORMED, f"pod {key}: {exc}") from None

    async def leaves(self, key, uid):
        """Wait until the pod is no longer the one of that UID."""
        while (pod := self.store.get(key)) is not None and pod.uid == uid:
            await self._change(key)

    def waits_for(self, key, uid):
        """What is still missing of a pod, for whoever waited in vain."""
        pod = self.store.get(key)
        if pod is None:
            return f"pod {key} is not known on this node: the API server has not told of it"
        if not pod.is_meant_by(uid):
            return f"pod {key} has UID {pod.uid} and not {uid}"
        return f"pod {key} has no annotation {names.POD_ANNOTATION} of its own: look at ovn-k8s-watcher on the masters"


def gone(key):
    """The pod went while its interface was made."""
    return CniError(TRY_AGAIN, f"pod {key} was deleted or made anew while its interface was made")
