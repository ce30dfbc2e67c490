# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the words of the CNI specification where no server is needed: what is read of a request, and what an answer holds."""

from __future__ import annotations

import json

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.cni import protocol
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.interface import PodNetwork

ARGS = "K8S_POD_NAME=web;IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_UID=uid-1"
NETWORK = PodNetwork(
    "0a:58:c0:a8:01:03", ("192.168.1.3/24", "fd10::3/64"), ("192.168.1.1",), (("10.96.0.0/16", "192.168.1.1"),)
)


def request(command="ADD", version="1.0.0", **config):
    """A request as the plugin sends it, parsed."""
    environment = {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": "c1",
        "CNI_IFNAME": "eth0",
        "CNI_NETNS": "/run/netns/x",
        "CNI_ARGS": ARGS,
    }
    framed = protocol.pack(environment, json.dumps({"cniVersion": version, "name": "n", **config}).encode())
    length, _sign, payload = framed.partition(b"\n")
    assert int(length) == len(payload)
    return protocol.parse(payload)


def test_what_a_runtime_says():
    """Protects the pod's identity, which runtimes put into CNI_ARGS in any order."""
    made = request()
    assert (made.command, made.attachment, made.netns, made.pod, made.uid) == (
        "ADD",
        ("c1", "eth0"),
        "/run/netns/x",
        "ns/web",
        "uid-1",
    )


@pytest.mark.parametrize("version", protocol.VERSIONS)
def test_an_answer_is_in_the_version_that_was_asked(version):
    """Protects runtimes that know the older version only: they refuse an answer in the newer one."""
    made = protocol.result(request(version=version), "outer", "52:54:00:00:00:01", NETWORK, 1400)
    assert made["cniVersion"] == version and [("mtu" in one) for one in made["interfaces"]] == [version != "1.0.0"] * 2
    assert made["ips"] == [
        {"address": "192.168.1.3/24", "interface": 1, "gateway": "192.168.1.1"},
        {"address": "fd10::3/64", "interface": 1},
    ]
    assert made["routes"] == [{"dst": "0.0.0.0/0", "gw": "192.168.1.1"}, {"dst": "10.96.0.0/16", "gw": "192.168.1.1"}]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0\0",
        b"CNI_COMMAND=ADD",
        b"\xff\xfe\0\0\xff",
        b"CNI_COMMAND=ADD\0\0[1]",
        b'CNI_COMMAND=ADD\0\0{"cniVersion": 1}',
    ],
)
def test_no_request_breaks_the_server(payload):
    """Protects the server: whatever comes over the socket is answered with an error of the specification."""
    with pytest.raises(protocol.CniError):
        protocol.parse(payload)
    assert protocol.error(protocol.CniError(4, "x"), protocol.version_of(payload))["cniVersion"] == "1.0.0"


@pytest.mark.parametrize(
    ("before", "words"),
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
def test_a_result_that_says_something_else(before, words):
    """Protects CHECK: what the runtime remembers is compared with what the pod has."""
    found = protocol.contradiction(request("CHECK", prevResult=before), NETWORK)
    assert found is None if words is None else words in found
