# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say, by events, what one host does not serve: ports of its pods, networks of services, and SCTP where its
kernel has none.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping

from .._kube import reasons
from .._kube.reference import OnEvent
from .._kube.told import Told
from .._netlink import sctp
from .._netlink.listening import Listener, LocalHost
from .._pods.model import Pod
from .address_book import Served, not_served
from .model import Claim, Service
from .service_cidrs import ServiceCIDR

LOG = logging.getLogger("ovn-k8s-node")


class HostNotices:
    """What was said.

    :param on_event: writes a Kubernetes event.
    :param node: the host's name.
    """

    def __init__(self, on_event: OnEvent, node: str) -> None:
        self._node = node
        self._of_pods = Told(on_event, LOG)
        self._of_services = Told(on_event, LOG)
        self._of_cidrs = Told(on_event, LOG)

    def forget_pod(self, key: str) -> None:
        """Forget a pod that was deleted."""
        self._of_pods.forget(key)

    def forget_service(self, key: str) -> None:
        """Forget a service that was deleted."""
        self._of_services.forget(key)

    def forget_cidr(self, key: str) -> None:
        """Forget a ServiceCIDR that was deleted."""
        self._of_cidrs.forget(key)

    def tell_of_cidrs(self, objects: Iterable[ServiceCIDR], refusals: Mapping[str, str]) -> None:
        """Say which networks of services this host does not lead into the overlay.

        :param refusals: as :class:`.service_cidrs.Accepted` has them.
        """
        for one in objects:
            reason = refusals.get(one.name)
            text = f"on node {self._node}: {reason}" if reason else ""
            self._of_cidrs.tell(one.name, one.reference, reasons.SERVICE_CIDR_REFUSED, text)

    def tell_of_pods(self, pods: Iterable[Pod], kept_ports: Collection[Listener]) -> None:
        """Say which host ports are not served now, where it is new.

        :param kept_ports: host ports of pods on which programs of the host listen.
        """
        kept = {(one.protocol, one.port) for one in kept_ports}
        for pod in pods:
            parts = [
                *pod.unserved,
                *(
                    f"host port {port.port}/{port.protocol}: a program of the host listens on it; stop that, or choose "
                    "another hostPort"
                    for port in pod.host_ports
                    if (port.protocol, port.port) in kept
                ),
            ]
            self._of_pods.tell(pod.key, pod.reference, reasons.HOST_PORT_NOT_SERVED, not_served(parts))

    def tell_of_services(
        self, services: Mapping[str, Service], served: Iterable[Served], local: LocalHost, routers: Collection[str]
    ) -> None:
        """Say what of services this host does not serve now, where it is new.

        :param services: key -> service, all of them.
        :param served: those that the host has rules for, without what is refused.
        :param local: the host's own addresses and listening programs.
        :param routers: those of the host's default routes, which it alone knows.
        """
        refused: dict[str, list[str]] = {}
        parts: dict[str, list[str]] = {}
        for one in served:
            key = one.service.key
            of_routers = [text for text in one.refusals if text.partition(" ")[0] in routers]
            if of_routers:
                refused[key] = of_routers
            taken = self._taken(one.service, local)
            if taken:
                parts[key] = taken
        # Each host without SCTP says the same, so that it is one event.
        with_sctp = [key for key, one in services.items() if any(port.protocol == "SCTP" for port in one.ports)]
        missing = sctp.missing() if with_sctp else ""
        if missing:
            for key in with_sctp:
                text = f"SCTP on hosts whose kernel lacks {missing}: give such a host a kernel with it"
                parts.setdefault(key, []).append(text)
        for key in {*refused, *parts, *self._of_services.keys()}:
            service = services.get(key)
            if service is not None:
                about = service.reference
                self._of_services.tell(key, about, reasons.ADDRESS_REFUSED, not_served(refused.get(key, ())))
                self._of_services.tell(key, about, reasons.SERVICE_NOT_SERVED, not_served(parts.get(key, ())))

    def _taken(self, service: Service, local: LocalHost) -> list[str]:
        """Return the ports of the host's own addresses that one of its programs keeps."""
        return [
            f"{Claim(ip, port.protocol, port.port)} on node {self._node}: a program of the host listens there; stop "
            "that, or give the service another port or address"
            for port in service.ports
            for ip in service.external_ips_of(port)
            if ip in local.addresses and local.listens(port.protocol.lower(), ip, port.port)
        ]
