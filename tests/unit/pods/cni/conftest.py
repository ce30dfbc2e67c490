# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Requests of the CNI plugin."""

from __future__ import annotations

import json

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.cni import protocol

ARGS = "K8S_POD_NAME=web;IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_UID=uid-1"


@pytest.fixture
def make_request():
    """Make a request as the plugin sends it, parsed."""

    def make(command="ADD", version="1.0.0", **config):
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

    return make
