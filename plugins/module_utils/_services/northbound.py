# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a service is in the overlay: load balancers in the groups that all node switches and gateway routers refer to.

A node port is written once for all hosts, with the template variable that holds each chassis's own address; endpoints of
one host alone (traffic policy Local) are such a variable too. So a new node is one row, however many services there are.
"""

from __future__ import annotations

from typing import NamedTuple

from .._common import addressing, names
from .._ovsdb.rows import ExactMap, Owner, Row

KIND = "Service"
# Services that somebody else serves, or nobody (the API server's well-known labels).
LABELS = "!service.kubernetes.io/service-proxy-name,!service.kubernetes.io/headless"
SLICE_LABEL = "kubernetes.io/service-name"
# A pod that reaches itself through a service sees this address; the one that today's ovn-kubernetes has.
HAIRPIN = {4: "169.254.169.5", 6: "fd69::5"}
# The endpoint follows from the client's address. OVN's own affinity (options:affinity_timeout) takes a client's first packet to learn from, and drops it.
AFFINITY = ("ip_dst", "ip_src")
DEFAULT_AFFINITY_TIMEOUT = 10800  # seconds: the API server's own default
MAXIMUM_AFFINITY_TIMEOUT = 65535  # ovn-nb(5): idle timeouts of flows have 16 bits
PLACES = 2  # a host's own addresses of one family: the node's, and the gateway's where it is another
# Of a variable without a value ovn-controller complains; no packet goes to these.
NOWHERE = {4: "0.0.0.0", 6: "::"}
DISCARD = 9  # RFC 863: a port for what goes nowhere
PROTOCOLS = ("TCP", "UDP", "SCTP")


class Port(NamedTuple):
    """A port of a service; the name ties it to the ports of its endpoint slices."""

    name: str
    protocol: str
    port: int
    node_port: int | None


class Service(NamedTuple):
    """What is kept of a service.

    :ivar cluster_ips, external_ips: the second with the addresses of its load balancer outside.
    :ivar affinity: whether a client keeps its endpoint.
    :ivar affinity_timeout: for how many seconds without a new connection; None: for as long as the endpoints stay.
    :ivar internal_local, external_local: whether that traffic policy is Local.
    :ivar health_port: port of every host at which an outer load balancer asks whether there are endpoints on it.
    """

    namespace: str
    name: str
    cluster_ips: tuple
    external_ips: tuple
    ports: tuple
    affinity: bool
    affinity_timeout: int | None
    internal_local: bool
    external_local: bool
    health_port: int | None

    @property
    def key(self):
        """Its key in messages and owner keys."""
        return f"{self.namespace}/{self.name}"

    @property
    def node_ports(self):
        """Whether hosts' own addresses lead to it."""
        return any(port.node_port for port in self.ports)

    @property
    def local(self):
        """Whether some of its traffic stays on the host."""
        return self.internal_local or (self.external_local and (self.node_ports or bool(self.external_ips)))


class Endpoint(NamedTuple):
    """A backend."""

    address: str
    node: str | None
    ready: bool
    draining: bool  # serving, and terminating


class Slice(NamedTuple):
    """What is kept of an endpoint slice.

    :ivar service: key of its service.
    :ivar ports: (name, protocol, number).
    """

    service: str
    version: int
    ports: tuple
    endpoints: tuple


class Host(NamedTuple):
    """What is kept of a node: its own addresses."""

    name: str
    addresses: tuple


def trim(item):
    """A service object; None for one without addresses of its own: headless, or a mere name."""
    meta, spec = item["metadata"], item["spec"]
    kind = spec.get("type") or "ClusterIP"
    cluster_ips = _reachable(spec.get("clusterIPs") or [spec.get("clusterIP")])
    if kind == "ExternalName" or not cluster_ips:
        return None
    outside = list(spec.get("externalIPs") or ())
    # Load balancers know no sources: better closed than open to all.
    if kind == "LoadBalancer" and not spec.get("loadBalancerSourceRanges"):
        for one in (item.get("status") or {}).get("loadBalancer", {}).get("ingress") or ():
            if one.get("ip") and one.get("ipMode", "VIP") == "VIP":
                outside.append(one["ip"])
    ports = tuple(
        Port(
            port.get("name") or "",
            port.get("protocol") or "TCP",
            port["port"],
            port.get("nodePort") if kind in ("NodePort", "LoadBalancer") else None,
        )
        for port in spec.get("ports") or ()
    )
    return Service(
        meta["namespace"],
        meta["name"],
        cluster_ips,
        _reachable(outside),
        ports,
        spec.get("sessionAffinity") == "ClientIP",
        _affinity_timeout(item),
        spec.get("internalTrafficPolicy") == "Local",
        spec.get("externalTrafficPolicy") == "Local" and kind in ("NodePort", "LoadBalancer"),
        spec.get("healthCheckNodePort") or None,
    )


