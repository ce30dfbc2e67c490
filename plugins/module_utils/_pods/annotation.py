# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The annotations of a pod that tell of its network: the watcher writes them, and the node's server reads them.

``ovn`` is the annotation of the original overlay tool: one address. ``k8s.ovn.org/pod-networks`` is the one of
ovn-kubernetes: an address of each IP version. ``ovn.kubernetes/pod-uid`` is the UID of the pod that they were written
for: a restored or copied pod is created with those of another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .._common import addressing, names
from .._common.errors import OvnKubernetesError
from .._kube.quantity import quantity

MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
# Characters. What the watcher writes has less than 400; users may write 256 KiB (TotalAnnotationSizeLimitB of
# Kubernetes' apimachinery).
LONGEST = 1024
MOST_BYTES = 256 * 1024  # of all names and texts of a pod together
ROOM = 2048  # bytes that the watcher's own annotations don't reach
TOO_LONG = "(too long)"  # what is kept instead of a longer text: it is no JSON, and no quantity
SHOWN = 100  # characters of a user's text that an error shows
# Bits a second, as ExtractPodBandwidthResources of Kubernetes' pkg/util/bandwidth takes them.
LOWEST_RATE, HIGHEST_RATE = 10**3, 10**15


class AnnotationError(OvnKubernetesError, ValueError):
    """An annotation of a pod can't be used."""

    code = "pod_annotation"


class PodAnnotations(NamedTuple):
    """The texts of the annotations that tell of a pod's network; None: the pod does not have it.

    :ivar network: ``ovn``.
    :ivar networks: ``k8s.ovn.org/pod-networks``.
    :ivar uid: ``ovn.kubernetes/pod-uid``.
    :ivar egress_bandwidth, ingress_bandwidth: ``kubernetes.io/egress-bandwidth`` and ``ingress-bandwidth``, written by
        users.
    """

    network: str | None = None
    networks: str | None = None
    uid: str | None = None
    egress_bandwidth: str | None = None
    ingress_bandwidth: str | None = None

    @classmethod
    def from_mapping(cls, annotations: Mapping[str, str]) -> PodAnnotations:
        """Take them from all annotations of a pod, without texts that are too long."""
        return cls(
            _short(annotations.get(names.POD_ANNOTATION)),
            _short(annotations.get(names.POD_NETWORKS_ANNOTATION)),
            _short(annotations.get(names.POD_UID_ANNOTATION)),
            _short(annotations.get(names.EGRESS_BANDWIDTH)),
            _short(annotations.get(names.INGRESS_BANDWIDTH)),
        )

    @property
    def written(self) -> dict[str, str | None]:
        """Name -> text, of those that the watcher writes."""
        return {
            names.POD_ANNOTATION: self.network,
            names.POD_NETWORKS_ANNOTATION: self.networks,
            names.POD_UID_ANNOTATION: self.uid,
        }


def crowding(annotations: Mapping[str, str]) -> int:
    """Return how many bytes of a pod's other annotations may be too many, so that the watcher's have no room; 0: they
    have.
    """
    others = annotations.keys() - PodAnnotations().written.keys()
    return max(0, sum(map(_bytes, others)) + sum(_bytes(annotations[name]) for name in others) + ROOM - MOST_BYTES)


def _bytes(text: str) -> int:
    return len(text.encode(errors="replace"))


def _short(text: str | None) -> str | None:
    return TOO_LONG if text is not None and len(text) > LONGEST else text


class PodRoute(NamedTuple):
    """A route in the pod."""

    destination: str
    next_hop: str


@dataclass(frozen=True)
class PodNetwork:
    """The network of one pod.

    :ivar mac: of the pod's interface.
    :ivar addresses: with prefix length, at most one of each IP version.
    :ivar gateways: next hops of the default routes.
    :ivar routes: more routes.
    :ivar egress_rate, ingress_rate: limits of what leaves the pod and of what comes in, in bits a second; None: no
        limit.
    """

    mac: str
    addresses: tuple[str, ...]
    gateways: tuple[str, ...] = ()
    routes: tuple[PodRoute, ...] = ()
    egress_rate: int | None = None
    ingress_rate: int | None = None

    def gateway(self, cidr: str) -> str | None:
        """Return the next hop of the default route of an address's IP version, None: there is none."""
        return next((ip for ip in self.gateways if addressing.family(ip) == addressing.family(cidr)), None)

    def all_routes(self) -> tuple[PodRoute, ...]:
        """Return all routes, the default routes first."""
        return tuple(PodRoute(addressing.ANYWHERE[addressing.family(ip)], ip) for ip in self.gateways) + self.routes


