# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pods of Kubernetes, as the watcher and the node's server keep them in memory.

``from_object`` keeps only what is used, in tuples: a watcher holds 10,000 pods.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from .._common import addressing, names
from .._common.sharing import shared
from .._kube.reference import Reference
from .annotation import PodAnnotations, PodNetwork, crowding, parse

FINISHED = ("Succeeded", "Failed")  # phases in which the containers have ended for good (PodPhase)
# The API server leaves out pods without a node, and finished ones.
WITH_PORT_SELECTOR = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"
# On the API server's copy of a static pod: the UID that the kubelet and the runtime have for it.
STATIC_POD_UID = "kubernetes.io/config.mirror"
UID = re.compile(r"[0-9A-Za-z-]{1,64}")  # the kubelet makes an MD5 sum, unless the manifest has a UID
HOST_PORTS = 1000  # of a pod; further ones are not served
SHOWN = 3  # wrong host ports of a pod that are named
STATUS_IPS = 8  # entries of a pod's podIPs that are looked at
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
    :ivar status_ips: the addresses that the kubelet has reported, at most one of each IP version; for the watcher only.
    :ivar created: when, as the API server writes it (RFC 3339, UTC); for the watcher only.
    :ivar unserved: which of its host ports are not served, in words; for its node's server only.
    :ivar crowding: how many bytes of others' annotations may be too many, 0 for almost every pod, so that a change
        which makes room is heard; for the watcher only.
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
    status_ips: tuple[str, ...] = ()
    created: str = ""
    unserved: tuple[str, ...] = ()
    crowding: int = 0

    @classmethod
    def from_object(cls, item: Mapping[str, Any]) -> Pod:
        """Make a pod from an object, without its host ports."""
        meta, spec = item["metadata"], item.get("spec") or {}
        annotations = meta.get("annotations") or {}
        texts = PodAnnotations.from_mapping(annotations)
        if texts.uid == meta["uid"]:
            texts = texts._replace(uid=meta["uid"])  # one text in memory
        return cls(
            shared(meta.get("namespace", "")),
            meta["name"],
            meta["uid"],
            sys.intern(names.node_name(spec.get("nodeName") or "")),
            texts,
            (),
            static_uid(meta),
            any(owner.get("kind") == "DaemonSet" for owner in meta.get("ownerReferences") or ()),
        )

    @property
    def key(self) -> str:
        """``namespace/name``, for messages and owner keys."""
        return f"{self.namespace}/{self.name}"

    @property
    def reference(self) -> Reference:
        """The object that an event about it names."""
        return Reference("Pod", self.namespace, self.name, self.uid)

    @property
    def stays_on_drain(self) -> bool:
        """Return whether ``kubectl drain --ignore-daemonsets`` leaves it on its node."""
        return self.of_daemon_set or self.static_uid is not None

    @property
    def identity(self) -> str:
        """The UID that its sandbox has. A static pod keeps it when its copy at the API server is made anew."""
        return self.static_uid or self.uid

    def has_uid(self, uid: str) -> bool:
        """Return whether a runtime that names this UID means this pod. Empty: the runtime names none."""
        return uid in ("", self.uid, self.static_uid)

    @property
    def is_annotated(self) -> bool:
        """Whether its annotations were written for it, as far as they say."""
        return bool(self.annotations.uid) and self.has_uid(self.annotations.uid or "")

    def network(self) -> PodNetwork | None:
        """Return the network that its annotations tell of; None: the watcher has not written them for this pod yet.

        :raises AnnotationError: when they can't be used.
        """
        return parse(self.annotations) if self.is_annotated else None


def pod_with_port(item: Mapping[str, Any]) -> Pod | None:
    """Make a pod for the watcher; None for one that gets no logical port: on the host's network, without a node, or
    finished.
    """
    spec = item.get("spec") or {}
    if spec.get("hostNetwork") or not spec.get("nodeName") or _is_finished(item):
        return None
    meta = item["metadata"]
    return Pod.from_object(item)._replace(
        status_ips=status_ips(item),
        created=shared(meta.get("creationTimestamp") or ""),
        crowding=crowding(meta.get("annotations") or {}),
    )


def pod_of_node(item: Mapping[str, Any]) -> Pod | None:
    """Make a pod for its node's server; None for one on the host's network."""
    if (item.get("spec") or {}).get("hostNetwork"):
        return None
    host_ports, unserved = ((), ()) if _is_finished(item) else _host_ports(item)
    return Pod.from_object(item)._replace(
        host_ports=host_ports,
        unserved=unserved,
        is_running=(item.get("status") or {}).get("phase") == "Running",
    )


def _is_finished(item: Mapping[str, Any]) -> bool:
    return (item.get("status") or {}).get("phase") in FINISHED


def static_uid(meta: Mapping[str, Any]) -> str | None:
    """Return the UID of a static pod, from the metadata of its copy; None for any other pod."""
    text = (meta.get("annotations") or {}).get(STATIC_POD_UID)
    return text if isinstance(text, str) and UID.fullmatch(text) else None


def status_ips(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the addresses in a pod's status: the first one of each IP version."""
    entries = (item.get("status") or {}).get("podIPs")
    if not isinstance(entries, list):
        return ()
    texts = (entry.get("ip") for entry in entries[:STATUS_IPS] if isinstance(entry, dict))
    by_version: dict[int, str] = {}
    for ip in filter(None, map(addressing.unicast, texts)):
        by_version.setdefault(addressing.family(ip), ip)
    return tuple(by_version.values())


def _host_ports(item: Mapping[str, Any]) -> tuple[tuple[HostPort, ...], tuple[str, ...]]:
    """Return the host ports of all containers, and what of them is not served, in words."""
    spec = item.get("spec") or {}
    containers = (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
    ports = (port for container in containers for port in container.get("ports") or () if port.get("hostPort"))
    served: list[HostPort] = []
    unserved: list[str] = []
    for port in itertools.islice(ports, HOST_PORTS):
        address = addressing.normalized(port.get("hostIP") or "0.0.0.0")
        if address is not None:
            target = None if address in ALL_ADDRESSES else address
            served.append(
                HostPort(port.get("protocol", "TCP").lower(), port["hostPort"], target, port["containerPort"])
            )
        elif len(unserved) < SHOWN:  # the API server takes any text, in any number of ports
            unserved.append(f"host port {port['hostPort']}: hostIP {port['hostIP']!r:.50} is not an address")
    if next(ports, None) is not None:
        unserved.append(f"more than {HOST_PORTS} host ports")
    return tuple(served), tuple(unserved)
