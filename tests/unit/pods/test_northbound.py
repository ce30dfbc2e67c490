# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the logical port of a pod."""

from __future__ import annotations

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import CurrentRow
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods import northbound
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.model import pod_with_port

SWITCH = northbound.NodeSwitch("node1", ("192.168.1.0/24", "fd10:0:0:1::/64"), "id-1")
CIDRS = ("192.168.1.3/24", "fd10:0:0:1::3/64")


def test_the_port_is_locked_to_its_addresses():
    """Protects against pods that take others' addresses (W15), and against a port on the wrong host."""
    pod = pod_with_port({"metadata": {"namespace": "ns", "name": "web-0", "uid": "u1"}, "spec": {"nodeName": "Node1"}})
    (row,) = northbound.rows(pod, SWITCH, northbound.network(CIDRS))
    line = ("0a:58:c0:a8:01:03 192.168.1.3 fd10:0:0:1::3",)
    assert (row.name, row.parent) == ("ns_web-0", "node1")
    assert row.columns["addresses"] == row.columns["port_security"] == line
    assert row.columns["options"] == {"iface-id-ver": "u1", "requested-chassis": "id-1"}
    assert row.all_columns()["external_ids"].items() >= {"namespace": "ns", "pod": "true"}.items()


def test_addresses_of_any_port():
    """Protects addresses of ports that are not ours: pods don't get them."""
    lines = ("0a:58:c0:a8:01:03 192.168.1.3 fd10::3", "unknown", "router", "52:54:00:00:00:01 dynamic")
    port = CurrentRow("Logical_Switch_Port", "u", {"addresses": lines}, {})
    assert northbound.addresses_of_port(port) == ("192.168.1.3", "fd10::3")
