# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""ovn-k8s-watcher, as tests start it."""

from __future__ import annotations

import asyncio
import time

import prometheus_client

from ansible_collections.ovn.kubernetes.plugins.module_utils._kube import health
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods import static_pods
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import daemon, watcher
from ansible_collections.ovn.kubernetes.plugins.module_utils._reconcile import retries


def main(arguments):
    """Run it with short intervals between what it does again and again."""
    daemon.LOOK = watcher.HEARTBEAT = health.PERIOD = 1.0
    health.TIMEOUT = 5.0
    retries.STUCK = 2.0
    static_pods.PORT_STAYS = 2.0
    return watcher.main(arguments)


class _Loop:
    """Measures for how long the loop does nothing else.

    :ivar longest: the most processor seconds between two turns of this.
    """

    BEAT = 0.02  # seconds

    def __init__(self):
        self.longest = 0.0
        gauge = prometheus_client.Gauge(
            "test_loop_longest_seconds", "Most processor time between two turns of the loop"
        )
        gauge.set_function(lambda: self.longest)

    async def run(self):
        """Measure for ever."""
        last = time.thread_time()
        while True:
            await asyncio.sleep(self.BEAT)
            now = time.thread_time()
            self.longest, last = max(self.longest, now - last), now


def measured(arguments):
    """Run it as ``main`` does, and add the metric ``test_loop_longest_seconds``."""
    watch = watcher.watch

    async def watch_and_measure(*settings):
        task = asyncio.ensure_future(_Loop().run())
        try:
            await watch(*settings)
        finally:
            task.cancel()

    watcher.watch = watch_and_measure
    return main(arguments)
