# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects a host whose way to the controller nobody can see: its first routes into the overlay are rolled back unless
the controller still reaches it."""

from __future__ import annotations

import contextlib
import json
import subprocess

import pytest

from .conftest import HOST, call, inside, restart

ADMINISTRATOR, SHOWN = "192.168.7.1", "198.51.100.7"
NODE = {
    "part": "host",
    "node_name": HOST,
    "cluster_ip_subnet": ["192.168.0.0/16"],
    "minion_switch_subnet": ["192.168.9.0/24"],
    "southbound": "tcp:10.44.0.10:6642",
    "encap_ip": "10.44.0.19",
    "datapath_type": "netdev",
    "move_underlay": False,
    "routes": ["10.96.0.0/16"],
}
# As a VPN's server has it: what a program sees is not what the packets outside are for.
HIDDEN = f"""nft -f - <<NFT
table ip hidden {{
    chain input {{
        type nat hook input priority 100
        ip saddr {ADMINISTRATOR} snat to {SHOWN}
    }}
}}
NFT"""


@pytest.fixture(scope="module")
def booted(machine, furnished):
    """The host as a boot leaves it; each test leaves it so."""
    restart()
    furnished.clear()


@pytest.fixture
def administrator(booted):
    """The controller's address in the pods' network, which the host's programs do not see."""
    address = f"{ADMINISTRATOR}/32"
    subprocess.run(["ip", "address", "add", address, "dev", "olab-under"], check=True, timeout=10)
    inside(HIDDEN)
    yield ADMINISTRATOR
    with contextlib.suppress(subprocess.CalledProcessError):
        inside("nft delete table ip hidden")
    subprocess.run(["ip", "address", "delete", address, "dev", "olab-under"], check=False, timeout=10)
    assert call("ovn_minion_init", part="host", node_name=HOST, state="absent").good


def routes():
    """What leads into the overlay, and whether the host would do it again at a boot."""
    found = [route["dst"] for route in json.loads(inside("ip -j route")) if route["dev"].startswith("k8s-")]
    return sorted(found), inside("ls /etc/ovn-kubernetes/node.json", check=False) != ""


def test_a_controller_that_the_routes_would_cut_off(administrator):
    """Protects the host: it is reached again by itself, and has nothing that a boot would bring back."""
    cut = call("ovn_minion_init", source=administrator, **NODE)
    assert not cut.good and "rolled back" in cut.answer["msg"], cut.output
    assert "needs a part of 192.168.0.0/16, 10.96.0.0/16: choose networks that are free" in cut.answer["msg"]
    assert routes() == ([], False)
    assert call("ovn_minion_init", source=administrator, check=True, **NODE).good, "the host is not reached"


def test_a_controller_that_still_reaches_the_host(administrator):
    """Protects everybody else: one task, and the second run asks nobody."""
    first = call("ovn_minion_init", **NODE)
    assert first.good and first.answer["changed"], first.output
    assert routes() == (["10.96.0.0/16", "192.168.0.0/16", "192.168.9.0/24"], True)
    again = call("ovn_minion_init", **NODE)
    assert again.good and not again.answer["changed"] and again.plan == []


def test_a_controller_that_the_host_sees(booted):
    """Protects an administrator in the pods' network: refused before anything is changed."""
    subprocess.run(["ip", "address", "add", f"{ADMINISTRATOR}/32", "dev", "olab-under"], check=True, timeout=10)
    try:
        seen = call("ovn_minion_init", source=ADMINISTRATOR, **NODE)
        assert not seen.good and seen.answer["msg"] == (
            f"cluster_ip_subnet 192.168.0.0/16 overlaps {ADMINISTRATOR}, from which this session comes (through eth0): "
            "choose a network that nothing else uses"
        ), seen.output
        assert routes() == ([], False)
    finally:
        subprocess.run(["ip", "address", "delete", f"{ADMINISTRATOR}/32", "dev", "olab-under"], check=True, timeout=10)
