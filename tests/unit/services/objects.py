# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Services, endpoint slices and hosts for tests."""

from __future__ import annotations

from ansible_collections.ovn.kubernetes.plugins.module_utils._services.endpoint_slices import (
    Endpoint,
    EndpointSlice,
    SlicePort,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.host import Host
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.model import Service
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.service_state import ServiceState

SUBNETS = ("192.168.1.0/24", "fd10:0:0:1::/64")
HOSTS = {"node1": ("10.0.0.1", "fd00::1"), "node2": ("10.0.0.2",)}
LOCAL = {"externalTrafficPolicy": "Local"}


def service(kind="ClusterIP", ports=({"port": 80},), ips=("10.96.0.1",), status=None, annotations=None, **spec):
    """Make a service from an object."""
    spec = {"type": kind, "clusterIPs": list(ips), "clusterIP": ips[0] if ips else "None", "ports": list(ports), **spec}
    meta = {"namespace": "ns", "name": "web", "annotations": annotations}
    return Service.from_object({"metadata": meta, "spec": spec, "status": status or {}})


def balanced(node_port=30080, health=None, protocol="TCP", **spec):
    """Make a service of type LoadBalancer with one node port."""
    ports = ({"port": 80, "nodePort": node_port, "protocol": protocol},)
    return service("LoadBalancer", ports, healthCheckNodePort=health, **spec)


def endpoints(*backends, ports=({"port": 8080},), version=4):
    """Make an endpoint slice from an object; a backend is an address, or (address, node, conditions)."""
    made = []
    for one in backends:
        address, node, conditions = one if isinstance(one, tuple) else (one, None, {})
        made.append({"addresses": [address], "nodeName": node, "conditions": conditions})
    return EndpointSlice.from_object(
        {
            "metadata": {"namespace": "ns", "name": "web-x", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": f"IPv{version}",
            "ports": list(ports),
            "endpoints": made,
        }
    )


def endpoints_for(hints, version=4, ready=True):
    """Make an endpoint slice: address -> its hints."""
    meta = {"namespace": "ns", "name": "web-x", "labels": {"kubernetes.io/service-name": "web"}}
    made = [
        {
            "addresses": [address],
            "conditions": {"ready": ready, "serving": True, "terminating": not ready},
            "hints": {kind: [{"name": name} for name in names] for kind, names in some.items()},
        }
        for address, some in hints.items()
    ]
    item = {"metadata": meta, "addressType": f"IPv{version}", "ports": [{"port": 8080}], "endpoints": made}
    return EndpointSlice.from_object(item)


def on_nodes(*backends, protocol="TCP"):
    """Make an endpoint slice: (address, node, ready) of each endpoint."""
    made = tuple(Endpoint(address, node, ready, False) for address, node, ready in backends)
    return EndpointSlice("ns/web", 4, (SlicePort("", protocol, 8080),), made)


def state(service, *slices):
    """Return a service with its slices."""
    return ServiceState(service, list(slices))


def host(
    name="node1", subnets=SUBNETS, addresses=HOSTS["node1"], gateway_addresses=(), has_gateway=False, zone="", **more
):
    """Return a host."""
    return Host(
        name, f"id-{name}", tuple(subnets), tuple(addresses), tuple(gateway_addresses), has_gateway, zone, **more
    )