def _affinity_timeout(item):
    """The seconds that OVN's own affinity is to hold: where the service asks for it by its annotation, and OVN can count that far."""
    spec = item["spec"]
    if (
        spec.get("sessionAffinity") != "ClientIP"
        or (item["metadata"].get("annotations") or {}).get(names.AFFINITY_ANNOTATION) != "timeout"
    ):
        return None
    seconds = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get(
        "timeoutSeconds"
    ) or DEFAULT_AFFINITY_TIMEOUT
    return seconds if seconds <= MAXIMUM_AFFINITY_TIMEOUT else None


def trim_slice(item):
    """An endpoint slice; None for one that belongs to no service or has names for addresses."""
    service = (item["metadata"].get("labels") or {}).get(SLICE_LABEL)
    version = {"IPv4": 4, "IPv6": 6}.get(item["addressType"])
    if not service or version is None:
        return None
    endpoints = []
    for one in item.get("endpoints") or ():
        conditions, node = one.get("conditions") or {}, one.get("nodeName")
        # What is not said means yes for ready, and the same as ready for serving (EndpointConditions).
        ready = conditions.get("ready") is not False
        serving = conditions.get("serving", ready) is not False
        endpoints += [
            Endpoint(
                address, names.node_name(node) if node else None, ready, serving and bool(conditions.get("terminating"))
            )
            for address in _reachable(one["addresses"])
            if addressing.family(address) == version
        ]
    ports = tuple(
        (port.get("name") or "", port.get("protocol") or "TCP", port["port"])
        for port in item.get("ports") or ()
        if port.get("port")
    )
    return Slice("{}/{}".format(item["metadata"]["namespace"], service), version, ports, tuple(endpoints))


def trim_node(item):
    """A node object."""
    addresses = (item.get("status") or {}).get("addresses") or ()
    return Host(
        names.node_name(item["metadata"]["name"]),
        _reachable(one["address"] for one in addresses if one["type"] == "InternalIP"),
    )


def _reachable(texts):
    """The addresses among what objects of the API server give as such: not all of it is checked there, and it goes into rules that root loads."""
    return tuple(dict.fromkeys(filter(None, map(addressing.unicast, texts))))


def owner(key):
    """Whose rows a service's are."""
    return Owner(KIND, key)


def backends(port, version, slices, node=None):
    """The endpoints behind a service port as ``ip:port`` texts; with ``node``, those of that host alone.

    Those that are ready; when none is, those that still serve while they terminate.
    """
    ready, draining = set(), set()
    for one in slices:
        if one.version != version:
            continue
        numbers = [number for name, protocol, number in one.ports if (name, protocol) == (port.name, port.protocol)]
        for endpoint in one.endpoints if numbers else ():
            if node is not None and endpoint.node != node:
                continue
            if endpoint.ready or endpoint.draining:
                (ready if endpoint.ready else draining).update(_pair(endpoint.address, number) for number in numbers)
    return sorted(ready or draining)


def rows(service, slices):
    """The service's load balancers; ``slices`` are its endpoint slices."""
    out = []
    for protocol in PROTOCOLS:
        ports = [port for port in service.ports if port.protocol == protocol]
        if ports:
            out += _of_protocol(service, protocol, ports, slices)
    return out


def _of_protocol(service, protocol, ports, slices):
    """One protocol's load balancers, each where it has virtual addresses."""
    versions = sorted({addressing.family(ip) for ip in service.cluster_ips})
    cluster, cluster_local, outside = {}, {}, {}
    nodes, nodes_local, outside_local = ({version: {} for version in versions} for _three in range(3))
    for port in ports:
        for version in versions:
            everywhere = ",".join(backends(port, version, slices))
            here = "^" + names.local_backends_variable(service.namespace, service.name, port.name, protocol, version)
            for ip in _of_version(service.cluster_ips, version):
                if service.internal_local:
                    cluster_local.setdefault(version, {})[_template_pair(ip, port.port)] = here
                else:
                    cluster[_pair(ip, port.port)] = everywhere
            for ip in _of_version(service.external_ips, version):
                (outside if service.external_local else cluster if not service.internal_local else outside)[
                    _pair(ip, port.port)
                ] = everywhere
                if service.external_local:
                    outside_local[version][_template_pair(ip, port.port)] = here
            if port.node_port:
                for place in range(PLACES):
                    vip = f"^{names.node_address_variable(version, place)}:{port.node_port}"
                    nodes[version][vip] = everywhere
                    if service.external_local:
                        nodes_local[version][vip] = here
    group = names.LB_GROUP_SWITCHES if service.external_local else names.LB_GROUP_ALL
    out = [
        _balancer(service, protocol, "cluster", names.LB_GROUP_ALL, cluster),
        _balancer(service, protocol, "outside", group, outside),
    ]
    for version in versions:
        out += [
            _balancer(
                service, protocol, f"local_IPv{version}", names.LB_GROUP_SWITCHES, cluster_local.get(version), version
            ),
            _balancer(service, protocol, f"node_IPv{version}", group, nodes[version], version),
            _balancer(
                service,
                protocol,
                f"outside_local_IPv{version}",
                names.LB_GROUP_ROUTERS,
                outside_local[version],
                version,
                {"skip_snat": "true"},
            ),
            _balancer(
                service,
                protocol,
                f"node_local_IPv{version}",
                names.LB_GROUP_ROUTERS,
                nodes_local[version],
                version,
                {"skip_snat": "true"},
            ),
        ]
    return [row for row in out if row is not None]


