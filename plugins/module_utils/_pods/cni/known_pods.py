# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pods of this node, as the API server tells of them, and the requests that wait for one of them."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping

from ..._common import names
from ..annotation import AnnotationError, PodNetwork
from ..model import Pod
from .errors import CniError, ErrorCode


class KnownPods:
    """The pods, and who waits for a change of one of them.

    A pod is named by its key ``namespace/name`` and its UID. An empty UID stands for any pod of that name: not all
    runtimes tell the UID.

    :ivar store: key -> pod; the informer's.
    :ivar synced: set once the API server has sent all; the informer's.
    """

    def __init__(self) -> None:
        self.store: MutableMapping[str, Pod] = {}
        self.synced = asyncio.Event()
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}

    def changed(self, key: str, _old: Pod | None, _new: Pod | None) -> None:
        """Wake who waits for this pod."""
        for waiter in self._waiters.pop(key, ()):
            if not waiter.done():
                waiter.set_result(None)

    async def _change(self, key: str) -> None:
        """Wait for the next change of a pod."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(key, set()).add(waiter)
        try:
            await waiter
        finally:
            waiters = self._waiters.get(key)
            if waiters is not None:
                waiters.discard(waiter)
                if not waiters:
                    del self._waiters[key]

    async def wait_for_network(self, key: str, uid: str) -> tuple[Pod, PodNetwork]:
        """Wait until the watcher has annotated the pod.

        :raises CniError: when the pod is deleted meanwhile, or its annotations can't be used.
        """
        seen = False
        while True:
            pod = self.get(key, uid)
            if pod is not None:
                seen = True
                network = self.network_of(pod)
                if network is not None:
                    return pod, network
            elif seen:
                raise deleted(key)
            await self._change(key)

    def get(self, key: str, uid: str) -> Pod | None:
        """Return the pod, None when it is not known."""
        pod = self.store.get(key)
        return pod if pod is not None and pod.has_uid(uid) else None

    def may_run(self, key: str, uid: str) -> bool:
        """Return whether the pod is there, as far as it is known: until the API server has answered, it is."""
        return not self.synced.is_set() or self.get(key, uid) is not None

    @staticmethod
    def network_of(pod: Pod) -> PodNetwork | None:
        """Return the pod's network, None: it has none yet. :raises CniError: when its annotations can't be used."""
        try:
            return pod.network()
        except AnnotationError as exc:
            raise CniError(ErrorCode.BAD_ANNOTATION, f"pod {pod.key}: {exc}") from None

    async def wait_for_deletion(self, key: str, uid: str) -> None:
        """Wait until the pod of this name does not have this UID any more."""
        while (pod := self.store.get(key)) is not None and pod.identity == uid:
            await self._change(key)

    def missing(self, key: str, uid: str) -> str:
        """Return what a pod without a network still lacks, as a sentence."""
        pod = self.store.get(key)
        if pod is None:
            return f"pod {key} is not known on this node: the API server has not sent it"
        if not pod.has_uid(uid):
            return f"pod {key} has UID {pod.uid} and not {uid}"
        return f"pod {key} has no annotation {names.POD_ANNOTATION} of its own: look at ovn-k8s-watcher on the masters"


def deleted(key: str) -> CniError:
    """Return the error for a pod that was deleted while its interface was made."""
    return CniError(ErrorCode.TRY_AGAIN_LATER, f"pod {key} was deleted or created again while its interface was made")
