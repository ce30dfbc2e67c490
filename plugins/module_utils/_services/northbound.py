# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The load balancers of a service, in the groups that all node switches and gateway routers refer to (ovn-nb(5),
Load_Balancer_Group).

A node port is written once for all hosts: its address is a template variable that holds each chassis's own address.
Endpoints of one host alone (traffic policy Local), or that hints choose for it, are such a variable too
(:mod:`.template_variables`). So a new node is one row, however many services there are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from .._common import names
from .._ovsdb.rows import ExactMap, Owner, Row
from . import range_rules
from .addresses import of_version
from .model import ADDRESSES_OF_A_HOST, PROTOCOLS, Service, ServicePort, Target
from .service_state import ServiceState

KIND = "Service"
# The source address of a pod that reaches itself through a service; the one of ovn-kubernetes.
HAIRPIN = {4: "169.254.169.5", 6: "fd69::5"}
# The fields of a packet that select the endpoint of a client, by IP version. Where the server's schema does not have
# those of IPv6 (OVN 23.03), it is the client's MAC; clients outside have that of their router.
AFFINITY = {4: ("ip_dst", "ip_src"), 6: ("ipv6_dst", "ipv6_src")}
AFFINITY_WITHOUT_IPV6 = ("eth_src",)
# The load balancers that one protocol of a service may have, in the order of their rows.
KINDS = (
    "cluster",
    "outside",
    "local",
    "node",
    "outside_local",
    "node_local",
    "ranges",
    "ranges_outside",
    "ranges_local",
)


class Scope(NamedTuple):
    """Which connections one load balancer of a service takes.

    :ivar kind: one of KINDS: to cluster addresses; to addresses outside; to cluster addresses with
        ``internalTrafficPolicy: Local``; to node ports; the last two with ``externalTrafficPolicy: Local``, on gateway
        routers; to addresses outside that some sources only may reach, on switches; the same on gateway routers; the
        same with ``externalTrafficPolicy: Local``.
    :ivar version: the IP version of a load balancer with template variables; None: it has none.
    """

    kind: str
    version: int | None = None

    @property
    def name(self) -> str:
        """Its part of the row's name and role."""
        return self.kind if self.version is None else f"{self.kind}_IPv{self.version}"

    @property
    def order(self) -> tuple[int, int]:
        """A sort key."""
        return self.version or 0, KINDS.index(self.kind)

    @property
    def keeps_source(self) -> bool:
        """Whether gateway routers keep the client's address."""
        return self.kind.endswith("_local")

    def is_beside_local(self, service: Service) -> bool:
        """Return whether switches have it where gateway routers have one that keeps the client's address."""
        return service.external_local and self.kind in ("outside", "node", "ranges")

    def group(self, service: Service) -> str:
        """Return the load balancer group that it is in."""
        if self.kind.startswith("ranges"):
            return names.LB_GROUP_SWITCHES_RANGES if self.kind == "ranges" else names.LB_GROUP_ROUTERS_RANGES
        if self.keeps_source:
            return names.LB_GROUP_ROUTERS
        if self.kind == "local" or self.is_beside_local(service):
            return names.LB_GROUP_SWITCHES
        if self.kind == "node" and self.version == 4 and service.learned_affinity:
            # OVN can't learn at a template variable. At a host's own address its rules lead to the cluster address, of
            # IPv4: hosts need not forward IPv6.
            return names.LB_GROUP_ROUTERS
        return names.LB_GROUP_ALL


def owner(key: str) -> Owner:
    """Return the owner of a service's rows."""
    return Owner(KIND, key)


def rows(state: ServiceState, fields: Collection[str] = ()) -> list[Row]:
    """Return the rows of a service's load balancers, and those that restrict who may reach them.

    :param fields: what the server's schema allows as ``selection_fields``; empty: everything.
    """
    balancers = [row for protocol in PROTOCOLS for row in _rows_of_protocol(state, protocol, fields)]
    return [*range_rules.rows(state.service, owner(state.service.key)), *balancers]


def _rows_of_protocol(state: ServiceState, protocol: str, fields: Collection[str]) -> list[Row]:
    """Return one protocol's load balancers, those that have virtual addresses."""
    vips: dict[Scope, dict[str, str]] = {}
    for port in state.service.ports:
        if port.protocol == protocol:
            for version in state.service.ip_versions:
                _add_port(vips, state, port, version)
    scopes = sorted(vips, key=lambda scope: scope.order)
    return [_row(state.service, protocol, scope, vips[scope], fields) for scope in scopes]


