# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the rules of services in nftables: every form of them is taken, they are replaced whole, and they go."""

from __future__ import annotations

import dataclasses

from ansible_collections.ovn.kubernetes.plugins.module_utils._host.desired import (
    HostPort,
    NodePort,
    OwnService,
    ServiceRules,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.libraries import nftables
from ansible_collections.ovn.kubernetes.plugins.module_utils._services import nftables as service_rules

BOTH = ((4, (("10.96.0.2", 80),)), (6, (("fd96::2", 80),)))
TWO = {4: (("192.168.1.3", 8080), ("192.168.1.4", 8080)), 6: (("fd10::3", 8080), ("fd10::4", 8080))}


def test_every_form_in_both_families():
    """Protects dual stack, and services with several endpoints: one of a kind that nft refuses would take all others with it."""
    local, none = tuple(TWO.items()), ((4, ()), (6, ()))
    node_ports = tuple(
        NodePort(protocol, port, BOTH, kept, elsewhere, affinity)
        for port, (protocol, kept, elsewhere, affinity) in enumerate(
            (
                ("tcp", None, (), False),
                ("udp", None, (), True),
                ("sctp", None, (), False),
                ("tcp", local, (), False),
                ("udp", local, (), True),
                ("tcp", none, local, False),
                ("tcp", none, local, True),
                ("tcp", none, none, False),
            ),
            30000,
        )
    )
    own = tuple(
        OwnService(version, "tcp", address, 443, TWO[version], affinity)
        for version, ((address, _port),) in BOTH
        for affinity in (False, True)
    )
    host_ports = tuple(
        HostPort(version, protocol, 8080, address, TWO[version][0])
        for version, address in ((4, None), (4, "10.0.0.1"), (6, None), (6, "fd00::1"))
        for protocol in ("tcp", "udp")
    )
    wanted = ServiceRules(
        "k8s-node1", ("192.168.0.0/16", "fd10::/48"), ("10.0.0.1", "fd00::1"), node_ports, own, host_ports
    )
    assert service_rules.udp() == {}
    service_rules.write(wanted)
    assert service_rules.there()
    # Clients of UDP ports are led anew after a start whose rules differ from those that were there; only those.
    before = service_rules.udp()
    service_rules.write(wanted)
    assert service_rules.udp() == before and set(before) == {30001, 30004, 8080}
    service_rules.write(
        dataclasses.replace(wanted, node_ports=node_ports[:4] + (dataclasses.replace(node_ports[4], local=none),))
    )
    assert {port for port, what in service_rules.udp().items() if what != before[port]} == {30004}
    service_rules.write(ServiceRules("k8s-node1", (), ()))
    code, text, _error = nftables().cmd("list table inet ovn_kubernetes")
    assert code == 0 and "30000" not in text and "masquerade" in text
    service_rules.write(None)
    assert not service_rules.there()
