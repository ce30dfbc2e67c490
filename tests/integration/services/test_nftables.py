# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the rules of services in nftables: every form of them is accepted, they are replaced as a whole, and they
can be removed.
"""

from __future__ import annotations

import dataclasses

from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink import libraries
from ansible_collections.ovn.kubernetes.plugins.module_utils._services import nftables
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.host_rules import (
    HostPortRule,
    HostRules,
    NodePortRule,
    NodePortTargets,
    ServiceAddressRule,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.model import Target

CLUSTER = {4: Target("10.96.0.2", 80), 6: Target("fd96::2", 80)}
TWO = {
    4: (Target("192.168.1.3", 8080), Target("192.168.1.4", 8080)),
    6: (Target("fd10::3", 8080), Target("fd10::4", 8080)),
}
NONE = {4: (), 6: ()}
EVERYBODY = {4: None, 6: None}


def node_port(number, protocol, local, other_hosts, affinity):
    """A node port of both IP versions."""
    targets = tuple(
        NodePortTargets(version, (CLUSTER[version],), local and local[version], other_hosts[version])
        for version in (4, 6)
    )
    return NodePortRule(protocol, number, targets, affinity)


def test_every_form_in_both_ip_versions():
    """Protects dual stack, and services with several endpoints: if nft refuses one rule, all others are missing too."""
    node_ports = tuple(
        node_port(number, *form)
        for number, form in enumerate(
            (
                ("tcp", None, NONE, False),
                ("udp", None, NONE, True),
                ("sctp", None, NONE, False),
                ("tcp", TWO, NONE, False),
                ("udp", TWO, NONE, True),
                ("tcp", NONE, TWO, False),
                ("tcp", NONE, TWO, True),
                ("tcp", NONE, NONE, False),
            ),
            30000,
        )
    )
    addresses = tuple(
        ServiceAddressRule(version, "tcp", target.address, 443, TWO[version], affinity)
        for version, target in CLUSTER.items()
        for affinity in (False, True)
    )
    outside = tuple(
        ServiceAddressRule(version, protocol, address, 443, (CLUSTER[version],), affinity, local, sources[version])
        for version, addresses in {4: ("1.2.3.4", "1.2.3.5", "1.2.3.6"), 6: ("fd01::1", "fd01:0:1::", "::1:2")}.items()
        for protocol in ("tcp", "udp", "sctp")
        for address, local, affinity, sources in zip(
            addresses,
            (None, TWO[version], ()),
            (False, True, False),
            (EVERYBODY, {4: ("10.0.0.0/8", "192.0.2.1/32"), 6: ("fd02::/16", "fd03::1/128")}, EVERYBODY),
        )
    )
    host_ports = tuple(
        HostPortRule(version, protocol, 8080, address, TWO[version][0])
        for version, address in ((4, None), (4, "10.0.0.1"), (6, None), (6, "fd00::1"))
        for protocol in ("tcp", "udp")
    )
    rules = HostRules(
        "k8s-node1",
        ("192.168.0.0/16", "fd10::/48"),
        ("10.0.0.1", "fd00::1"),
        node_ports,
        addresses,
        host_ports,
        outside,
    )
    assert nftables.current_udp_rules() == {}
    nftables.write(rules)
    assert nftables.exists()
    # After a start, conntrack forgets the UDP ports whose rules differ from the listed ones; no others.
    listed = nftables.current_udp_rules()
    nftables.write(rules)
    assert nftables.current_udp_rules() == listed and set(listed) == {30001, 30004, 8080, 443}
    nftables.write(dataclasses.replace(rules, node_ports=(*node_ports[:4], node_port(30004, "udp", NONE, NONE, True))))
    assert {port for port, what in nftables.current_udp_rules().items() if what != listed[port]} == {30004}
    # The addresses 1.2.3.4 and 1.2.3.5 have each other's rules.
    places = [place for place, rule in enumerate(outside) if (rule.version, rule.protocol) == (4, "udp")][:2]
    changed = list(outside)
    for place, other in zip(places, reversed(places)):
        changed[place] = dataclasses.replace(outside[other], address=outside[place].address)
    nftables.write(dataclasses.replace(rules, outside_addresses=tuple(changed)))
    assert {port for port, what in nftables.current_udp_rules().items() if what != listed[port]} == {443}
    nftables.write(HostRules("k8s-node1", (), ()))
    code, text, _error = libraries.nftables().cmd("list table inet ovn_kubernetes")
    assert code == 0 and "30000" not in text and "masquerade" in text
    nftables.remove()
    assert not nftables.exists()
