# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects network policies, which tell a host from those for whom it forwards by the address that pods see."""

from __future__ import annotations

import ipaddress

import pytest
from lab_hosts import on, subnet_of, wait
from lab_kubernetes import get

HERE = "10.44.0.12"  # ovn-node2, which has no gateway
NODE_PORT = f"{HERE}:30080"


@pytest.fixture
def seen(web):
    """Asks from a host until a pod answers; whom it has seen."""

    def ask(host, address):
        command = f"curl --silent --max-time 3 http://{address}/clientip || :"
        return wait(lambda: on(host, command), 20, "an answer").strip().rsplit(":", 1)[0]

    return ask


def test_the_host_and_those_for_whom_it_forwards(seen):
    """Whoever comes by a node port of a host has the first address of its node's subnet, another host too; the host
    itself has the third one.
    """
    subnet = ipaddress.ip_network(subnet_of("ovn-node2"))
    for _question in range(6):  # of pods at this host and at others
        assert seen("ovn-outside", NODE_PORT) == str(subnet[0])
        assert seen("ovn-node1", NODE_PORT) == str(subnet[0])
        assert seen("ovn-node2", NODE_PORT) == str(subnet[2])
    for pod in get("pods", labelSelector="app=web")["items"]:
        assert seen("ovn-node2", f"{pod['status']['podIP']}:8080") == str(subnet[2])


def test_nobody_is_at_the_address_of_those_for_whom_a_host_forwards(web):
    """Protects the host's programs: it is no address of the host's."""
    first = ipaddress.ip_network(subnet_of("ovn-node2"))[0]
    assert str(first) not in on("ovn-node2", "ip -brief address")
    assert on("ovn-node1", f"ping -c 1 -W 2 {first} > /dev/null || echo nobody") == "nobody\n"
