# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""kill -9 of the network's own programs at any moment while pods come and go.

What they leave half done is completed or undone by itself.
"""

from __future__ import annotations

import json
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab_hosts import HOSTS, MASTERS, on
from lab_kubernetes import kubectl
from lab_running_pods import deployment, settle, starts_and_writes_nothing

NAME = "killed"
SEED = int(os.environ.get("OVN_KUBERNETES_SEED", random.randrange(10**6)))
MOST, SCALES = 15, 6
UNITS = {"watcher": MASTERS, "server": HOSTS}  # what -> hosts that run it
KILL = {
    "watcher": "systemctl kill --signal=KILL ovn-k8s-watcher",
    "server": "systemctl kill --signal=KILL ovn-k8s-node",
}
# The plugin lives as long as one call: kill whichever call comes next, after a moment.
# Fails when none came in some ten seconds.
KILL_PLUGIN = (
    "end=$(($(date +%s) + 10)); while [ $(date +%s) -lt $end ]; do"
    " pgrep --exact ovn-k8s-cni-ove >/dev/null && sleep {moment:.3f} && "
    "pkill --signal KILL --exact ovn-k8s-cni-ove && exit;"
    " sleep 0.02; done; exit 1"
)


@pytest.fixture
def scale():
    """Scales a deployment over the three hosts; it goes at the end."""
    kubectl("apply", "--filename=-", content=json.dumps(deployment(NAME)))
    yield lambda count: kubectl("scale", "deployment", NAME, f"--replicas={count}")
    kubectl("delete", "deployment", NAME, "--cascade=foreground")


@pytest.mark.timeout(900)
def test_killed_at_any_moment(scale):
    """Protects pods from programs that die (W1, W18, W19, W20).

    Watcher, nodes' servers and plugins are killed at seeded moments while a deployment goes up and down. Then each pod
    has an address of its own and is reached from all hosts, nothing is left over, and the watcher has nothing to write.
    OVN_KUBERNETES_SEED chooses the same victims, pauses and sizes again.
    """
    chance, killed = random.Random(SEED), []

    def kill(what, host, command, count):
        if on(host, command, check=False).returncode == 0:
            killed.append(f"{what} of {host} at {count}")

    def all_kinds():
        return {one.split()[0] for one in killed} == {*UNITS, "plugin"}

    for step in range(4 * SCALES):
        # On a busy machine no call of the plugin may have been met: then some turns more.
        if step >= SCALES and all_kinds():
            break
        count = chance.randint(MOST // 2, MOST) if step % 2 == 0 else chance.randint(0, MOST // 2)
        with ThreadPoolExecutor(1) as beside:
            plugin = beside.submit(
                kill, "plugin", chance.choice(HOSTS), KILL_PLUGIN.format(moment=chance.uniform(0, 0.1)), count
            )
            scale(count)
            for what in chance.sample([*UNITS, chance.choice([*UNITS])], len(UNITS) + 1):
                time.sleep(chance.uniform(0, 1.0))  # the seeded moment
                kill(what, chance.choice(UNITS[what]), KILL[what], count)
            plugin.result()
    scale(MOST)
    text = f"seed {SEED}, killed were {', '.join(killed)}"
    assert all_kinds(), text
    settle(f"all to be in order ({text})")
    assert starts_and_writes_nothing(), text
    scale(0)
    settle(f"all to be gone ({text})")
