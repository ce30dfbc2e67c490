# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Nodes of Kubernetes, as services need them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .._common import names
from . import default_routers, link_local
from .addresses import usable

ZONE_LABEL = "topology.kubernetes.io/zone"  # of a node
MAXIMUM_NODE_ADDRESSES = 16
AUTOSCALER_TAINT = "ToBeDeletedByClusterAutoscaler"  # of a node that the cluster autoscaler is about to delete


class Place(NamedTuple):
    """Where a client of a service is.

    :ivar node: the name of its node.
    :ivar zone: the zone of its node; empty: not known.
    """

    node: str
    zone: str = ""


class Node(NamedTuple):
    """A node.

    :ivar name: in the overlay.
    :ivar addresses: its own, as its kubelet reports them (``InternalIP``).
    :ivar outer_addresses: its ``ExternalIP``.
    :ivar created: when the object was created (RFC 3339, in UTC).
    :ivar is_leaving: it is being deleted: load balancers outside are to send nothing new there (KEP-3836).
    :ivar zone: that it is in; empty: no label says so.
    :ivar link_local: what it carries for its own pods.
    :ivar routers: of its default routes.
    """

    name: str
    addresses: tuple[str, ...]
    outer_addresses: tuple[str, ...] = ()
    created: str = ""
    is_leaving: bool = False
    zone: str = ""
    link_local: tuple[str, ...] = ()
    routers: tuple[str, ...] = ()

    @property
    def place(self) -> Place:
        """Where its clients of services are."""
        return Place(self.name, self.zone)

    @classmethod
    def from_object(cls, item: Mapping[str, Any]) -> Node:
        """Make a node from an object."""
        meta, entries = item["metadata"], (item.get("status") or {}).get("addresses") or ()
        annotations = meta.get("annotations") or {}

        def of_type(kind: str) -> tuple[str, ...]:
            return usable(entry["address"] for entry in entries if entry["type"] == kind)[:MAXIMUM_NODE_ADDRESSES]

        return cls(
            names.node_name(meta["name"]),
            of_type("InternalIP"),
            of_type("ExternalIP"),
            meta.get("creationTimestamp") or "",
            bool(meta.get("deletionTimestamp"))
            or any(one.get("key") == AUTOSCALER_TAINT for one in (item.get("spec") or {}).get("taints") or ()),
            (meta.get("labels") or {}).get(ZONE_LABEL) or "",
            link_local.parse(annotations.get(names.LINK_LOCAL_ANNOTATION)),
            default_routers.parse(annotations.get(names.ROUTERS_ANNOTATION)),
        )