def _add_port(vips: dict[Scope, dict[str, str]], state: ServiceState, port: ServicePort, version: int) -> None:
    """Add the virtual addresses of one port and IP version: scope -> address with port -> backends."""
    service = state.service
    hinted = state.hinted(port, version) is not None
    if hinted:
        backends = f"^{names.hinted_backends_variable(*service.port_key(port), version)}"
    else:
        backends = ",".join(map(str, state.targets(port, version)))
    variable = names.local_backends_variable(*service.port_key(port), version)
    local_backends = f"^{variable}"

    def add(kind: str, vip: str, to: str, template: bool = True) -> None:
        vips.setdefault(Scope(kind, version if template else None), {})[vip] = to

    def add_address(kind: str, ip: str) -> None:
        add(kind, _template_vip(ip, port.port) if hinted else str(Target(ip, port.port)), backends, hinted)

    for ip in of_version(service.cluster_ips, version):
        if service.internal_local:
            add("local", _template_vip(ip, port.port), local_backends)
        else:
            add_address("cluster", ip)
    # Addresses outside are apart where the two sorts of addresses differ in their traffic policy.
    kind = "outside" if service.external_local or service.internal_local else "cluster"
    for ip in of_version(service.external_ips_of(port), version):
        is_open = service.ranges_of(ip) is None
        add_address(kind if is_open else "ranges", ip)
        if service.external_local:
            add("outside_local" if is_open else "ranges_local", _template_vip(ip, port.port), local_backends)
        elif not is_open:
            add_address("ranges_outside", ip)
    for index in range(ADDRESSES_OF_A_HOST if port.node_port else 0):
        vip = f"^{names.node_address_variable(version, index)}:{port.node_port}"
        add("node", vip, backends)
        if service.external_local:
            add("node_local", vip, local_backends)


def _row(service: Service, protocol: str, scope: Scope, vips: dict[str, str], fields: Collection[str]) -> Row:
    """Return the row of one load balancer."""
    # OVN learns which endpoint a client has only for addresses that it knows when it makes flows: not for template
    # variables.
    timeout = service.learned_affinity if scope.version is None else None
    versions = service.ip_versions if scope.version is None else [scope.version]
    options = {
        "reject": "true",
        # No router answers ARP and neighbour discovery for its addresses: each gateway would, beside whoever announces
        # them, and a router that answers for a host's address takes that host's traffic.
        "neighbor_responder": "none",
        "hairpin_snat_ip": " ".join(HAIRPIN.values()) if scope.version is None else HAIRPIN[scope.version],
        # Forget connections to an endpoint that has gone: a client of UDP would send to it until they time out.
        "ct_flush": "true" if protocol == "UDP" else None,
        # For switches it says only that routers do so: the Southbound database has the load balancers of switches, and
        # the flows of a shared NIC are made from those.
        "skip_snat": "true" if scope.keeps_source or scope.is_beside_local(service) else None,
        "template": None if scope.version is None else "true",
        "address-family": None if scope.version is None else f"ipv{scope.version}",
        "affinity_timeout": str(timeout) if timeout else None,
    }
    return Row(
        "Load_Balancer",
        owner(service.key),
        f"{scope.name}-{protocol.lower()}",
        names.load_balancer(service.namespace, service.name, protocol, scope.name),
        scope.group(service),
        {
            "protocol": (protocol.lower(),),
            "vips": ExactMap(vips),
            "options": options,
            "selection_fields": _affinity_fields(versions, fields) if service.affinity and not timeout else (),
            "external_ids": {names.SERVICE_KIND_KEY: "Service", names.SERVICE_OWNER_KEY: service.key},
        },
        "known",
    )


def _affinity_fields(versions: Iterable[int], known: Collection[str]) -> tuple[str, ...]:
    """Return the fields by which a client of these IP versions keeps its endpoint."""
    of_ipv6 = AFFINITY[6] if not known or set(AFFINITY[6]) <= set(known) else AFFINITY_WITHOUT_IPV6
    return tuple(sorted({field for version in versions for field in (of_ipv6 if version == 6 else AFFINITY[4])}))


def _template_vip(address: str, port: int) -> str:
    """Return ``ip:port`` for a load balancer with template variables; there an IPv6 address has to be a variable too
    (OVN 23.03).
    """
    return f"^{names.address_variable(address)}:{port}" if ":" in address else f"{address}:{port}"
