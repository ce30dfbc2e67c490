# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects a NIC that only the gateway uses, with a real Open vSwitch and kernel: the same is refused as for a NIC that
host and pods share, its network manager gives it up, and the NIC gets back configuration only."""

from __future__ import annotations

import json
import pathlib
import subprocess

import pytest
from kernel_links import pair, snapshot
from network_namespace import ip, ip_batch
from vswitch import Vswitch

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.links import link_index
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.managers import networkd, networkd_files

SETTINGS = {"nic": "eth1", "datapath_type": "netdev"}
STATIC = "address add 10.55.0.12/24 dev eth1"
LEASE = "address add 10.55.0.200/24 dev eth1 valid_lft 600 preferred_lft 600"


@pytest.fixture
def vswitch(monkeypatch):
    """A host with a NIC."""
    pair("eth1")
    server = Vswitch()
    server.keep_here(monkeypatch.setattr)
    yield server
    server.remove()


@pytest.fixture
def manager(tmp_path, monkeypatch):
    """systemd-networkd configures the NIC by files, and tells what it is told."""
    told = []
    monkeypatch.setattr(networkd.Networkd, "notify", lambda self, step: None)  # of NICs that it does not configure
    monkeypatch.setattr(networkd, "STATE_DIRECTORY", str(tmp_path / "netif"))
    monkeypatch.setattr(networkd_files, "DIRECTORY", str(tmp_path / "network"))
    monkeypatch.setattr(
        networkd.Networkd, "notify_alone", lambda self, step: told.append("leave" if step.to_bridge else "configure")
    )
    (tmp_path / "network").mkdir()
    (tmp_path / "netif" / "links").mkdir(parents=True)
    file = tmp_path / "network" / "20-leased.network"
    file.write_text("[Match]\nName=eth1\n[Network]\nDHCP=ipv4\n", encoding="utf-8")
    (tmp_path / "netif" / "state").write_text("", encoding="utf-8")
    index = link_index("eth1")
    (tmp_path / "netif" / "links" / str(index)).write_text(f"NETWORK_FILE={file}\n", encoding="utf-8")
    return told


def shown():
    return ip("-br address show dev eth1").split()[2:]


REFUSED = {
    "macvlan": ("ip link add link eth1 name copy type macvlan", r"copy \(macvlan\) is a link on top of eth1"),
    "tunnel": (
        "ip link add vx7 type vxlan id 7 dev eth1 remote 192.0.2.7 dstport 4789",
        r"vx7 \(vxlan\) is a link on top of eth1",
    ),
    "port": ("ip link add br7 type bridge; ip link set eth1 master br7", "eth1 is part of the bridge br7"),
    "tun": ("ip link delete eth1; ip tuntap add eth1 mode tun", r"eth1 \(tun\) has no Ethernet frames"),
    "bridge": ("ip link delete eth1; ip link add eth1 type bridge", "eth1 is a bridge itself"),
    "bridge's name": ("ip link add breth1 type bridge", "the bridge's name breth1 is in use already"),
    "shaping": ("tc qdisc add dev eth1 root tbf rate 9mbit burst 32k latency 1s", "queueing discipline tbf of eth1"),
    "lease": (f"ip {LEASE}", "10.55.0.200/24 on eth1 is leased, and who renews it is not known"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_same_is_refused_as_for_a_shared_nic(vswitch, case):
    """Protects hosts that would be cut off: both kinds of gateway refuse the same, before anything is touched."""
    setup, reason = REFUSED[case]
    subprocess.run(setup, shell=True, check=True, timeout=20)
    before = shown(), vswitch.rows("Bridge")
    for change in (
        lambda: vswitch.host().gateway(SETTINGS),
        lambda: vswitch.host().uplinks(["eth1"], True, "gateway", "netdev"),
        lambda: vswitch.host().uplinks(["eth1"], True, "node", "netdev"),
    ):
        with pytest.raises(HostError, match=reason):
            change()
    assert (shown(), vswitch.rows("Bridge")) == before and not vswitch.kept.exists()


def test_the_other_kind_of_gateway_on_the_same_nic(vswitch):
    """Protects who changes a gateway's kind with the modules alone: each is refused with what comes before, which is
    not to take the NIC out of its bridge by hand, and these steps lead from one kind to the other and back."""
    ip_batch([STATIC])
    host = vswitch.host()
    host.gateway(SETTINGS)
    alone = "^eth1 is the gateway's alone: .*first .ovn_gateway with state: absent and part: host., then run it again$"
    for user in ("request", "gateway"):
        with pytest.raises(HostError, match=alone):
            host.uplinks(["eth1"], True, user, "netdev")
    host.gateway(None)
    assert shown() == ["10.55.0.12/24"]
    host.uplinks(["eth1"], True, "gateway", "netdev")
    host.gateway({"nic": None, "bridge": "breth1", "families": [4]})
    shared = (
        r"^eth1 is in breth1, where the host uses it too .the shared gateway uses it .*: give it back first "
        r".ovn_gateway with state: absent and part: host, then nics_to_bridge with state: absent and used_by: gateway.,"
    )
    with pytest.raises(HostError, match=shared):
        host.gateway(SETTINGS)
    host.gateway(None)
    host.uplinks(["eth1"], False, "gateway")
    assert shown() == ["10.55.0.12/24"] and vswitch.rows("Bridge") == []
    host.gateway(SETTINGS)
    assert [row["name"] for row in vswitch.rows("Bridge")] == ["breth1"] and shown() == []


def test_a_link_on_top_is_refused_at_a_boot_too(vswitch):
    """Protects a host that an earlier version has cut off: what its boot has set up stays."""
    vswitch.host().gateway(SETTINGS)
    pathlib.Path(names.gateway_nic_file("eth1")).unlink()
    subprocess.run("nft flush ruleset", shell=True, check=True, timeout=20)
    ip_batch([STATIC, "link add link eth1 name copy type macvlan", "address add 192.0.2.9/24 dev copy"])
    with pytest.raises(HostError, match=r"copy \(macvlan\) is a link on top of eth1"):
        vswitch.host().gateway(SETTINGS, accepted=True)
    assert shown() == ["10.55.0.12/24"]
    assert subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True, timeout=20).stdout == b""


def test_what_open_vswitch_has_at_its_port_refuses_no_upgrade(vswitch):
    """Protects gateways of an earlier version: Open vSwitch adds a queueing discipline for offloads, which is not lost
    when the NIC stays where it is."""
    vswitch.host().gateway(SETTINGS)
    pathlib.Path(names.gateway_nic_file("eth1")).unlink()
    subprocess.run("tc qdisc add dev eth1 ingress", shell=True, check=True, timeout=20)
    assert [one.describe() for one in vswitch.host().gateway(SETTINGS).plan if "eth1.gateway" in one.describe()]
    assert vswitch.host().gateway(SETTINGS).plan == []


def test_the_manager_gives_the_nic_up_and_asks_for_its_lease_again(vswitch, manager, tmp_path):
    """Protects the external network against a DHCP client that puts the host's address back, and another host against
    an address whose lease has ended: it is asked for, and not restored."""
    ip_batch([STATIC, LEASE, "route add 198.51.100.0/24 via 10.55.0.12 dev eth1"])
    files = sorted((tmp_path / "network").iterdir())
    plan = [item.describe() for item in vswitch.host().gateway(SETTINGS).plan]
    assert "systemd-networkd: leaves eth1 alone" in plan and manager == ["leave"]
    assert shown() == []
    texts = [file.read_text(encoding="utf-8") for file in sorted((tmp_path / "network").glob("00-*"))]
    assert len(texts) == 2 and all("DHCP=no" in text or "Unmanaged=yes" in text for text in texts)
    assert vswitch.host().gateway(SETTINGS).plan == [] and vswitch.host().gateway(SETTINGS, accepted=True).plan == []
    assert manager == ["leave"]
    back = [item.describe() for item in vswitch.host().gateway(None).plan]
    assert back.index("Bridge breth1: delete") < back.index("systemd-networkd: configures eth1")
    assert manager == ["leave", "configure"]
    assert shown() == ["10.55.0.12/24"] and "198.51.100.0/24" in ip("route")
    assert sorted((tmp_path / "network").iterdir()) == files
    assert vswitch.host().gateway(None).plan == []


def test_a_change_that_fails_gives_the_nic_back_at_once(vswitch, manager, tmp_path):
    """Protects the host against half a change: a lease that runs is still the host's, and its client goes on."""
    ip_batch([STATIC, LEASE])
    before = snapshot("eth1")
    vswitch.kept.mkdir()
    (vswitch.kept / "gateway.json").mkdir()
    with pytest.raises(HostError):
        vswitch.host().gateway(SETTINGS)
    assert snapshot("eth1") == before and vswitch.rows("Bridge") == []
    assert manager in ([], ["leave", "configure"])
    assert [file.name for file in (tmp_path / "network").iterdir()] == ["20-leased.network"]


