# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pods of Kubernetes, as the watcher and the node's server keep them in memory.

``from_object`` keeps only what is used, in tuples: a watcher holds 10,000 pods.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .._common import addressing, names
from .annotation import PodAnnotations, PodNetwork, parse

LOG = logging.getLogger("ovn-k8s-node")
FINISHED = ("Succeeded", "Failed")  # phases in which the containers have ended for good (PodPhase)
# The API server leaves out pods without a node, and finished ones.
WITH_PORT_SELECTOR = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"
# On the API server's copy of a static pod: the UID that the kubelet and the runtime have for it.
STATIC_POD_UID = "kubernetes.io/config.mirror"
ALL_ADDRESSES = ("0.0.0.0", "::")


class HostPort(NamedTuple):
    """A port of the host that leads to a pod.

    :ivar protocol: tcp, udp or sctp.
    :ivar address: of the host; None: all its addresses.
    :ivar target_port: the port of the pod.
    """

    protocol: str
    port: int
    address: str | None
    target_port: int


class PodHostPorts(NamedTuple):
    """The host ports of a pod, and the pod's addresses without prefix length."""

    ports: tuple[HostPort, ...]
    addresses: tuple[str, ...]


class Pod(NamedTuple):
    """A pod with a network of its own.

    :ivar node: the node's name in the overlay, empty: it has no node yet.
    :ivar host_ports: empty for a pod that has finished.
    :ivar static_uid: the UID that the runtime has for a static pod, None for any other pod.
    :ivar of_daemon_set: whether a DaemonSet has made it.
    :ivar is_running: whether its containers were started; False for the watcher, which does not use it.
    """

    namespace: str
    name: str
    uid: str
    node: str
    annotations: PodAnnotations
    host_ports: tuple[HostPort, ...] = ()
    static_uid: str | None = None
    of_daemon_set: bool = False
    is_running: bool = False

    @classmethod
    def from_object(cls, item: Mapping[str, Any]) -> Pod:
        """Make a pod from an object, without its host ports."""
        meta, spec = item["metadata"], item.get("spec") or {}
        annotations = meta.get("annotations") or {}
        texts = PodAnnotations.from_mapping(annotations)
        if texts.uid == meta["uid"]:
            texts = texts._replace(uid=meta["uid"])  # one text in memory
        return cls(
            meta.get("namespace", ""),
            meta["name"],
            meta["uid"],
            sys.intern(names.node_name(spec.get("nodeName") or "")),
            texts,
            (),
            annotations.get(STATIC_POD_UID),
            any(owner.get("kind") == "DaemonSet" for owner in meta.get("ownerReferences") or ()),
        )

    @property
    def key(self) -> str:
        """``namespace/name``, for messages and owner keys."""
        return f"{self.namespace}/{self.name}"

    @property
    def stays_on_drain(self) -> bool:
        """Return whether ``kubectl drain --ignore-daemonsets`` leaves it on its node."""
        return self.of_daemon_set or self.static_uid is not None

    def has_uid(self, uid: str) -> bool:
        """Return whether a runtime that names this UID means this pod. Empty: the runtime names none."""
        return uid in ("", self.uid, self.static_uid)

    def network(self) -> PodNetwork | None:
        """Return the network that its annotations tell of; None: the watcher has not written them for this pod yet.

        :raises AnnotationError: when they can't be used.
        """
        return parse(self.annotations) if self.annotations.uid == self.uid else None


def pod_with_port(item: Mapping[str, Any]) -> Pod | None:
    """Make a pod for the watcher; None for one that gets no logical port: on the host's network, without a node, or
    finished.
    """
    spec = item["spec"]
    if spec.get("hostNetwork") or not spec.get("nodeName") or _is_finished(item):
        return None
    return Pod.from_object(item)


def pod_of_node(item: Mapping[str, Any]) -> Pod | None:
    """Make a pod for its node's server; None for one on the host's network."""
    if (item.get("spec") or {}).get("hostNetwork"):
        return None
    return Pod.from_object(item)._replace(
        host_ports=() if _is_finished(item) else tuple(_host_ports(item)),
        is_running=(item.get("status") or {}).get("phase") == "Running",
    )


def _is_finished(item: Mapping[str, Any]) -> bool:
    return (item.get("status") or {}).get("phase") in FINISHED


def _host_ports(item: Mapping[str, Any]) -> Iterator[HostPort]:
    """Yield the host ports of all containers."""
    spec = item.get("spec") or {}
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        for port in container.get("ports") or ():
            if not port.get("hostPort"):
                continue
            address = addressing.normalized(port.get("hostIP") or "0.0.0.0")
            if address is None:  # the API server takes any text
                LOG.warning(
                    "pod %s/%s: hostIP %.50r of host port %s is not an address: that port is not served",
                    item["metadata"].get("namespace"),
                    item["metadata"].get("name"),
                    port["hostIP"],
                    port["hostPort"],
                )
                continue
            yield HostPort(
                port.get("protocol", "TCP").lower(),
                port["hostPort"],
                None if address in ALL_ADDRESSES else address,
                port["containerPort"],
            )
