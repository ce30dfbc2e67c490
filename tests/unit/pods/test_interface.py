# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects a pod's interface: its rows in Open vSwitch's database, and the state of its network namespace."""

from __future__ import annotations

import json

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.desired import (
    Address,
    Link,
    NoOffload,
    Route,
    Sysctl,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods import interface as pod_interface
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.annotation import PodAnnotations, parse
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.interface import Attachment, PodInterface

ONE = {
    "ovn": json.dumps({"ip_address": "192.168.1.3/24", "mac_address": "0A:58:C0:A8:01:03", "gateway_ip": "192.168.1.1"})
}


def interface(userspace=True, **annotations):
    """The interface of a pod with these annotations."""
    network = parse(PodAnnotations.from_mapping({**ONE, **annotations}))
    attachment = Attachment("0123456789abcdef", "eth0")
    return PodInterface(attachment, "/run/netns/x", "ns", "web", "uid-1", network, 1400, userspace)


@pytest.mark.parametrize("userspace", [True, False])
def test_what_the_pods_namespace_holds(userspace):
    """Protects the pod's own side; checksums are finished in the pod where the datapath is in userspace, and only
    there.
    """
    state = pod_interface.desired_state(interface(userspace))
    assert (state.links, state.addresses, state.routes) == (
        (Link("eth0", 1400, "0a:58:c0:a8:01:03"),),
        (Address("eth0", "192.168.1.3/24"),),
        (Route("eth0", "0.0.0.0/0", "192.168.1.1"),),
    )
    assert (state.no_offloads, state.sysctls) == ((NoOffload("eth0"),) if userspace else (), ())


def test_ipv6_is_switched_on_where_the_pod_has_it():
    """Protects pods of runtimes that switch it off."""
    six = json.dumps(
        {"default": {"ip_addresses": ["fd10::3/64"], "mac_address": "0a:58:c0:a8:01:03", "gateway_ips": ["fd10::1"]}}
    )
    assert pod_interface.desired_state(interface(**{names.POD_NETWORKS_ANNOTATION: six})).sysctls == (
        Sysctl("net/ipv6/conf/eth0/disable_ipv6", "0"),
    )


def test_the_port():
    """Protects the binding of the logical port: iface-id and the pod's UID, so that a new pod of that name is not
    mistaken for the old one (W19).
    """
    port, row = pod_interface.rows(interface())
    assert (port.table, port.parent, row.name, row.parent) == ("Port", "br-int", port.name, port.name) and len(
        port.name
    ) <= names.IFNAMSIZ
    assert row.columns["external_ids"] == {
        "iface-id": "ns_web",
        "iface-id-ver": "uid-1",
        "attached_mac": "0a:58:c0:a8:01:03",
        "ip_address": "192.168.1.3/24",
        "sandbox": "0123456789abcdef",
        "k8s.ovn.org/netns": "/run/netns/x",
    }
    assert Attachment.from_owner_name(port.owner.name) == ("0123456789abcdef", "eth0")


def test_two_attachments_never_share_a_link():
    """Protects runtimes whose IDs begin alike, and pods with several interfaces."""
    made = {names.pod_link(f"cnitool-{number}", ifname) for number in range(2000) for ifname in ("eth0", "net1")}
    assert len(made) == 4000 and max(map(len, made)) == names.IFNAMSIZ


@pytest.mark.parametrize(
    ("text", "rate"), [("10M", 10_000_000), ("1k", 1000), ("1.5G", 1_500_000_000), ("2Mi", 2 * 2**20), (" 2000 ", 2000)]
)
def test_limits_in_the_right_direction(text, rate):
    """Protects pods with kubernetes.io/egress-bandwidth: what leaves the pod is what comes in at its port.

    The burst is a tenth.
    """
    for userspace in (False, True):
        limited = interface(userspace, **{names.EGRESS_BANDWIDTH: text})
        port, row = pod_interface.rows(limited)
        policed = (0, 0) if userspace else (rate // 1000, rate // 10000)
        assert (row.columns["ingress_policing_rate"], row.columns["ingress_policing_burst"], port.columns["qos"]) == (
            *policed,
            (),
        )
        assert limited.pod_link_rate == (rate if userspace else None)
    limit, port, _interface = pod_interface.rows(interface(**{names.INGRESS_BANDWIDTH: text}))
    assert limit.columns["other_config"] == {"max-rate": str(rate)} and port.columns["qos"] == (
        limit.owner.row_uuid("limit"),
    )