def test_a_manager_that_fails_at_the_end_is_told_by_the_next_run(vswitch, manager, monkeypatch):
    """Protects a NIC that would be left without its manager: what is kept of it stays until all is done."""
    ip_batch([STATIC, LEASE])
    vswitch.host().gateway(SETTINGS)

    def fail(self, step):
        raise HostError("systemd-networkd does not answer")

    with monkeypatch.context() as broken:
        broken.setattr(networkd.Networkd, "notify_alone", fail)
        with pytest.raises(HostError, match=r"does not answer.*; the rest was done: run it again"):
            vswitch.host().gateway(None)
    assert vswitch.rows("Bridge") == [] and shown() == []
    vswitch.host().gateway(None)
    assert manager == ["leave", "configure"] and shown() == ["10.55.0.12/24"]
    assert vswitch.host().gateway(None).plan == []


def test_another_nic_takes_its_place(vswitch, manager):
    """Protects the first NIC, which its manager has again when the gateway gets another one."""
    ip(STATIC)
    pair("eth2")
    vswitch.host().gateway(SETTINGS)
    vswitch.host().gateway({**SETTINGS, "nic": "eth2"})
    assert manager == ["leave", "configure"] and shown() == ["10.55.0.12/24"]
    assert [row["name"] for row in vswitch.rows("Bridge")] == ["breth2"]
    vswitch.host().gateway(None)
    assert vswitch.rows("Bridge") == []


