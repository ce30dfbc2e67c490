# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Pods of the lab's Kubernetes: made, deleted, and checked from outside.

The databases, the hosts and their neighbours tell about them.
"""

from __future__ import annotations

import collections
import json
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor

from lab_hosts import HOSTS, MASTERS, on, on_masters, wait
from lab_kubernetes import get, kubectl

NODE = "ovn-node2"
MASTER = "ovn-master"
WATCHER = "127.0.0.1:9409"
PAUSE = "registry.k8s.io/pause:3.10.1"
NETNS = "k8s.ovn.org/netns"
LEFT = (
    "ip -br link show type veth | grep -oE '^[0-9A-Za-z]{1,6}_[0-9a-f]{8}@' | tr -d @; echo --; "
    "ls /run/ovn-kubernetes/cni-deletions 2>/dev/null || :"
)


def running(name):
    """The pod's address once it is ready, else nothing."""
    return _ready(get("pods", name))


def _ready(pod):
    ready = [one["status"] for one in pod["status"].get("conditions", ()) if one["type"] == "Ready"]
    return pod["status"].get("podIP") if ready == ["True"] and not pod["metadata"].get("deletionTimestamp") else None


def make(name, node=NODE):
    """A pod that only waits, on a node."""
    kubectl(
        "apply",
        "--filename=-",
        content=json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name},
                "spec": {
                    "nodeName": node,
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{"name": "main", "image": PAUSE}],
                },
            }
        ),
    )
    return name


def deployment(name):
    """A deployment of pods that only wait, evenly over the hosts; it has none yet."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "topologySpreadConstraints": [
                        {
                            "maxSkew": 1,
                            "topologyKey": "kubernetes.io/hostname",
                            "whenUnsatisfiable": "DoNotSchedule",
                            "labelSelector": {"matchLabels": labels},
                        }
                    ],
                    "containers": [{"name": "main", "image": PAUSE}],
                },
            },
        },
    }


def delete(*names, limit=120):
    """Delete pods, and wait until they are gone."""
    kubectl("delete", "pod", *names, "--ignore-not-found", "--wait", limit=limit)


def reaches(address):
    """Whether the master's own stack reaches a pod through the overlay."""
    return on(MASTER, f"ping -c 1 -W 2 {address}", check=False).returncode == 0


def interfaces(node=NODE):
    """Name -> (external_ids, ofport) of the pods' interfaces in a node's Open vSwitch."""
    rows = json.loads(on(node, "ovs-vsctl --format json --columns name,external_ids,ofport list Interface"))["data"]
    return {name: (dict(keys[1]), ofport) for name, keys, ofport in rows if "sandbox" in dict(keys[1])}


def ports(node=NODE):
    """iface-ids of the pods' interfaces in a node's Open vSwitch, and how many of them have no link."""
    pods = interfaces(node).values()
    return sorted(keys["iface-id"] for keys, _ofport in pods), sum(
        ofport in (-1, ["set", []]) for _keys, ofport in pods
    )


def left(node=NODE):
    """(the host's ends of the pods' pairs of links, deletions that were written down for a server that is away)."""
    links, _line, deletions = on(node, LEFT).partition("--\n")
    return sorted(links.split()), deletions.split()


def sandbox(name, node=NODE):
    """(ID, path of the network namespace) of the sandbox that a pod has on a node."""
    return next(
        (keys["sandbox"], keys[NETNS])
        for keys, _ofport in interfaces(node).values()
        if keys["iface-id"] == f"default_{name}"
    )


def inside(node, netns, command, check=True, limit=60):
    """A shell command of the node in a pod's network: it needs neither the API server nor a shell in the pod."""
    return on(node, f"nsenter --net={netns} sh -c {shlex.quote(command)}", check, limit)


def figures():
    """Name -> value of the metrics without labels of the watcher that leads; {} when none does."""
    for master in MASTERS:
        lines = on(master, f"curl --silent --max-time 5 http://{WATCHER}/metrics", check=False).stdout.splitlines()
        values = {
            line.split()[0]: float(line.split()[1]) for line in lines if line[:1] not in ("#", "") and "{" not in line
        }
        if values.get("ovn_k8s_watcher_leader") == 1:
            return values
    return {}


