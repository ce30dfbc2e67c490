# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Session affinity: how users choose it, how long it lasts, and what OVN does not serve of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common import names

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .model import Service

DEFAULT_TIMEOUT = 10800  # seconds: the API server's own default (ClientIPConfig)
WAYS = ("hash", "timeout")  # what users may choose by an annotation
SHOWN = 50  # characters of a user's text that an event shows
MAXIMUM_TIMEOUT = 65535  # seconds, ovn-nb(5): the idle timeout of a flow has 16 bits


def timeout(item: Mapping[str, Any]) -> int | None:
    """Return the seconds after which a client gets another endpoint; None: a hash of its address selects the endpoint.

    OVN drops the first packet of a client to learn from it. So a time-out counts only where somebody has chosen it: the
    API server writes its default into each service.
    """
    spec, way = item["spec"], _way(item)
    if spec.get("sessionAffinity") != "ClientIP" or way == "hash":
        return None
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    seconds: int = config.get("timeoutSeconds") or DEFAULT_TIMEOUT
    return seconds if seconds != DEFAULT_TIMEOUT or way == "timeout" else None


def learned(seconds: int | None) -> int | None:
    """Return the seconds for which OVN remembers a client's endpoint; None: a hash selects it.

    :param seconds: those of :func:`timeout`.
    """
    return seconds if seconds is not None and seconds <= MAXIMUM_TIMEOUT else None


def gaps(service: Service, userspace: bool) -> list[str]:
    """Return which parts of a service's affinity are not served as Kubernetes has them, each with the reason.

    :param userspace: whether a host has the userspace datapath.
    """
    if service.affinity_timeout is None:
        return []
    if service.learned_affinity is None:
        return [f"session affinity has no time-out: OVN counts to {MAXIMUM_TIMEOUT} s at most"]
    found = []
    if userspace:
        found.append(
            "in the userspace datapath the first connection of each client, and of one that was away for "
            f"{service.learned_affinity} s, is lost: Open vSwitch translates repeated packets before OVN has found "
            f"the endpoint that it has learned; the annotation {names.AFFINITY_ANNOTATION}: hash loses none, and "
            "has no time-out"
        )
    untimed = []
    if service.internal_local:
        untimed.append("at its cluster addresses (internalTrafficPolicy is Local)")
    if service.external_local:
        untimed.append("at addresses outside and node ports (externalTrafficPolicy is Local)")
    elif service.has_node_ports:
        untimed.append("at node ports of gateways' addresses")
        if 6 in service.ip_versions:
            untimed.append("of IPv6 addresses for pods of the same host")
    if untimed:
        found.append(
            f"session affinity has no time-out {' and '.join(untimed)}: OVN can't learn where template variables "
            "stand for addresses"
        )
    return found


def unknown_way(item: Mapping[str, Any]) -> str:
    """Return what is wrong with the user's choice; empty: nothing is."""
    way = _way(item)
    if way in (None, *WAYS):
        return ""
    ways = " nor ".join(WAYS)
    return f"the annotation {names.AFFINITY_ANNOTATION}: {way!r:.{SHOWN}} is neither {ways}, and counts as none"


def _way(item: Mapping[str, Any]) -> str | None:
    """Return how its affinity is to be served, as its user has chosen it; None: he has not."""
    way: str | None = (item["metadata"].get("annotations") or {}).get(names.AFFINITY_ANNOTATION)
    return way
