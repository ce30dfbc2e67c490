# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pods' traffic (W10) by the whole program: a real database, real echoes, and gateways that are addresses of
a network namespace.
"""

from __future__ import annotations

import urllib.request

import pytest
from database_server import wait_for
from network_namespace import ip_batch, namespace
from preloaded import start_anew

GATEWAYS = {"node1": ("100.64.0.2", "100.64.255.253"), "node2": ("100.64.0.3", "100.64.255.252")}


@pytest.fixture
def program(nb, tmp_path):
    """The program between a database with two gateways and their addresses; its log."""
    log = tmp_path / "log"
    with namespace(), log.open("w") as stream:
        answers("add", *GATEWAYS)
        nb.build(gateways=(1, 2))
        arguments = ["--northbound", nb.remote, "--southbound", "unix:/nonexistent", "--listen", "127.0.0.1:9499"]
        process = start_anew("egress_program:main", arguments, stream)
        try:
            yield log
        finally:
            process.kill()
            process.wait(10)


def answers(verb, *names):
    """Gateways answer from now on (``add``), or do not (``del``)."""
    ip_batch([f"address {verb} {address}/32 dev lo" for name in names for address in GATEWAYS[name]])


def state(nb):
    """Gateway -> (whether it has its default route, how many slots its policy has)."""
    content = nb.everything()
    hops = {hop for _prefix, hop in nb.egress()}
    sizes = {
        row["nexthops"]: row["match"].count("/") or 256
        for row in content["Logical_Router_Policy"].values()
        if row["priority"] == 1
    }
    return {name: (hop in hops, sizes.get(hop, 0)) for name, (hop, _probe) in GATEWAYS.items()}


def test_a_gateway_dies_and_returns(nb, program):
    """Protects the share of the gateway that lives, the metrics, and the journal."""
    wait_for(lambda: state(nb) == {"node1": (True, 128), "node2": (True, 128)}, "the first deal")
    answers("del", "node1")
    wait_for(lambda: state(nb) == {"node1": (False, 0), "node2": (True, 256)}, "the dead one's pods to move")
    answers("add", "node1")
    wait_for(lambda: state(nb) == {"node1": (True, 0), "node2": (True, 256)}, "the route to return")
    with urllib.request.urlopen("http://127.0.0.1:9499/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    assert 'ovn_k8s_egress_gateway_departures_total{family="IPv4",gateway="node1"} 1.0' in lines
    assert 'ovn_k8s_egress_gateway_carries_traffic{family="IPv4",gateway="node1"} 1.0' in lines
    assert any(line.startswith("ovn_k8s_egress_echoes_lost_total{") and not line.endswith(" 0.0") for line in lines)
    said = program.read_text()
    assert "gateway node1: it does not answer: its IPv4 default route goes" in said
    assert "gateway node1 answers again: its IPv4 default route returns" in said


def test_all_fall_silent_and_nothing_moves(nb, program):
    """Protects connections against a master that is cut off."""
    whole = {"node1": (True, 128), "node2": (True, 128)}
    wait_for(lambda: state(nb) == whole, "the first deal")
    before = len(nb.transactions())
    answers("del", *GATEWAYS)
    url = "http://127.0.0.1:9499/metrics"

    def lost():
        with urllib.request.urlopen(url, timeout=10) as page:
            text = page.read().decode()
        return [
            float(line.split()[-1]) for line in text.splitlines() if line.startswith("ovn_k8s_egress_echoes_lost_t")
        ]

    wait_for(lambda: min(lost(), default=0) >= 3 * 5, "five rounds without an answer")
    assert state(nb) == whole and len(nb.transactions()) == before