def northbound():
    """Name -> address of the pods' ports in the Northbound database."""
    lines = on(
        MASTER,
        (
            "ovn-nbctl --format=csv --data=bare --no-headings --columns=name,addresses find Logical_Switch_Port "
            "external_ids:pod=true"
        ),
    ).splitlines()
    return {line.split(",")[0]: line.split(",")[1].split()[1] for line in lines}


def _disorder_on(host, wanted):
    """Sentences on what a host has that is not as it should be; it reaches the pods of all hosts from one of its own.

    :param wanted: name of the logical port -> (host, address).
    """
    found, (links, deletions) = interfaces(host), left(host)
    names = sorted(keys["iface-id"] for keys, _ofport in found.values())
    mine = sorted(name for name, (node, _address) in wanted.items() if node == host)
    said = [f"{host} has ports of {names} and not of {mine}"] * (names != mine)
    said += [
        f"{host}: port {name} has no link" for name, (_keys, ofport) in found.items() if ofport in (-1, ["set", []])
    ]
    said += [f"{host} has the links {links} and the ports {sorted(found)}"] * (links != sorted(found))
    said += [f"{host}: a deletion was left and not done: {one}" for one in deletions]
    if found and not said:
        addresses = " ".join(address for _node, address in wanted.values())
        from_one = next(iter(found.values()))[0]
        lost = inside(
            host, from_one[NETNS], f"for to in {addresses}; do ping -c 1 -W 2 $to >/dev/null || echo $to; done"
        ).split()
        said += [f"{from_one['iface-id']} on {host} does not reach {', '.join(lost)}"] * bool(lost)
    return said


def disorder(*expected):
    """Sentences on what is not as the API server wants it.

    These are pods that are not ready, an address twice, a row, port or link too many or too few on any host, a pod that
    one of another host does not reach.

    :param expected: names of pods that must be there.
    """
    items = [pod for pod in get("pods", namespace=None)["items"] if not pod["spec"].get("hostNetwork")]
    pods = {
        f"{pod['metadata']['namespace']}_{pod['metadata']['name']}": (pod["spec"].get("nodeName"), _ready(pod))
        for pod in items
    }
    said = [f"there is no pod {name}" for name in expected if f"default_{name}" not in pods]
    said += [
        f"pod {name} on {node} is not ready, or still going"
        for name, (node, address) in pods.items()
        if address is None
    ]
    if said:
        return said
    rows, addresses = northbound(), {name: address for name, (_node, address) in pods.items()}
    if rows != addresses:
        said.append(f"the Northbound database differs in {sorted(set(rows.items()) ^ set(addresses.items()))}")
    said += [
        f"{address} was given to {count} pods"
        for address, count in collections.Counter(addresses.values()).items()
        if count > 1
    ]
    with ThreadPoolExecutor(len(HOSTS)) as workers:
        return sum(workers.map(lambda host: _disorder_on(host, pods), HOSTS), said)


def settle(what, *expected, seconds=120):
    """Wait until all is as the API server wants it; who waited in vain hears what is not."""
    said = []

    def once():
        try:
            said[:] = disorder(*expected)
        except (AssertionError, subprocess.TimeoutExpired, StopIteration) as exc:  # what is looked at may go meanwhile
            said[:] = [repr(exc)]
        return not said

    try:
        wait(once, seconds, what)
    except AssertionError as exc:
        raise AssertionError(f"{exc}: {'; '.join(said)}") from None


def starts_and_writes_nothing():
    """Start the masters' watchers again: whether it found nothing to write, once it had looked at everything."""

    def done():
        now = figures()
        return (
            now
            if now
            and not any(now[f"ovn_k8s_watcher_{name}"] for name in ("queue_depth", "busy", "annotations_under_way"))
            else None
        )

    on_masters("systemctl restart ovn-k8s-watcher", limit=120)
    now = wait(done, 60, "the watcher to be done")
    return not any(now[f"ovn_k8s_watcher_{name}"] for name in ("annotations", "transaction_duration_seconds_count"))