def render(network: PodNetwork, uid: str) -> PodAnnotations:
    """Return the annotations that say that the pod of this UID has this network."""
    first, gateway = network.addresses[0], network.gateways[0]
    one = {"ip_address": first, "mac_address": network.mac, "gateway_ip": gateway}
    default: dict[str, object] = {
        "ip_addresses": list(network.addresses),
        "mac_address": network.mac,
        "gateway_ips": list(network.gateways),
    }
    if len(network.addresses) == 1:
        default.update(ip_address=first, gateway_ip=gateway)
    return PodAnnotations(json.dumps(one), json.dumps({"default": default}), uid)


def parse(annotations: PodAnnotations) -> PodNetwork | None:
    """Return the network that the annotations tell of; None: there is none yet.

    ``k8s.ovn.org/pod-networks`` counts where the pod has both.

    :raises AnnotationError: when an annotation can't be used.
    """
    text, name = annotations.networks, names.POD_NETWORKS_ANNOTATION
    if text is None:
        text, name = annotations.network, names.POD_ANNOTATION
    if text is None:
        return None
    try:
        fields = _fields(text, name)
        cidrs = _cidrs(fields)
        gateways = fields.get("gateway_ips") or [fields.get("gateway_ip")]
        mac = fields["mac_address"].lower()
        if not MAC.fullmatch(mac):
            raise ValueError(f"{mac} is no MAC")
        network = PodNetwork(
            mac,
            tuple(str(addressing.interface(cidr)) for cidr in cidrs),
            tuple(str(addressing.address(ip)) for ip in gateways if ip),
            tuple(
                PodRoute(str(addressing.network(route["dest"])), str(addressing.address(route["nextHop"])))
                for route in fields.get("routes") or ()
            ),
            _rate(annotations.egress_bandwidth, names.EGRESS_BANDWIDTH),
            _rate(annotations.ingress_bandwidth, names.INGRESS_BANDWIDTH),
        )
    except AnnotationError:
        raise
    except KeyError as exc:
        raise AnnotationError(f"annotation {name} lacks {exc.args[0]}") from None
    except (AttributeError, OverflowError, RecursionError, TypeError, ValueError) as exc:
        reason = f"it has more than {LONGEST} characters" if text == TOO_LONG else f"{exc!s:.{SHOWN}}"
        raise AnnotationError(f"annotation {name} can't be used: {reason}") from None
    versions = [addressing.family(cidr) for cidr in network.addresses]
    if len(versions) != len(set(versions)):
        addresses = ", ".join(network.addresses)
        raise AnnotationError(
            f"annotation {name} gives {addresses:.{SHOWN}}: a pod has at most one address of each IP version"
        )
    return network


def claimed_addresses(annotations: PodAnnotations) -> tuple[str, ...]:
    """Return the addresses that the annotations tell of, without prefix length.

    None when no annotation can be understood, when there are two of one IP version, or when the two annotations
    contradict each other: the watcher has not written that.
    """
    found = []
    for text, name in (
        (annotations.networks, names.POD_NETWORKS_ANNOTATION),
        (annotations.network, names.POD_ANNOTATION),
    ):
        try:
            found.append(normalized_addresses(cidr.split("/")[0] for cidr in _cidrs(_fields(text, name))))
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
            continue
    if not found or not set(found[-1]) <= set(found[0]):
        return ()
    versions = [addressing.family(ip) for ip in found[0]]
    return found[0] if len(versions) == len(set(versions)) else ()


def normalized_addresses(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the texts that are addresses, in their usual spelling."""
    return tuple(filter(None, map(addressing.normalized, texts)))


def _fields(text: str | None, name: str) -> dict[str, Any]:
    """Return the fields of the pod's network: of ``k8s.ovn.org/pod-networks`` those of the network "default"."""
    value: Any = json.loads(text)  # type: ignore[arg-type]  # None raises TypeError, which callers expect
    fields: dict[str, Any] = value["default"] if name == names.POD_NETWORKS_ANNOTATION else value
    return fields


def _cidrs(fields: Mapping[str, Any]) -> list[str]:
    """Return the addresses with their prefix length."""
    return fields.get("ip_addresses") or [fields["ip_address"]]


def _rate(text: str | None, name: str) -> int | None:
    """Return a limit in bits a second, written as a Kubernetes quantity; None: no limit."""
    if text is None:
        return None
    try:
        rate = quantity(text.strip())
    except ValueError:
        rate = 0
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise AnnotationError(f"annotation {name} is {text!r:.{SHOWN}}: write bits a second from 1k to 1P, like 10M")
    return rate
