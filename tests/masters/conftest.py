# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Three masters on the lab's hosts, converged by the site play, and two pods that are there all the time."""

from __future__ import annotations

import time

import pytest
from lab_hosts import DEMO_PODS, HOSTS, Pod, on, remove_pod, wait
from lab_masters import MASTERS, SWITCH, Watched, converge, mend, whole

# Two processors under Ansible's modules lose single packets of the userspace datapath, also where nothing changes.
MAY_LOSE_IN_A_ROW = 2
MAY_LOSE_MORE = 0.005  # of the packets


@pytest.fixture(scope="session")
def site():
    """The lab with three masters, without what a demo has left there."""
    for host in HOSTS:
        wait(lambda host=host: on(host, "true", check=False).returncode == 0, 60, f"ssh to {host}")
        mend(host)
    converged = converge("site").ok()
    for host, name, _number in DEMO_PODS:
        remove_pod(host, name)
    whole()
    yield converged
    on(MASTERS[0], f"ovn-nbctl --if-exists ls-del {SWITCH}")


@pytest.fixture(scope="session")
def pods(site):
    """One pod on each of two nodes, which reach each other."""
    made = [Pod("ovn-node1", "pod1", 101), Pod("ovn-node2", "pod2", 102)]
    made[0].reaches(made[1].ip)
    yield made
    for pod in made:
        pod.remove()


@pytest.fixture
def tell(capsys, record_property):
    """Prints a measurement, past pytest's capture."""

    def print_it(what, text):
        record_property(what, text)
        with capsys.disabled():
            print(f"\n  {what}: {text}", flush=True)

    return print_it


@pytest.fixture
def change(pods, tell):
    """Does something while the pods ping, by default a site run; then only looks for as long, and compares."""

    def run(what, *arguments, do=lambda *given, **more: converge("site", *given, **more).ok(), **options):
        with Watched(pods) as watched:
            result = do(*arguments, **options)
        with Watched(pods) as control:
            until = time.monotonic() + watched.seconds
            while time.monotonic() < until:
                converge("verify")
        tell(
            what,
            f"{watched.seconds:.0f} s, pings lost {watched.lost} of {watched.sent}, {watched.longest} in a row, "
            f"in the control run {control.lost} of {control.sent}, {control.longest} in a row",
        )
        assert watched.longest <= max(control.longest, MAY_LOSE_IN_A_ROW)
        assert watched.lost / watched.sent <= control.lost / control.sent + MAY_LOSE_MORE
        return result

    return run
