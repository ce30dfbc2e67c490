# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the answers to clients for whom a host forwards: the real ovn-northd leads them to that host, from whatever
pod.
"""

from __future__ import annotations

import pytest
from northd import Northd

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.node_subnet import host_addresses

SUBNETS = {4: ("192.168.1.0/24", "192.168.2.0/24"), 6: ("fd10:128:0:1::/64", "fd10:128:0:2::/64")}
PODS = {4: ("192.168.1.3", "192.168.2.3"), 6: ("fd10:128:0:1::3", "fd10:128:0:2::3")}
HOST_MACS = ("0a:58:c0:a8:01:02", "0a:58:c0:a8:02:02")


@pytest.fixture
def network(nb):
    """Two nodes with a pod each, and a gateway, to which what nobody has would go."""
    nb.build(nodes=(1, 2), gateways=(1,), dual=True)
    made = Northd(nb)
    made.macs = [made.pod(f"pod{node}", node, PODS[4][node - 1], PODS[6][node - 1]) for node in (1, 2)]
    made.routers = [
        made.nbctl("get", "Logical_Router_Port", f"rtos-node{node}", "mac").strip().strip('"') for node in (1, 2)
    ]
    made.sync()
    yield made
    made.remove()


def ports(text):
    """The ports at the end of a packet's way, without those between switches and routers."""
    outputs = [line.split('"')[1] for line in text.splitlines() if "/* output to" in line]
    return [port for port in outputs if not port.startswith(("stor-", "rtos-", "jtor-", "rtoj-"))]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind", ["management", "forwarded"])
def test_answers_come_back_to_the_host(network, version, kind):
    """Protects both ways of a connection that a host makes or forwards, of pods at this host and at another one."""
    here = getattr(host_addresses(SUBNETS[version][0]), kind)
    for node, pod in enumerate(PODS[version]):
        tcp = f"ip{version}.src == {{}} && ip{version}.dst == {{}} && ip.ttl == 64 && tcp"
        to_host, to_pod = (HOST_MACS[0], network.macs[0]) if node == 0 else (network.routers[1], network.routers[0])
        answer = f'inport == "pod{node + 1}" && eth.src == {network.macs[node]} && eth.dst == {to_host} && '
        assert ports(network.trace(f"node{node + 1}", answer + tcp.format(pod, here))) == ["k8s-node1"]
        request = f'inport == "k8s-node1" && eth.src == {HOST_MACS[0]} && eth.dst == {to_pod} && '
        assert ports(network.trace("node1", request + tcp.format(here, pod))) == [f"pod{node + 1}"]


@pytest.mark.parametrize("version", [4, 6])
def test_pods_of_the_host_find_it(network, version):
    """Protects answers of pods in the host's own subnet, who ask for its MAC: OVN answers, since the host itself does
    not have the address of those for whom it forwards.
    """
    pod, mac = PODS[version][0], network.macs[0]
    for ip in host_addresses(SUBNETS[version][0]):
        group = f"ff02::1:ff00:{ip.rpartition(':')[2] or 0}"  # RFC 4291, 2.7.1
        question = (
            f"eth.dst == ff:ff:ff:ff:ff:ff && arp.op == 1 && arp.spa == {pod} && arp.sha == {mac} && arp.tpa == {ip}"
            if version == 4
            else f"eth.dst == 33:33:ff:00:00:00 && ip6.src == {pod} && ip6.dst == {group}"
            f" && ip.ttl == 255 && nd_ns && nd.target == {ip} && nd.sll == {mac}"
        )
        text = network.trace("node1", f'inport == "pod1" && eth.src == {mac} && {question}')
        assert ports(text) == ["pod1"] and HOST_MACS[0] in text
