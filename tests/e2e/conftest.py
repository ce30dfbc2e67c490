# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The lab's hosts, converged by the site play, and pods on them.

The pods are network namespaces on logical ports that the tests make themselves.

The lab is brought up by ``molecule/lab/lab up``; the tests leave it converged as its inventory says.
"""

from __future__ import annotations

import pytest
from lab_hosts import DEMO_PODS, HOSTS, Pod, on, play, remove_pod, wait


@pytest.fixture(scope="session")
def site():
    """The lab as its inventory says, without what a demo has left there."""
    for host in HOSTS:
        wait(lambda host=host: on(host, "true", check=False).returncode == 0, 60, f"ssh to {host}")
    converged = play("site").ok()
    for host, name, _number in DEMO_PODS:
        remove_pod(host, name)
    return converged


@pytest.fixture(scope="module")
def pods(site):
    """One pod on each node."""
    made = [Pod("ovn-node1", "pod1", 101), Pod("ovn-node2", "pod2", 102)]
    yield made
    for pod in made:
        pod.remove()
