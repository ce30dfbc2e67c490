# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects hosts from matches that become the product of addresses and ports: each is about one IP version, and ports
of one protocol, and together they say what was meant.
"""

from __future__ import annotations

import itertools
import random

from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.conditions import matches, of_ports
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.match import Names, Packet, is_true
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.model import PortRange


def test_ports_of_each_protocol():
    """Protects the spelling: single ports together, ranges of the same protocol beside them, and a whole protocol."""
    ranges = [("tcp", 80, 80), ("tcp", 443, 443), ("tcp", 8000, 8010), ("udp", 0, 65535), ("sctp", 0, 9)]
    assert of_ports(itertools.starmap(PortRange, ranges)) == [
        "sctp.dst <= 9",
        "(tcp.dst == {80, 443} || 8000 <= tcp.dst <= 8010)",
        "udp",
    ]
    assert of_ports([PortRange("tcp", 60000, 65535), PortRange("tcp", 1, 1)]) == ["(tcp.dst == 1 || tcp.dst >= 60000)"]
    assert of_ports([]) == []


def test_one_match_for_each_version_and_protocol():
    """Protects the form: never two fields in one alternative, and no match for a version without sets."""
    sets, ports = {4: ["a4", "b4"], 6: ["a6"]}, ["tcp", "udp.dst == 53"]
    assert matches("outport == @g", sets, "src", ports) == [
        "outport == @g && ip4.src == {$a4, $b4} && tcp",
        "outport == @g && ip4.src == {$a4, $b4} && udp.dst == 53",
        "outport == @g && ip6.src == $a6 && tcp",
        "outport == @g && ip6.src == $a6 && udp.dst == 53",
    ]
    assert matches("inport == @g", {4: ["a4"]}, "dst") == ["inport == @g && ip4.dst == $a4"]
    assert matches("inport == @g", {}, "dst", ports) == []
    assert matches("inport == @g") == ["inport == @g && ip"]
    assert matches("inport == @g", ports=ports) == ["inport == @g && tcp", "inport == @g && udp.dst == 53"]


def test_they_mean_the_ports():
    """Protects the meaning: of random ports exactly those match."""
    chance = random.Random(1)
    known = Names(lambda _group, _port: True, lambda _name: None)
    for _round in range(50):
        ranges = []
        for _one in range(chance.randrange(1, 8)):
            first = chance.choice([0, 1, 5, 7, 65535, chance.randrange(65536)])
            ranges.append(PortRange(chance.choice(["tcp", "udp"]), first, min(65535, first + chance.choice([0, 1, 9]))))
        found = matches("outport == @g", ports=of_ports(ranges))
        for protocol in ("tcp", "udp", "sctp"):
            for number in {edge + step for one in ranges for edge in one[1:] for step in (-1, 0, 1)}:
                if 0 <= number <= 65535:
                    packet = Packet("i", "o", 4, "10.0.0.1", "10.0.0.2", protocol, number)
                    meant = any(one[0] == protocol and one[1] <= number <= one[2] for one in ranges)
                    assert any(is_true(one, packet, known) for one in found) == meant, (ranges, protocol, number)
