# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects hosts whose packet filters name a NIC: its rules would not see the bridge that has its packets."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.packet_filters import tables_of_ruleset

IIF, OIF = {"meta": {"key": "iifname"}}, {"meta": {"key": "oif"}}


def entry(kind, table="filter", **content):
    """Return the answer of nftables about one thing."""
    return {"nftables": [{"metainfo": {}}, {kind: {"family": "inet", "table": table, **content}}]}


def rule(left, right, **more):
    """Return the answer about a rule that compares two values."""
    return entry(
        "rule", chain="c", expr=[{"match": {"op": "==", "left": left, "right": right}}, {"accept": None}], **more
    )


NAMED = {
    "name": rule(IIF, "eth0"),
    "index": rule(OIF, "eth0"),
    "set of names": rule(IIF, {"set": ["lo", "eth0"]}),
    "pattern": rule(IIF, "eth*"),
    "verdict map": entry(
        "rule", chain="c", expr=[{"vmap": {"key": IIF, "data": {"set": [["eth0", {"jump": {"target": "x"}}]]}}}]
    ),
    "named set": entry("set", name="s", type="ifname", elem=["eth0"]),
    "named set with timeouts": entry("set", name="s", type="ifname", elem=[{"elem": {"val": "eth0", "timeout": 5}}]),
    "concatenation": entry("set", name="s", type=["ifname", "ipv4_addr"], elem=[{"concat": ["eth0", "10.0.0.1"]}]),
    "map": entry("map", name="m", type="ifname", map="verdict", elem=[["eth0", {"accept": None}]]),
    "flow table": entry("flowtable", name="f", hook="ingress", prio=0, dev=["eth0", "eth1"]),
}
OTHERS = {
    "another link": rule(IIF, "eth01"),
    "another value": rule({"meta": {"key": "cgroup"}}, "eth0"),
    "a comment": rule(IIF, "lo", comment="eth0"),
    "another set": entry("set", name="s", type="ipv4_addr", elem=["eth0"]),
    "our own table": rule(IIF, "eth0", table="ovn_kubernetes"),
    "a verdict": entry("rule", chain="c", expr=[{"jump": {"target": "eth0"}}]),
}


@pytest.mark.parametrize("case", NAMED)
def test_what_names_a_link(case):
    """Protects each way in which nftables can name a link."""
    (table,) = tables_of_ruleset(NAMED[case])
    assert table.names("eth0") and not table.names("breth0")
    assert table.name == "nftables table inet filter"


@pytest.mark.parametrize("case", OTHERS)
def test_what_does_not(case):
    """Protects moves from rules about something else."""
    assert not any(table.names("eth0") for table in tables_of_ruleset(OTHERS[case]))


@pytest.mark.parametrize("devices", ['device "eth0"', 'devices = { "eth1", "eth0" }'])
def test_filters_at_ingress(devices):
    """Protects filters before the host's own stack: the userspace datapath takes packets before them."""
    chains = f"table netdev own {{\n\tchain c {{\n\t\ttype filter hook ingress {devices} priority 0;\n\t}}\n}}"
    (table,) = tables_of_ruleset(
        {"nftables": [{"chain": {"family": "netdev", "table": "own", "name": "c", "hook": "ingress"}}]}, chains
    )
    assert "eth0" in table.ingress
    assert tables_of_ruleset({}, chains.replace("own", "ovn_kubernetes")) == []
