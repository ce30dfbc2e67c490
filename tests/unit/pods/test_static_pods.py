# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects static pods that run while their copies at the API server are away."""

from __future__ import annotations

from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.annotation import PodAnnotations
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.model import Pod
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.static_pods import MOST, GoneStaticPods


def test_copies_that_somebody_makes_push_out_none_that_runs():
    """Protects the port of a static pod from somebody who makes and deletes very many copies of others; memory stays
    bounded.
    """
    gone = GoneStaticPods()

    def add(name):
        return gone.add(Pod("ns", name, "u", "node1", PodAnnotations(), static_uid="u"), lambda key: key == "ns/real")

    assert not [one for number in range(MOST - 1) for one in add("real" if number == 0 else f"p{number}")]
    assert [add(name) for name in ("x", "y", "z")] == [[], ["ns/p1"], ["ns/p2"]]
    assert "ns/real" in gone and "ns/x" in gone and len(gone.pods()) == MOST
