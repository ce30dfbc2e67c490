# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with this node's pods now: their sandboxes, ports and annotations compared."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from ..._common import names
from ..annotation import AnnotationError, PodNetwork
from ..interface import PodInterface
from .attachments import Attachments
from .known_pods import KnownPods
from .upkeep import Upkeep, advice

MOST = 100  # findings: a node has 110 pods, and one cause breaks all of them


class Finding(NamedTuple):
    """Something that is wrong.

    :ivar subject: the object, as ``pod demo/web``.
    :ivar wrong: what is wrong with it.
    :ivar causes: what follows from that.
    :ivar mend: the command that mends it.
    """

    subject: str
    wrong: str
    causes: str
    mend: str


class Findings:
    """What :meth:`read` compares."""

    def __init__(self, attachments: Attachments, pods: KnownPods, upkeep: Upkeep) -> None:
        self._attachments = attachments
        self._pods = pods
        self._upkeep = upkeep

    def read(self) -> list[Finding]:
        """Return what is wrong now, at most MOST findings."""
        records = list(self._attachments.records.values())
        return list(itertools.islice((found for one in records for found in self._of(one)), MOST))

    def _of(self, interface: PodInterface) -> Iterator[Finding]:
        key = f"{interface.namespace}/{interface.pod}"
        pod = self._pods.get(key, interface.uid)
        if pod is None or interface.attachment in self._attachments.locks:
            return
        subject, delete = f"pod {key}", advice(interface)
        failure = self._upkeep.failure(interface.attachment)
        ports = self._attachments.ports
        if failure:
            yield Finding(subject, failure, "the pod has no network", delete)
        elif ports.replica.connected and not ports.has_flows(interface.host_link):
            yield Finding(
                subject,
                ports.why_no_flows(interface),
                "the pod has no network",
                f"ovn-nbctl lsp-get-addresses {names.pod_port(interface.namespace, interface.pod)} on a master, and "
                "journalctl -u ovn-controller here",
            )
        try:
            network = pod.network()
        except AnnotationError as exc:
            yield Finding(subject, str(exc), "watcher and node don't know its address", delete)
            return
        if network is not None and not _is_served(interface.network, network):
            has, says = ", ".join(interface.network.addresses), ", ".join(network.addresses)
            yield Finding(
                subject, f"it has {has}, and its annotation says {says}", "nobody reaches it by its address", delete
            )


def _is_served(network: PodNetwork, annotated: PodNetwork) -> bool:
    """Return whether the overlay sends to the pod what goes to the addresses that it has."""
    return network.mac == annotated.mac and set(network.addresses) <= set(annotated.addresses)
