# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the runtime's configuration: what others add to it, and who else has one."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.cni.conflist import (
    MOST_ADDED,
    MOST_FILES,
    added,
    configuration,
    earlier,
)

OURS = {"type": "ovn-k8s-cni-overlay", "mtu": 1400}
TUNING = {"type": "tuning", "sysctl": {"net.core.somaxconn": "500"}}
MESH = {"type": "istio-cni", "log_level": "info"}


def conflist(*plugins, **more):
    """The node's list with these plugins."""
    return json.dumps({**json.loads(configuration(1400)), "plugins": plugins, **more}, sort_keys=True)


def test_the_runtimes_configuration():
    """Protects the runtime: a valid list (CNI 1.0.0) that names our plugin. One that knows CNI 1.1.0 calls STATUS."""
    content = json.loads(configuration(1400))
    assert content["cniVersions"] == ["1.0.0", "1.1.0"]
    assert (content["cniVersion"], content["name"], content["plugins"]) == ("1.0.0", "ovn-kubernetes", [OURS])
    assert json.loads(configuration(None))["plugins"] == [{"type": "ovn-k8s-cni-overlay"}]


def test_plugins_of_others_stay():
    """Protects a service mesh: pods that begin before it has added its plugin again go around it."""
    meshed = conflist(OURS, MESH)
    assert configuration(1400, meshed) == meshed, "it is not written anew for its spaces and its order"
    assert json.loads(configuration(1300, meshed))["plugins"] == [{**OURS, "mtu": 1300}, MESH]
    between = conflist(TUNING, {**OURS, "mtu": 9}, MESH, OURS)
    assert json.loads(configuration(1400, between))["plugins"] == [TUNING, OURS, MESH]
    assert json.loads(configuration(1400, conflist(MESH, cniVersion="9", x=1))) == json.loads(conflist(OURS, MESH))
    assert added(between) == ["tuning", "istio-cni"]


BROKEN = [
    "{",
    "[]",
    "[" * 100_000,
    '{"plugins": {"type": "x"}}',
    conflist(OURS, 3, None, {}, {"type": 3}, {"type": ""}, {"type": "../x"}, {"type": "a b"}, {"type": "\0"}),
    conflist(OURS, {**MESH, "x": "y" * (1 << 16)}),
]


@pytest.mark.parametrize("current", BROKEN)
def test_what_is_no_plugin_goes(current):
    """Protects new pods from a list that no runtime takes."""
    assert configuration(1400, current) == configuration(1400) and added(current) == []


def test_added_plugins_are_bounded():
    """Protects the runtime from a program that adds itself again and again."""
    assert len(added(configuration(1400, conflist(OURS, *[MESH] * 1000)))) == MOST_ADDED


@pytest.fixture
def folder(tmp_path):
    """The runtime's folder with our file; returns a function that adds one and says what comes first."""
    own = tmp_path / "10-ovn-kubernetes.conflist"
    own.write_text(configuration(1400))

    def add(name, content=""):
        (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
        return [other.describe(str(own)).replace(f"{tmp_path}/", "") for other in earlier(str(own))]

    return add


def test_who_comes_first(folder):
    """Protects users of a host that had another network: its file wins without a word, and pods get that network."""
    assert folder("87-podman.conflist", {"plugins": [{"type": "bridge"}]}) == []
    assert folder("100-crio-bridge.conflist", {"plugins": [{"type": "bridge"}]}) == [], "the order is that of bytes"
    assert folder("05-cilium.conflist.cilium_bak") == folder("README") == []
    last = ", and comes before 10-ovn-kubernetes.conflist"
    calico = {"plugins": [{"type": "calico"}, {"type": "portmap"}]}
    assert folder("10-calico.conflist", calico) == [f"10-calico.conflist has calico, portmap{last}"]
    assert folder("05-flannel.conf", {"type": "flannel"})[0] == f"05-flannel.conf has flannel{last}"
    assert folder("00-\nbroken.json", "{")[0] == f"00-\\nbroken.json can't be read{last}"


def test_who_calls_our_plugin_may_come_first(folder):
    """Protects meta plugins and meshes that keep a file of their own: their pods have the overlay's network."""
    assert folder("02-istio-cni.conflist", conflist(OURS, MESH)) == []
    assert folder("00-multus.conf", {"type": "multus", "delegates": [OURS]}) == []
    path = "/host/etc/cni/net.d/10-ovn-kubernetes.conflist"
    assert folder("00-multus.conf", {"type": "multus-shim", "clusterNetwork": path}) == []
    assert folder("00-multus.conf", {"type": "multus-shim"}) != []
    assert folder("00-multus.conf", {"type": "flannel", "name": "ovn-kubernetes"}) != []


def test_files_that_are_none(folder, tmp_path):
    """Protects the server from files that would hold it up, and the log from a thousand of them."""
    os.mkfifo(tmp_path / "01-pipe.conf")
    (tmp_path / "02-folder.conf").mkdir()
    (tmp_path / "03-link.conf").symlink_to("nowhere")
    assert [line.split()[0] for line in folder("04.conf", "x" * (1 << 17))] == [
        "01-pipe.conf",
        "03-link.conf",
        "04.conf",
    ]
    for number in range(100):
        found = folder(f"05-{number}.conf", {"type": "bridge"})
    assert len(found) == MOST_FILES
    assert earlier(str(tmp_path / "none" / "x")) == []