def _balancer(service, protocol, scope, group, vips, template=None, more=None):
    """One load balancer; None without virtual addresses."""
    if not vips:
        return None
    options = {
        "reject": "true",
        "hairpin_snat_ip": " ".join(HAIRPIN[version] for version in (4, 6)),
        # Connections to an endpoint that went don't linger: a client of UDP would talk to nobody until they time out.
        "ct_flush": "true" if protocol == "UDP" else None,
        "skip_snat": None,
        "template": None,
        "address-family": None,
        "affinity_timeout": None,
    }
    timeout = (
        service.affinity_timeout if template is None else None
    )  # a template's addresses are known on the chassis only
    if timeout:
        options["affinity_timeout"] = str(timeout)
    if template is not None:
        options.update({"template": "true", "address-family": f"ipv{template}", "hairpin_snat_ip": HAIRPIN[template]})
    options.update(more or {})
    name = names.load_balancer(service.namespace, service.name, protocol, scope)
    return Row(
        "Load_Balancer",
        owner(service.key),
        f"{scope}-{protocol.lower()}",
        name,
        group,
        {
            "protocol": (protocol.lower(),),
            "vips": ExactMap(vips),
            "options": options,
            "selection_fields": AFFINITY if service.affinity and not timeout else (),
            "external_ids": {names.SERVICE_KIND_KEY: "Service", names.SERVICE_OWNER_KEY: service.key},
        },
    )


def host_owner(name):
    """Whose row a host's template variables are."""
    return Owner("Host", name)


def host_rows(name, chassis, subnets, addresses, gateway_addresses, services, dropped=False):
    """The template variables of one chassis.

    :param subnets: of its pods.
    :param addresses: the node's own.
    :param gateway_addresses: of the gateway that lives there.
    :param services: (service, its slices) of those that keep some traffic on the host.
    :param dropped: whether packets to cluster addresses that no load balancer takes are dropped on the host (:mod:`.unserved`).
    """
    variables = ExactMap()
    for version in (4, 6):
        own = _of_version(addresses, version)[:1]
        own += [address for address in _of_version(gateway_addresses, version)[:1] if address not in own]
        for place in range(PLACES):
            variables[names.node_address_variable(version, place)] = (
                own[place] if place < len(own) else NOWHERE[version]
            )
    for service, slices in services:
        for version in sorted({addressing.family(ip) for ip in service.cluster_ips}):
            for port in service.ports:
                here = backends(port, version, slices, name)
                if not here and dropped and port.protocol == "UDP" and not service.external_local:
                    # Who sends on from one port while an endpoint comes would stay with what refuses. As with kube-proxy, packets end here.
                    continue
                # Without a value the load balancer would let packets pass, and conntrack would remember them as nobody's. Routers refuse.
                refusing = [
                    _pair(addressing.nth(subnet, addressing.ROUTER, prefix=False), DISCARD)
                    for subnet in _of_version(subnets, version)
                ]
                variables[
                    names.local_backends_variable(service.namespace, service.name, port.name, port.protocol, version)
                ] = ",".join(here or refusing)
        variables.update(
            (names.address_variable(ip), ip) for ip in _of_version(service.cluster_ips + service.external_ips, 6)
        )
    return [
        Row("Chassis_Template_Var", host_owner(name), "variables", columns={"chassis": chassis, "variables": variables})
    ]


def _of_version(addresses, version):
    return [address for address in addresses if addressing.family(address) == version]


def _template_pair(address, port):
    """As :func:`_pair`, in a load balancer with templates: an IPv6 address can only be a variable there (OVN 23.03)."""
    return f"^{names.address_variable(address)}:{port}" if ":" in address else f"{address}:{port}"


def _pair(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
