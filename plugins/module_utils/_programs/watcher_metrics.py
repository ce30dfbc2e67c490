# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The metrics of ``ovn-k8s-watcher``. Their names are those of ovn-kubernetes where it has the same metric."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import telemetry
from .cluster import Cluster

DURATIONS = [0.005 * 2**step for step in range(14)]  # seconds
SIZES = [1, 2, 5, 10, 20, 50, 100, 200, 500]  # objects


class WatcherMetrics:
    """The metrics that are measured when something happens, and those that are read when somebody asks for them."""

    def __init__(self) -> None:
        self._library = library = telemetry.prometheus()
        self._durations = {
            "lsp": library.Histogram(
                "ovnkube_controller_pod_first_seen_lsp_created_duration_seconds",
                "From the first sight of a pod to its port",
                buckets=DURATIONS,
            ),
            "annotation": library.Histogram(
                "ovn_k8s_watcher_pod_first_seen_annotated_duration_seconds",
                "From a pod's first sight to its annotation",
                buckets=DURATIONS,
            ),
            "service": library.Histogram(
                "ovnkube_controller_sync_service_latency_seconds",
                "From a change of a service to its load balancers",
                buckets=DURATIONS,
            ),
        }
        self._transaction = library.Histogram(
            "ovn_k8s_watcher_transaction_duration_seconds",
            "One transaction with the Northbound database",
            buckets=DURATIONS,
        )
        self._objects = library.Histogram(
            "ovn_k8s_watcher_transaction_objects", "Objects in one transaction", buckets=SIZES
        )

    def observe(self, what: str, seconds: float) -> None:
        """Take in a duration: "lsp", "annotation" or "service"."""
        self._durations[what].observe(seconds)

    def observe_transaction(self, seconds: float, objects: int, _operations: int) -> None:
        """Take in a transaction."""
        self._transaction.observe(seconds)
        self._objects.observe(objects)

    def follow(self, cluster: Cluster) -> None:
        """Add the metrics that are read from a watcher."""
        engine, pods, annotator = cluster.engine, cluster.pods, cluster.pods.annotator
        gauges: tuple[tuple[str, str, Callable[[], int]], ...] = (
            ("ovn_k8s_watcher_queue_depth", "Objects that wait to be looked at", lambda: len(engine)),
            (
                "ovn_k8s_watcher_busy",
                "1 while a batch is planned and written",
                lambda: int(engine.busy_since is not None),
            ),
            (
                "ovn_k8s_watcher_failing_objects",
                "Objects whose rows can't be as desired now",
                lambda: len(engine.failing),
            ),
            (
                "ovn_k8s_watcher_stuck_objects",
                "Objects that fail for so long that /readyz says it",
                lambda: len(cluster.stuck()),
            ),
            ("ovn_k8s_watcher_retries", "Times that an object was tried again", lambda: engine.retries),
            ("ovn_k8s_watcher_leader", "1 when this watcher acts", lambda: int(engine.active)),
            ("ovn_k8s_watcher_addresses", "Addresses that pods and ports have", lambda: len(pods.addresses)),
            (
                "ovn_k8s_watcher_annotations_under_way",
                "Annotations that are being written",
                lambda: len(annotator),
            ),
            ("ovn_k8s_watcher_annotations", "Annotations written", lambda: annotator.written),
            (
                "ovn_k8s_watcher_annotation_failures",
                "Annotations that could not be written",
                lambda: annotator.failures,
            ),
            (
                "ovnkube_controller_northbound_database_connected",
                "1 when the Northbound database is connected",
                lambda: int(cluster.replica.connected),
            ),
        )
        for name, text, read in gauges:
            self._library.Gauge(name, text).set_function(read)
        self._by_label(
            "ovn_k8s_watcher_cached_objects",
            "Objects of the API server in memory",
            "resource",
            cluster.informers,
            lambda informer: len(informer.store),
        )
        self._by_label(
            "ovn_k8s_watcher_watch_current",
            "1 while the objects in memory are those of the API server",
            "resource",
            cluster.informers,
            lambda informer: int(informer.current),
        )
        self._by_label(
            "ovn_k8s_watcher_watch_restarts",
            "Times that a watch failed",
            "resource",
            cluster.informers,
            lambda informer: informer.restarts,
        )
        self._by_label(
            "ovn_k8s_watcher_cached_rows",
            "Rows of the Northbound database in memory",
            "table",
            cluster.replica.rows,
            len,
        )

    def _by_label(self, name: str, text: str, label: str, sources: dict[str, Any], read: Callable[[Any], int]) -> None:
        """Add a metric with one value for each of several sources, by their label."""
        gauge = self._library.Gauge(name, text, [label])
        for key, source in sources.items():
            gauge.labels(key).set_function(lambda source=source: read(source))