def test_addresses_of_programs_are_not_given_back(vswitch):
    """Protects the host that has keepalived's address by then."""
    ip_batch([STATIC, "address add 10.55.0.100/32 dev eth1 label eth1:vip"])
    vswitch.host().gateway(SETTINGS)
    vswitch.host().gateway(None)
    assert shown() == ["10.55.0.12/24"]


def test_a_lease_that_an_earlier_version_has_kept_is_not_given_back(vswitch):
    """Protects against a duplicate address after an upgrade: the earlier version kept leases in the bridge's row."""
    ip(STATIC)
    vswitch.host().gateway(SETTINGS)
    pathlib.Path(names.gateway_nic_file("eth1")).unlink()
    (row,) = vswitch.rows("Bridge")
    keys = dict(row["external_ids"][1])
    kept = json.loads(keys[names.NIC_BEFORE_KEY])
    (own,) = kept["addresses"]
    kept["addresses"].append({**own, "cidr": "10.55.0.200/24", "valid": 600, "preferred": 600})
    keys[names.NIC_BEFORE_KEY] = json.dumps(kept)
    vswitch.transact(
        {"op": "update", "table": "Bridge", "where": [], "row": {"external_ids": ["map", list(keys.items())]}}
    )
    vswitch.host().gateway(None)
    assert shown() == ["10.55.0.12/24"]
