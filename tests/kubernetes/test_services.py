# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What the network is there for: a service is reached from everywhere, and each of its pods answers."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab_hosts import HOSTS, on, wait
from lab_kubernetes import get, kubectl, run_in
from lab_running_pods import NODE, inside, sandbox

EARLY = "10.96.200.200"


def test_nodes_are_ready_and_web_pods_run_on_each(web):
    for node in get("nodes")["items"]:
        assert {"type": "Ready", "status": "True"}.items() <= next(
            c for c in node["status"]["conditions"] if c["type"] == "Ready"
        ).items()
    assert set(web.pods.values()) == set(HOSTS)


def test_the_service_from_a_pod(web):
    web.all_answer(web.from_pod)


@pytest.mark.parametrize("host", HOSTS)
def test_the_service_from_a_host(web, host):
    web.all_answer(lambda: web.from_host(host))


def test_the_node_port_from_outside_through_the_gateway(web):
    web.all_answer(web.from_outside)


def test_the_node_port_at_a_host_without_gateway(web):
    """Protects node ports at each node's own address: from outside, and from the host itself."""
    web.all_answer(lambda: web.from_outside("10.44.0.12"))
    assert on("ovn-node2", "curl --silent --show-error --max-time 10 http://10.44.0.12:30080/hostname") in web.pods


def test_pods_reach_each_other_and_the_outside(web):
    for pod in get("pods", labelSelector="app=web")["items"]:
        address = pod["status"]["podIP"]
        assert (
            run_in("client", "curl", "--silent", "--max-time", "3", f"http://{address}:8080/hostname")
            == pod["metadata"]["name"]
        )
    run_in("client", "ping", "-c", "1", "-W", "3", "203.0.113.1")
    for address in ("10.44.0.10", "10.44.0.11", "10.44.0.12"):  # hosts, through the overlay
        run_in("client", "ping", "-c", "1", "-W", "3", address)


def test_who_asks_before_the_service_is_there(web):
    """Protects pods and hosts that connect a moment too early.

    What they send again is balanced as soon as their host knows the service.
    """
    ask = f"curl --silent --show-error --max-time 50 http://{EARLY}/hostname"
    waits = f"ss --no-header --tcp --numeric state syn-sent dst {EARLY}"
    _id, netns = sandbox("client")
    with ThreadPoolExecutor(2) as workers:
        answers = [workers.submit(inside, NODE, netns, ask), workers.submit(on, "ovn-node1", ask)]
        wait(lambda: inside(NODE, netns, waits) and on("ovn-node1", waits), 20, "both to ask")
        kubectl(
            "apply",
            "--filename=-",
            content=json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {"name": "early"},
                    "spec": {
                        "clusterIP": EARLY,
                        "selector": {"app": "web"},
                        "ports": [{"port": 80, "targetPort": 8080}],
                    },
                }
            ),
        )
        try:
            assert {answer.result() for answer in answers} <= set(web.pods)
        finally:
            kubectl("delete", "service", "early")


def test_a_service_without_pods_refuses_at_once(web):
    """Protects callers against waiting: what has no endpoints answers with a reset."""
    kubectl("scale", "deployment/web", "--replicas=0")
    try:
        wait(lambda: not get("pods", labelSelector="app=web")["items"], 60, "all web pods to end")
        # curl ends with 7 when it is refused, and with 28 when nobody answers in time.
        wait(
            lambda: (
                run_in(
                    "client", "curl", "--silent", "--max-time", "3", f"http://{web.address}/", check=False
                ).returncode
                == 7
            ),
            20,
            "a refusal",
        )
    finally:
        kubectl("scale", "deployment/web", "--replicas=6")
        kubectl("rollout", "status", "deployment/web", "--timeout=90s")
        web.read()


def test_a_pod_that_goes_leaves_the_service_and_frees_its_port(web):
    gone = sorted(web.pods)[0]
    node = web.pods[gone]
    kubectl("delete", "pod", gone, "--now")
    wait(
        lambda: on("ovn-master", f"ovn-nbctl --bare --columns=name find Logical_Switch_Port name=default_{gone}") == "",
        30,
        "its logical port to go",
    )
    wait(
        lambda: on(node, f"ovs-vsctl --bare --columns=name find Interface external_ids:iface-id=default_{gone}") == "",
        30,
        "its interface to go",
    )
    kubectl("rollout", "status", "deployment/web", "--timeout=90s")
    web.read()
    assert gone not in web.pods
    assert {web.from_outside() for _request in range(12)} <= set(web.pods)
