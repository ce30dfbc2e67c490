# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what is read into a match: OVN's meaning where it is known, and "it can't be told" for all else."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.match import Names, Packet, is_true
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.verdict import AclRow, judge

SETS = {"peers_v4": ["10.0.0.1", "10.2.0.0/16"], "peers_v6": ["fd00::1"], "none": []}
KNOWN = Names(lambda group, port: (group, port) == ("g", "a_web"), SETS.get)
FOUR = Packet("a_client", "a_web", 4, "10.2.3.4", "10.9.0.1", "tcp", 80)
SIX = Packet("a_client", "a_web", 6, "fd00::1", "fd00::9", "udp", 53)


@pytest.mark.parametrize(
    ("match", "four", "six"),
    [
        ("outport == @g && ip", True, True),
        ("inport == @g && ip", False, False),
        ('inport == "a_client"', True, True),
        ("outport == @g && ip4.src == $peers_v4", True, False),
        ("outport == @g && (ip4.src == {$none, $peers_v4} || ip6.src == {$none, $peers_v6})", True, True),
        ("ip4.src == $none", False, False),
        ("ip4.src == $unheard_of", None, False),
        ("ip4.src == {$unheard_of, $peers_v4}", True, False),
        ("ip4.dst == 10.9.0.0/24 && tcp.dst == {79, 80}", True, False),
        ("ip6.dst == fd00::/64 && udp", False, True),
        ("50 <= udp.dst <= 60 || 81 <= tcp.dst <= 90", False, True),
        ("80 < tcp.dst", False, False),
        ("tcp.dst != 81", True, False),
        ("ip4.src != {10.2.0.0/16}", False, False),
        ("ip4.src != 10.3.0.0/16", True, False),
        ("!ip4", False, True),
        ("!(ip4 && tcp)", False, True),
        ("ct.new && !ct.est", True, True),
        ("ip.proto == 6", True, False),
        ("1", True, True),
        ("icmp4 || arp", False, False),
        ("outport == @g && igmp", False, False),
        ("mldv1 || mldv2 || nd_rs || nd_ra", False, False),
        ("ip.dscp == 3", None, None),
        ("ip4 && ip.dscp == 3", None, False),
        ("ip4 || ip.dscp == 3", True, None),
        ("eth.dst[40]", None, None),
        ("outport == @other_group", False, False),
        ("tcp.dst == 80 extra", None, None),
        ("tcp.dst == ", None, None),
        ("(" * 400 + "1" + ")" * 400, None, None),
        ("", None, None),
        ("\u0661", None, None),
    ],
)
def test_matches(match, four, six):
    """Protects each form that ACLs of this collection and of others have, for both IP versions."""
    assert (is_true(match, FOUR, KNOWN), is_true(match, SIX, KNOWN)) == (four, six)


def acl(priority, action, match="ip", tier=0, direction="to-lport", is_after_lb=False, name="x"):
    """An ACL."""
    return AclRow(f"{priority}{action}", direction, is_after_lb, tier, priority, match, action, "Kind", name)


def test_order():
    """Protects OVN's order: tiers, then priorities; pass goes on with the next tier, what nothing decides passes, and
    what can't be told makes a verdict uncertain only where it could change it.
    """

    def said(*acls):
        found = judge(acls, [(True, FOUR)], "to-lport", KNOWN)
        return found.verdict, [one.priority for one in found.by]

    assert said() == ("allowed", [])
    assert said(acl(1, "drop"), acl(2, "allow-related")) == ("allowed", [2])
    assert said(acl(1, "allow-related"), acl(9, "drop", tier=1)) == ("allowed", [1])
    assert said(acl(1, "pass"), acl(9, "drop", tier=1)) == ("denied", [9])
    assert said(acl(1, "pass"), acl(2, "reject", "udp", tier=1)) == ("allowed", [])
    assert said(acl(1, "drop", direction="from-lport")) == ("allowed", [])
    assert said(acl(3, "drop", "ip.dscp == 1"), acl(2, "drop")) == ("denied", [2])
    assert said(acl(3, "drop", "ip.dscp == 1"), acl(2, "allow")) == ("uncertain", [3])
    assert said(acl(3, "drop", "ip.dscp == 1")) == ("uncertain", [3])
    assert said(acl(3, "drop", "ip.dscp == 1"), acl(4, "allow")) == ("allowed", [4])
    assert said(acl(2, "drop"), acl(2, "allow")) == ("uncertain", [2, 2])


def test_before_and_after_load_balancing():
    """Protects the two stages of what a pod sends: each has its own packet and its own ACLs."""
    service = FOUR._replace(destination="10.96.0.1", port=443)
    early = acl(1, "drop", "ip4.dst == 10.96.0.1", direction="from-lport")
    late = acl(1, "drop", "ip4.dst == 10.9.0.1", direction="from-lport", is_after_lb=True)
    wrong = [early._replace(is_after_lb=True), late._replace(is_after_lb=False)]
    packets = [(False, service), (True, FOUR)]
    for found, verdict in (([early], "denied"), ([late], "denied"), (wrong, "allowed")):
        assert judge(found, packets, "from-lport", KNOWN).verdict == verdict
