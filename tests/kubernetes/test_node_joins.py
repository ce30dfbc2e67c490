# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A node joins a Kubernetes that lives, and leaves it, while pods on the others talk and lose nothing."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml
from lab_hosts import ROOT, lab, on, play, wait
from lab_kubernetes import CLUSTER, INVENTORY, get, kubectl
from lab_running_pods import MASTER, delete, inside, make, northbound, running, sandbox

HOST = "ovn-node3"
# The inventory of the further host lies elsewhere, and all hosts must find the lab's files at the same place.
LAB_CACHE = ("-e", f"lab_cache={ROOT}/.cache/lab")
TALKERS = {"talker1": "ovn-node1", "talker2": "ovn-node2"}
ECHOES = (
    "rm -f /tmp/echoes; systemd-run --unit=echoes --collect --property=KillSignal=SIGINT "
    "--property=StandardOutput=file:/tmp/echoes nsenter --net={netns} ping -i 0.1 {address}"
)


def cluster(*arguments):
    """A command of the lab's Kubernetes."""
    done = subprocess.run([str(CLUSTER), *arguments], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def inventory(tmp_path):
    """Inventories with the further node; it is none of the lab's in the end."""
    more = {"all": {"children": {"ovn_nodes": {"hosts": {HOST: {"ansible_host": "10.44.0.13"}}}}}}
    file = tmp_path / "more.yml"
    file.write_text(yaml.safe_dump(more))
    yield [INVENTORY, file]
    kubectl("delete", "pod", "guest", "--force", "--grace-period=0", "--ignore-not-found")
    delete(*TALKERS)
    lab("down", HOST)
    cluster("leave", HOST)


@pytest.fixture
def talk(inventory):
    """Two pods on other nodes that talk all the time; :returns: a function for the end: (echoes sent, answered)."""
    pods = {name: make(name, node) for name, node in TALKERS.items()}
    addresses = {name: wait(lambda name=name: running(name), 60, f"{name} to run") for name in pods}
    _sandbox, netns = sandbox("talker1", TALKERS["talker1"])
    wait(
        lambda: inside("ovn-node1", netns, f"ping -c 1 -W 1 {addresses['talker2']}", check=False).returncode == 0,
        30,
        "the first echo",
    )
    on("ovn-node1", ECHOES.format(netns=netns, address=addresses["talker2"]))

    def ends():
        on("ovn-node1", "systemctl stop echoes")
        said = on("ovn-node1", "cat /tmp/echoes")
        return tuple(map(int, re.search(r"(\d+) packets transmitted, (\d+) received", said).groups()))

    yield ends
    on("ovn-node1", "systemctl stop echoes", check=False)


def joins(inventory):
    """The host, as it was made, joins: the site run is limited to it. A pod there is reached from the others."""
    lab("up", HOST)
    cluster("join", HOST)
    play("site", *LAB_CACHE, "--limit", HOST, inventory=inventory).ok()
    kubectl("wait", "--for=condition=Ready", f"node/{HOST}", "--timeout=60s")
    make("guest", HOST)
    address = wait(lambda: running("guest"), 60, "the guest to run")
    _sandbox, netns = sandbox("talker2", TALKERS["talker2"])
    wait(lambda: inside("ovn-node2", netns, f"ping -c 1 -W 1 {address}", check=False).returncode == 0, 30, "the guest")


def left_of_it():
    """What the databases have of the node."""
    rows = on(MASTER, f"ovn-nbctl show | grep {HOST} || :; ovn-sbctl show | grep {HOST} || :")
    return [*rows.split(), *(name for name in northbound() if "guest" in name)]


@pytest.mark.timeout(600)
def test_a_node_joins_is_drained_goes_and_is_installed_anew(inventory, talk):
    """Protects the second day of a cluster: a node is added, drained, removed, and added again under its name after it
    was installed anew; at last it dies. Each time its rows and its chassis go, and no echo between others is lost."""
    joins(inventory)
    cluster("drain", HOST)
    removed = play("remove", *LAB_CACHE, "-e", f"ovn_remove_hosts={HOST}", inventory=inventory).ok()
    assert f"Now take {HOST} out of the inventory" in removed.output
    assert left_of_it() == []
    cluster("leave", HOST)
    lab("down", HOST)
    joins(inventory)
    lab("kill", HOST)
    once = ("-e", "ansible_ssh_retries=0")
    removed = play("remove", *LAB_CACHE, *once, "-e", f"ovn_remove_hosts={HOST}", inventory=inventory)
    assert removed.code != 0 and f"- {HOST}: it can't be reached" in removed.output, removed.output[-3000:]
    cluster("leave", HOST)
    kubectl("delete", "pod", "guest", "--force", "--grace-period=0", "--ignore-not-found")  # as its node can't say so
    wait(lambda: left_of_it() == [], 20, "the dead node's rows to go")
    assert HOST not in [node["metadata"]["name"] for node in get("nodes")["items"]]
    sent, answered = talk()
    assert sent > 100 and answered >= sent - 1  # the last one may be under way
