# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Pods, services and nodes that come, change, are renamed and go, in several threads.

Each thread does what a kubelet with its runtime, a user, or an administrator does. What a thread chooses follows from
its seed; how the threads meet does not.
"""

from __future__ import annotations

import collections
import random
import threading
import time

from hostile_lives import HostileLives
from node_lives import NodeLives
from pod_lives import PodLives
from service_lives import ServiceLives

COMING = ("pods", "pods of other nodes", "services", "nodes", "hostile objects")
POD_THREADS, SERVICE_THREADS = 5, 2


class Pace:
    """Gives every thread its turn, so many a second in all; 0: as many as they can."""

    def __init__(self, rate):
        self._pause = 1 / rate if rate else 0
        self._lock = threading.Lock()
        self._next = 0.0
        self.end = threading.Event()

    def turn(self):
        """Wait for the next turn; False when the churn ends."""
        if not self._pause:
            return not self.end.is_set()
        with self._lock:
            now = time.monotonic()
            self._next = max(self._next, now - 1) + self._pause
            wait = self._next - now
        return not self.end.wait(max(wait, 0))


class Churn:
    """All threads.

    :param rate: turns a second of all threads together; 0: full speed.

    :ivar done: what -> how often it was done.
    :ivar seconds: of each pod from its creation until it had its interface.
    :ivar failures: what went wrong, one text each.
    """

    def __init__(self, overlay, seed, rate):
        self.done, self.seconds, self.failures = collections.Counter(), [], []
        self._rate = rate
        kinds = [PodLives] * POD_THREADS + [ServiceLives] * SERVICE_THREADS + [NodeLives, HostileLives]
        addresses = {}  # of the pods that live now, for services
        self._lives = [
            kind(overlay, random.Random(f"{seed}/{number}"), number, self, addresses)
            for number, kind in enumerate(kinds)
        ]

    def objects(self):
        """How many objects came."""
        return sum(self.done[what] for what in COMING)

    def run(self, seconds):
        """Let everything come and go for so long; afterwards all of it is gone."""
        pace = Pace(self._rate)
        threads = [threading.Thread(target=self._live, args=(lives, pace), daemon=True) for lives in self._lives]
        for thread in threads:
            thread.start()
        pace.end.wait(seconds)
        pace.end.set()
        for thread in threads:
            thread.join(120)
            if thread.is_alive():
                self.failures.append("a thread of the churn hangs")

    def _live(self, lives, pace):
        while pace.turn():
            self._attempt(lives.turn)
        self._attempt(lives.end)

    def _attempt(self, work):
        try:
            work()
        except Exception as exc:
            self.failures.append(f"{work.__qualname__}: {type(exc).__name__}: {exc}"[:600])
