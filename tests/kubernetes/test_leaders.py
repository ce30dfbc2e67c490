# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The databases' leader dies or hangs while pods are made and deleted."""

from __future__ import annotations

import json
import time

import pytest
from lab_hosts import MASTERS
from lab_kubernetes import get, kubectl
from lab_masters import leader, signal
from lab_running_pods import deployment, settle

NAME, COUNT = "led", 12
TROUBLE = 12  # seconds
KINDS = {
    "nothing": (lambda host: None, lambda host: None),
    "killed": (lambda host: signal(host, "KILL"), lambda host: None),
    "hangs": (lambda host: signal(host, "STOP"), lambda host: signal(host, "CONT")),
}


@pytest.fixture
def scale():
    """Scales a deployment over the hosts; it goes at the end."""
    kubectl("apply", "--filename=-", content=json.dumps(deployment(NAME)))
    yield lambda count: kubectl("scale", "deployment", NAME, f"--replicas={count}")
    kubectl("delete", "deployment", NAME, "--cascade=foreground")


def restarts():
    """How often containers of pods were started again."""
    pods = get("pods")["items"]
    return sum(one["restartCount"] for pod in pods for one in pod["status"].get("containerStatuses", ()))


@pytest.mark.parametrize("what", KINDS)
def test_pods_come_while_the_leader(scale, what, capsys, record_property):
    """Protects pods that come and go while the leader is in trouble: each has one address, is reached from all hosts,
    and none was given up. The first run has no trouble; each prints its seconds."""
    befalls, ends = KINDS[what]
    victim = leader() or MASTERS[0]
    scale(COUNT // 2)
    began = time.monotonic()
    befalls(victim)
    try:
        scale(COUNT)
        time.sleep(TROUBLE)  # the time of trouble
    finally:
        ends(victim)
    settle(f"all pods to be in order ({what})")
    seconds = time.monotonic() - began
    record_property("seconds", round(seconds, 1))
    with capsys.disabled():
        print(f"\n  {COUNT} pods, the leader ({victim}): {what}: {seconds:.1f} s, of which {TROUBLE} s of trouble")
    assert restarts() == 0
    scale(0)
    settle("all pods to be gone")
