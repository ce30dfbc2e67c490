# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The metrics of ``ovn-k8s-egress``: which gateways carry traffic, how often they went, and how many echoes got lost.

A master that does not act has no values: sum over the masters.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING

from .._common import addressing
from .._common.errors import KubernetesError
from . import telemetry
from .gateway_probe import TRIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from .._topology.egress import EgressGateway
    from .._topology.egress_health import Liveness

    Values = dict[tuple[str, ...], float]

LOG = logging.getLogger("ovn-k8s-egress")
GATEWAY, ADDRESS = ("gateway", "family"), ("gateway", "family", "target")
# Name -> kind, labels, what it says.
FAMILIES = {
    "ovn_k8s_egress_gateway_carries_traffic": ("gauge", GATEWAY, "Whether pods' default traffic goes through it"),
    "ovn_k8s_egress_gateway_slots": ("gauge", GATEWAY, "Slots of the pods' addresses that it has, of 256"),
    "ovn_k8s_egress_gateway_flaps": ("gauge", GATEWAY, "How often it went, without half an hour in between"),
    "ovn_k8s_egress_gateway_departures": ("counter", GATEWAY, "How often it went"),
    "ovn_k8s_egress_echoes_sent": ("counter", ADDRESS, "Echo requests to the router or its next hop"),
    "ovn_k8s_egress_echoes_lost": ("counter", ADDRESS, "Echo requests without an answer in time"),
}
ELSEWHERE = "ovn_k8s_egress_ports_elsewhere"
OF_CLUSTER = {ELSEWHERE: ("gauge", (), "Ports that are bound to another chassis than the one that they belong to")}


class EgressMetrics:
    """What the rounds have shown, as a collector of prometheus_client."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, Values] = {name: {} for name in FAMILIES}
        self._carried: Mapping[str, frozenset[int]] = {}
        self._elsewhere: int | None = None

    def take_in_bindings(self, elsewhere: int | None) -> None:
        """Take in how many ports are at other chassis; None: it is not known here."""
        with self._lock:
            self._elsewhere = elsewhere

    def forget(self) -> None:
        """Have no values: another master acts."""
        with self._lock:
            for values in self._values.values():
                values.clear()
            self._carried = {}
            self._elsewhere = None

    def take_in(self, gateways: Sequence[EgressGateway], replies: Mapping[str, int], liveness: Liveness) -> None:
        """Take in one round.

        :param replies: address -> which of its requests was answered; 0: none.
        """
        carries, slots, flaps, departures, sent, lost = (dict[tuple[str, ...], float]() for _name in FAMILIES)
        with self._lock:
            before = [self._values[name] for name in FAMILIES]
            for gateway in gateways:
                selected = liveness.selected[gateway.name]
                for version in sorted(gateway.versions):
                    key = (gateway.name, f"IPv{version}")
                    went = version in self._carried.get(gateway.name, ()) and version not in selected
                    carries[key] = float(version in selected)
                    slots[key] = float(gateway.slots.get(version, 0))
                    flaps[key] = float(liveness.presence[gateway.name, version].flaps)
                    departures[key] = before[3].get(key, 0.0) + went
                for address in gateway.all_ips():
                    target = "next hop" if address in gateway.probe_ips else "router"
                    label = (gateway.name, f"IPv{addressing.family(address)}", target)
                    answered = replies.get(address, 0)
                    sent[label] = before[4].get(label, 0.0) + (answered or TRIES)
                    lost[label] = before[5].get(label, 0.0) + (answered - 1 if answered else TRIES)
            self._values = dict(zip(FAMILIES, (carries, slots, flaps, departures, sent, lost)))
            self._carried = dict(liveness.selected)

    def samples(self) -> Iterator[tuple[str, tuple[str, ...], float]]:
        """Yield each metric's name, the values of its labels, and its value."""
        with self._lock:
            found = [(name, key, value) for name, values in self._values.items() for key, value in values.items()]
            if self._elsewhere is not None:
                found.append((ELSEWHERE, (), float(self._elsewhere)))
        yield from found

    def collect(self) -> Iterable[Any]:
        """Return the families, as prometheus_client asks for them."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        families = {
            name: (CounterMetricFamily if kind == "counter" else GaugeMetricFamily)(name, text, labels=labels)
            for name, (kind, labels, text) in {**FAMILIES, **OF_CLUSTER}.items()
        }
        for name, key, value in self.samples():
            families[name].add_metric(key, value)
        return families.values()


def serve(address: str, metrics: EgressMetrics) -> None:
    """Serve the metrics at ``ADDRESS:PORT`` in a thread; where that can't be, say so: gateways matter more."""

    async def forever() -> None:
        await telemetry.listen(address, lambda: None)
        await asyncio.Event().wait()

    def run() -> None:
        try:
            telemetry.prometheus().REGISTRY.register(metrics)
            asyncio.run(forever())
        except KubernetesError as exc:
            LOG.warning("there are no metrics: %s", exc)

    threading.Thread(target=run, daemon=True, name="metrics").start()
