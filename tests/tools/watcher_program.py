# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""ovn-k8s-watcher, as tests start it."""

from __future__ import annotations

from ansible_collections.ovn.kubernetes.plugins.module_utils._kube import health
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import daemon, watcher


def main(arguments):
    """Run it with short intervals between what it does again and again."""
    daemon.LOOK = watcher.HEARTBEAT = health.PERIOD = 1.0
    health.TIMEOUT = 5.0
    return watcher.main(arguments)
