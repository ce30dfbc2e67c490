# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the flows of a shared NIC; what they do with packets is in tests/integration/programs/test_flows.py."""

from __future__ import annotations

import dataclasses

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.names import SHARED_PORTS
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.flows import (
    ServiceEndpoint,
    SharedNic,
    Tunnel,
    flows,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.shared_nic import GENEVE_PORT

MAC, OWN = "52:54:00:00:00:01", ("10.44.0.12", "fd44::12", "fe80::1")
NIC = SharedNic(
    1,
    2,
    MAC,
    OWN,
    (Tunnel("10.44.0.12", 6081),),
    (ServiceEndpoint("10.44.0.12", "tcp", 30080), ServiceEndpoint("fd44::12", "sctp", 30081)),
)


def test_no_two_flows_have_one_match():
    """Protects against two flows of one priority and match, of which the bridge keeps one; and each flow is ours."""
    lines = flows(NIC)
    assert all(line.startswith("cookie=0x6f766e6b,") for line in lines)
    matches = [frozenset(line.split(",actions=")[0].split(",")) for line in lines]
    assert len(set(matches)) == len(matches)


def test_tunnels_that_end_at_another_nic_have_no_flows():
    """Protects tunnels on another NIC: their port is not this one's."""
    lines = flows(SharedNic(1, 2, MAC, OWN))
    assert not any("6081" in line or "tp_dst" in line for line in lines) and len(lines) == len(flows(NIC)) - 2 - 2 * 3


def test_the_host_does_not_reset_pods_connections():
    """Protects pods' connections from the host: it would reset one whose segment is out of the window. Its own ports
    are not in these flows, and what begins or ends a connection of its own is invalid for conntrack.
    """
    plain, more = flows(NIC), flows(dataclasses.replace(NIC, drops_invalid=True))
    added = [line.split(",") for line in more if line not in plain]
    assert all("ct_state=+inv+trk" in one and "tcp_flags=-fin-syn-rst+ack" in one for one in added)
    for family in ("tcp", "tcp6"):
        covered = set()
        for value, mask in (one[-2].split("=")[1].split("/") for one in added if family in one):
            covered |= {port for port in range(65536) if port & int(mask, 16) == int(value, 16)}
        first, last = map(int, SHARED_PORTS.split("-"))
        assert covered == set(range(first, last + 1))


def test_no_pod_has_a_port_of_the_hosts_tunnels():
    """Protects answers to pods, whatever their port: the flows lead those to the tunnels' port to the host. And
    protects its IPsec, whose both sides send from the port that they send to."""
    first, last = map(int, SHARED_PORTS.split("-"))
    assert not {500, 4500, GENEVE_PORT}.intersection(range(first, last + 1))
