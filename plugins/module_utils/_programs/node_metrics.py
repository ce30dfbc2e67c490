# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The metrics of ``ovn-k8s-node``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import telemetry

BUCKETS = [0.001 * 2**step for step in range(16)]  # seconds


def make(is_ready: Callable[[], bool], pods: Callable[[], int]) -> Any:
    """Make the metrics; return the histogram of requests, with the labels command and err.

    :raises KubernetesError: the library is missing.
    """
    library = telemetry.prometheus()
    ready = library.Gauge("ovnkube_node_ready", "Whether pods can get their interfaces (1) or not (0)")
    ready.set_function(is_ready)
    count = library.Gauge("ovnkube_node_pods", "Pods of this node that have, or want, an interface")
    count.set_function(pods)
    return library.Histogram(
        "ovnkube_node_cni_request_duration_seconds",
        "The duration of CNI server requests",
        ["command", "err"],
        buckets=BUCKETS,
    )
