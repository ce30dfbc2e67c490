# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What services promise beside an address, seen by real clients: rows that look right may still lead elsewhere."""

from __future__ import annotations

import json

import pytest
from lab_hosts import on, wait
from lab_kubernetes import GATEWAY, get, kubectl, run_in

OUTSIDE = "10.55.0.254"  # the outside host's address in the gateway's network
HAIRPIN = "169.254.169.5"
EXTERNAL, INGRESS = "198.51.100.77", "198.51.100.78"


@pytest.fixture
def service(web):
    """Makes services before the web pods; they go at the end. A service's cluster address."""
    made = []

    def make(name, selector=None, port=80, target=8080, protocol="TCP", **spec):
        node_port = {"nodePort": spec.pop("node_port")} if "node_port" in spec else {}
        kubectl(
            "apply",
            "--filename=-",
            content=json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {"name": name},
                    "spec": dict(
                        {
                            "selector": dict({"app": "web"}, **(selector or {})),
                            "ports": [dict({"port": port, "targetPort": target, "protocol": protocol}, **node_port)],
                        },
                        **spec,
                    ),
                }
            ),
        )
        made.append(name)
        return get("services", name)["spec"]["clusterIP"]

    yield make
    kubectl("delete", "service", *made)


@pytest.fixture
def mark(web):
    """Gives the label ``chosen`` to one web pod alone."""

    def choose(name):
        kubectl("label", "pod", "--selector=app=web", "chosen-")
        kubectl("label", "pod", name, "chosen=yes")

    yield choose
    kubectl("label", "pod", "--selector=app=web", "chosen-")


def pod_asks(address, what="hostname", pod="client"):
    """One answer to a pod; nothing when none came."""
    done = run_in(pod, "curl", "--silent", "--max-time", "3", f"http://{address}/{what}", check=False)
    return done.stdout if done.returncode == 0 else ""


def outside_asks(address, what="hostname"):
    """One answer to a host that is none of the cluster's; nothing when none came."""
    return on("ovn-outside", f"curl --silent --max-time 3 http://{address}/{what} || :")


def answers(ask, count=15):
    """Who answered so many questions; the first one is waited for."""
    wait(ask, 20, "the first answer")
    return {ask() for _question in range(count)}


def test_a_client_keeps_its_pod(service):
    """Protects sessionAffinity ClientIP, of a pod and of a host outside, each with all pods to choose from."""
    address = service("sticky", sessionAffinity="ClientIP", type="NodePort", node_port=30082)
    assert len(answers(lambda: pod_asks(address))) == 1
    assert len(answers(lambda: outside_asks(f"{GATEWAY}:30082"))) == 1


def test_traffic_that_stays_on_the_host(service, web):
    """Protects internalTrafficPolicy Local: a pod is served by the pods of its own host."""
    address = service("near", internalTrafficPolicy="Local")
    assert answers(lambda: pod_asks(address)) == {name for name, host in web.pods.items() if host == "ovn-node2"}


def test_a_client_from_outside_is_seen_as_itself(service, web):
    """Protects externalTrafficPolicy Local at the gateway: its own pods answer, and they see who asks."""
    service("kept", type="NodePort", externalTrafficPolicy="Local", node_port=30083)
    assert answers(lambda: outside_asks(f"{GATEWAY}:30083")) == {
        name for name, host in web.pods.items() if host == "ovn-node1"
    }
    assert outside_asks(f"{GATEWAY}:30083", "clientip").rsplit(":", 1)[0] == OUTSIDE


def test_addresses_outside(service, web):
    """Protects W11, externalIPs and an outer load balancer's addresses.

    They work for pods, for hosts, and for whoever routes them to a gateway.
    """
    service("outer", type="LoadBalancer", externalIPs=[EXTERNAL])
    kubectl(
        "patch",
        "service",
        "outer",
        "--subresource=status",
        "--type=merge",
        f"--patch={json.dumps({'status': {'loadBalancer': {'ingress': [{'ip': INGRESS}]}}})}",
    )
    on("ovn-outside", f"ip route replace 198.51.100.0/24 via {GATEWAY}")
    try:
        for address in (EXTERNAL, INGRESS):
            assert answers(lambda address=address: pod_asks(address), 4) <= set(web.pods)
            assert answers(lambda address=address: outside_asks(address), 4) <= set(web.pods)
            assert on("ovn-node2", f"curl --silent --show-error --max-time 10 http://{address}/hostname") in web.pods
    finally:
        on("ovn-outside", "ip route del 198.51.100.0/24")


def test_a_pod_reaches_itself(service, web, mark):
    """Protects a pod whose service leads back to it: it sees an address that its answers return to."""
    name = sorted(web.pods)[0]
    mark(name)
    address = service("itself", {"chosen": "yes"})
    assert answers(lambda: pod_asks(address, pod=name), 4) == {name}
    assert pod_asks(address, "clientip", name).rsplit(":", 1)[0] == HAIRPIN


def test_datagrams_go_on_to_the_next_pod(service, web, mark):
    """Protects clients of UDP (F4): one that always sends from the same port does not stay with a removed endpoint."""
    first, second = sorted(web.pods)[:2]
    mark(first)
    address = service("datagrams", {"chosen": "yes"}, port=90, target=8081, protocol="UDP")
    ask = ("sh", "-c", f"echo hostname | nc -u -w 1 -p 5353 {address} 90")
    wait(lambda: run_in("client", *ask, check=False).stdout == first, 20, "an answer of the first pod")
    mark(second)
    wait(lambda: run_in("client", *ask, check=False).stdout == second, 20, "an answer of the second pod")
