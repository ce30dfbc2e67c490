# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects addresses of others: what stands in a pod's object counts as far as the watcher or the kubelet wrote it."""

from __future__ import annotations

import json

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._pods import annotation, beliefs, northbound
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.model import pod_with_port

SUBNETS = ("192.168.1.0/24", "fd10:0:0:1::/64")
CIDRS = ("192.168.1.3/24", "fd10:0:0:1::3/64")


def pod(cidrs=CIDRS, uid="u1", ips=(), **annotations):
    """A pod that the watcher has annotated, with other annotations."""
    written = annotation.render(northbound.network(cidrs), uid).written
    return pod_with_port(
        {
            "metadata": {"namespace": "ns", "name": "web", "uid": "u1", "annotations": {**written, **annotations}},
            "spec": {"nodeName": "node1"},
            "status": {"podIPs": ips},
        }
    )


def named(cidr):
    """A pod whose annotation names an address in a subnet of any size."""
    fields = {"ip_address": cidr, "mac_address": "0a:58:c0:a8:01:03", "gateway_ip": "192.168.1.1"}
    return pod(**{"k8s.ovn.org/pod-networks": json.dumps({"default": fields})})


def of_annotation(one):
    """What of its annotations counts."""
    return beliefs.of_annotation(one, SUBNETS)


def test_what_the_watcher_has_written_counts():
    """Protects running pods when the database is lost, also one whose user wrote a limit that is none."""
    whole = ("192.168.1.3", "fd10:0:0:1::3")
    assert of_annotation(pod()) == whole
    assert of_annotation(pod(**{"kubernetes.io/egress-bandwidth": "fast"})) == whole


@pytest.mark.parametrize(
    "one",
    [
        pod(uid="another"),
        pod(("192.168.2.3/24",)),
        pod(("192.168.1.1/24",)),
        pod(ovn=json.dumps({"ip_address": "192.168.1.9/24", "mac_address": "0a:58:c0:a8:01:09"})),
        pod(
            **{
                "k8s.ovn.org/pod-networks": json.dumps(
                    {"default": {"ip_address": "192.168.1.9/24", "mac_address": "0a:58:c0:a8:01:03"}}
                )
            }
        ),
        pod(("192.168.1.3/24", "192.168.1.4/24")),
        *map(named, ("192.168.1.3/32", "192.168.1.3/31", "fd10:0:0:1::3/128", "fe80::1%eth0/64", "0.0.0.0/0")),
        pod(**{"k8s.ovn.org/pod-networks": " " * 2000}),
        pod(**{"ovn.kubernetes/pod-uid": ""}),
    ],
)
def test_what_users_have_written_counts_for_nothing(one):
    """Protects everybody else: of another pod, another node, the router, contradictory, too many, too long."""
    assert of_annotation(one) == ()


@pytest.mark.parametrize(
    ("ips", "right"),
    [
        ([{"ip": "fd10:0:0:1::7"}, {"ip": "192.168.1.7"}], ("fd10:0:0:1::7", "192.168.1.7")),
        ([{"ip": "192.168.1.7"}, {"ip": "192.168.1.8"}], ("192.168.1.7",)),
        ([{"ip": "192.168.2.7"}, {"ip": "8.8.8.8"}, {"ip": "192.168.1.1"}], ()),
        ([None, 3, {}, {"ip": None}, {"ip": "x" * 10**6}, {"ip": "fe80::1%eth0"}], ()),
        ("192.168.1.7", ()),
        (None, ()),
    ],
)
def test_what_the_kubelet_reports(ips, right):
    """Protects other nodes from a kubelet; garbage is no error, since its pod would have no network then."""
    assert beliefs.of_status(pod(ips=ips), SUBNETS, lambda _ip: False) == right


def test_an_earlier_subnet_of_the_node():
    """Protects a pod that keeps its address when database and subnet are lost: kubelet and watcher both tell of it."""
    other = ("10.9.0.0/24",)
    one = pod(ips=[{"ip": "192.168.1.3"}, {"ip": "fd10:0:0:1::3"}])
    assert beliefs.of_status(one, other, lambda _ip: False) == ("192.168.1.3", "fd10:0:0:1::3")
    assert beliefs.of_status(one, other, lambda _ip: True) == ()
    assert beliefs.of_status(pod(uid="another", ips=[{"ip": "192.168.1.3"}]), other, lambda _ip: False) == ()
