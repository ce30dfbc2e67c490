# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The networks of services: those of the settings, and those that an administrator adds as ServiceCIDR objects
(networking.k8s.io/v1, KEP-1880).

An object that is being deleted counts until it is gone: its finalizer waits until no service has an address of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from .._common.address_rules import overlay_network
from .._common.addressing import network
from .._common.errors import SettingsError
from .._kube.reference import Reference

GROUP = "networking.k8s.io/v1"
PATH = f"/apis/{GROUP}/servicecidrs"
MOST = 64  # networks of objects that are served
MOST_OF_ONE = 2  # an object has one of each IP version at most
SHOWN = 50  # characters of a text that is no network

# Called with a network; returns why it can't be one of services, in a clause, or None.
WhyNot = Callable[[str], "str | None"]


class ServiceCIDR(NamedTuple):
    """An object.

    :ivar created: when it was created (RFC 3339, in UTC).
    :ivar networks: as it has them.
    """

    name: str
    uid: str
    created: str
    networks: tuple[str, ...]

    @classmethod
    def from_object(cls, item: Mapping[str, Any]) -> ServiceCIDR:
        """Make it from an object of the API server."""
        meta, cidrs = item["metadata"], item["spec"].get("cidrs") or ()
        return cls(meta["name"], meta["uid"], meta.get("creationTimestamp") or "", tuple(map(str, cidrs[:MOST_OF_ONE])))

    @property
    def reference(self) -> Reference:
        """The object, for events about it."""
        return Reference("ServiceCIDR", "", self.name, self.uid, GROUP)


class Accepted(NamedTuple):
    """Networks of services.

    :ivar networks: all of them, those of the settings first.
    :ivar refusals: name of each object -> why networks of it are not served, as a text for an event; empty: all are.
    """

    networks: tuple[str, ...]
    refusals: Mapping[str, str]


def accepted(configured: Iterable[str], objects: Iterable[ServiceCIDR], why_not: WhyNot) -> Accepted:
    """Return the networks of services. Older objects come first."""
    own = [str(network(text)) for text in configured]
    found = dict.fromkeys(own)
    refusals = {}
    for one in sorted(objects, key=lambda each: (each.created, each.name)):
        reasons = []
        for text in one.networks:
            try:
                normal = str(overlay_network(text))
                reason = None if normal in found else why_not(normal)
            except SettingsError as exc:
                normal, reason = text[:SHOWN], str(exc)
            if not reason and normal not in found and len(found) >= len(own) + MOST:
                reason = f"{MOST} others are served already"
            if reason:
                reasons.append(f"{normal} {reason}")
            else:
                found[normal] = None
        refusals[one.name] = _message(reasons)
    return Accepted(tuple(found), refusals)


def _message(reasons: Iterable[str]) -> str:
    text = "; ".join(reasons)
    return f"not served as a network of services: {text}; delete this object, and choose a free network" if text else ""
