# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the results of the CNI specification: what a runtime remembers of a pod."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.annotation import PodNetwork, PodRoute
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.cni import protocol, result

NETWORK = PodNetwork(
    "0a:58:c0:a8:01:03",
    ("192.168.1.3/24", "fd10::3/64"),
    ("192.168.1.1",),
    (PodRoute("10.96.0.0/16", "192.168.1.1"),),
)


@pytest.mark.parametrize("version", protocol.VERSIONS)
def test_a_result_has_the_version_of_the_request(make_request, version):
    """Protects runtimes, and Multus 3, that know an older version only: they refuse an answer in a newer one, or one
    that lacks what theirs must have (an address's version, up to 0.4.0).
    """
    made = result.success(make_request(version=version), "outer", "52:54:00:00:00:01", NETWORK, 1400)
    assert made["cniVersion"] == version and [("mtu" in one) for one in made["interfaces"]] == [version == "1.1.0"] * 2
    four, six = ({"version": "4"}, {"version": "6"}) if version.startswith("0.") else ({}, {})
    assert made["ips"] == [
        {"address": "192.168.1.3/24", "interface": 1, "gateway": "192.168.1.1", **four},
        {"address": "fd10::3/64", "interface": 1, **six},
    ]
    assert made["routes"] == [{"dst": "0.0.0.0/0", "gw": "192.168.1.1"}, {"dst": "10.96.0.0/16", "gw": "192.168.1.1"}]


@pytest.mark.parametrize(
    ("previous", "words"),
    [
        ({}, "no interface eth0"),
        ({"interfaces": [{"name": "eth0", "sandbox": "/elsewhere"}]}, "no interface eth0 in /run/netns/x"),
        (
            {"interfaces": [{"name": "eth0", "sandbox": "/run/netns/x"}], "ips": [{"address": "192.168.1.3/24"}]},
            "fd10::3/64",
        ),
        (
            {
                "interfaces": [None, {"name": "eth0", "sandbox": "/run/netns/x"}],
                "ips": [{"address": "192.168.1.3/24"}, {"address": "fd10::3/64"}],
            },
            None,
        ),
    ],
)
def test_a_previous_result_that_differs_from_the_network(make_request, previous, words):
    """Protects CHECK: what the runtime remembers is compared with what the pod has."""
    found = result.contradiction(make_request("CHECK", prevResult=previous), NETWORK)
    assert found is None if words is None else words in found
