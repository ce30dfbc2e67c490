# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Static pods whose copy at the API server (their mirror pod) was deleted.

That does not end the pod: its kubelet makes the copy anew, with another UID. After the deletion of a Node that may take
long. So the port stays for a while, and then as long as a host has it (``up``, ovn-nb(5)). The addresses wait for the
next copy until a pod of the node needs one.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

from .model import Pod

PORT_STAYS = 5.0  # seconds; the kubelet makes the copy anew as soon as it hears of the deletion
# Pods without a port on a host that are remembered: whoever may make pods may make copies of static ones too, but no
# kubelet runs these.
MOST = 1000


class GoneStaticPods:
    """The pods, the one that is gone for longest first."""

    def __init__(self) -> None:
        self._pods: dict[str, tuple[Pod, float]] = {}  # key -> pod, time at which its port goes

    def __contains__(self, key: str) -> bool:
        return key in self._pods

    def add(self, pod: Pod, is_up: Callable[[str], bool]) -> list[str]:
        """Take in that a copy is gone; return the keys of pods that are forgotten for it.

        :param is_up: whether a host has the port of the pod of a key.
        """
        self._pods[pod.key] = pod, time.monotonic() + PORT_STAYS
        without_port = (key for key in self._pods if not is_up(key))
        forgotten = list(itertools.islice(without_port, max(0, len(self._pods) - MOST)))
        for key in forgotten:
            del self._pods[key]
        return forgotten

    def pop(self, key: str) -> None:
        """Take in that a pod of this name is there."""
        self._pods.pop(key, None)

    def clear(self, node: str, has_port: Callable[[str], bool]) -> list[str]:
        """Forget the pods of a node that have no port any more; return their keys.

        :param has_port: whether the pod of a key has one.
        """
        keys = [key for key, (pod, _until) in self._pods.items() if pod.node == node and not has_port(key)]
        for key in keys:
            del self._pods[key]
        return keys

    def pods(self) -> dict[str, Pod]:
        """Return key -> pod."""
        return {key: pod for key, (pod, _until) in self._pods.items()}

    def with_port(self, key: str, is_up: bool) -> Pod | None:
        """Return the pod of this name when its port stays.

        :param is_up: whether a host has the port.
        """
        return self._pods[key][0] if key in self._pods and (is_up or self.seconds_left(key)) else None

    def seconds_left(self, key: str) -> float:
        """Return the seconds for which a pod's port stays at least."""
        return max(0.0, self._pods[key][1] - time.monotonic()) if key in self._pods else 0.0
