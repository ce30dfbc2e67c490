# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""NICs in their bridges: what an administrator changes meanwhile stays, and what is lost is made again from what is
kept."""

from __future__ import annotations

import json
import pathlib
import types

import pytest
from database_server import wait_for
from network_namespace import ip

from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible.nics import change_nics
from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.desired import File
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.managers import ifupdown, network_manager, networkd

STANZA = "auto {nic}\niface {nic} inet static\n    address {address}/24\n"
ADDRESSES = {"eth0": "10.44.0.12", "eth1": "10.55.0.12"}


@pytest.fixture
def files(bare, tmp_path, monkeypatch):
    """ifupdown's files of both NICs, each in one of its own; ifupdown itself is not told."""
    folder = tmp_path / "network"
    (folder / "interfaces.d").mkdir(parents=True)
    (folder / "interfaces").write_text("source interfaces.d/*\n")
    for nic, address in ADDRESSES.items():
        (folder / "interfaces.d" / nic).write_text(STANZA.format(nic=nic, address=address))
    (tmp_path / "ifstate").write_text("eth0=eth0\neth1=eth1\n")
    (tmp_path / "ifup").touch()
    for module, name, path in (
        (ifupdown, "INTERFACES", "network/interfaces"),
        (ifupdown, "IFSTATE", "ifstate"),
        (ifupdown, "IFUP", "ifup"),
        (networkd, "STATE_DIRECTORY", "netif"),
        (network_manager, "DEVICES", "devices"),
    ):
        monkeypatch.setattr(module, name, str(tmp_path / path))
    monkeypatch.setattr(ifupdown, "ORDER", File(str(tmp_path / "order.conf"), ifupdown.ORDER.content))
    monkeypatch.setattr(ifupdown.Ifupdown, "notify", lambda _manager, _step: None)
    return folder


def move(bare, *nics, user="request"):
    """Move NICs into their bridges. Return the plan."""
    return bare.host().uplinks(nics, True, user).plan


def give_back(bare, *nics, user="request"):
    """Give NICs back. Return the plan."""
    return bare.host().uplinks(nics, False, user).plan


def kept(nic):
    """Return what is kept of a NIC."""
    return json.loads(pathlib.Path(names.uplink_file(nic)).read_text())


def test_an_edited_file_stays(bare, files):
    """Protects the administrator's changes of the bridge's files: no boot, no second run takes them away, and neither
    does the return."""
    file = files / "interfaces.d" / "eth0"
    before = file.read_text()
    move(bare, "eth0")
    moved = file.read_text()
    assert moved != before
    file.write_text(moved + "# a note\n")
    assert move(bare, "eth0") == []
    bare.host().restore_uplink("eth0")
    move(bare, "eth0", user="node")
    assert file.read_text() == moved + "# a note\n"
    give_back(bare, "eth0", user="node")
    with pytest.raises(
        HostError,
        match=r"interfaces.d/eth0 was changed after eth0 went into breth0.*: move the file aside, run it again",
    ):
        give_back(bare, "eth0")
    assert file.read_text() == moved + "# a note\n" and "10.44.0.12" in ip("address show dev breth0")
    file.rename(files / "moved-away")
    give_back(bare, "eth0")
    assert file.read_text() == before and "10.44.0.12" in ip("address show dev eth0")


def test_a_file_that_is_missing_is_written_again(bare, files, tmp_path):
    """Protects the next boot."""
    move(bare, "eth0")
    (tmp_path / "order.conf").unlink()
    assert [item.describe() for item in move(bare, "eth0")][-1:] == ["ifupdown: configures breth0 instead of eth0"]
    assert (tmp_path / "order.conf").read_text() == ifupdown.ORDER.content


def test_a_bridge_that_is_lost_comes_back_from_what_is_kept(bare, files):
    """Protects the only copy of the NIC's configuration against a repair that finds a NIC which our own files have
    emptied."""
    before = (files / "interfaces.d" / "eth0").read_text()
    move(bare, "eth0")
    known = kept("eth0")
    bare.transact(
        {
            "op": "mutate",
            "table": "Open_vSwitch",
            "where": [],
            "mutations": [["bridges", "delete", ["set", [["uuid", uuid] for uuid in bare.everything()["Bridge"]]]]],
        }
    )
    wait_for(lambda: "breth0" not in ip("link"), "the bridge to go")
    move(bare, "eth0")
    assert kept("eth0") == known
    give_back(bare, "eth0")
    assert (files / "interfaces.d" / "eth0").read_text() == before


@pytest.mark.parametrize("at_once", [True, False], ids=["one call", "two calls"])
def test_two_nics_in_one_file_are_refused(bare, files, at_once):
    """Protects one NIC's configuration against the edit for the other; nothing is touched for the second."""
    file = files / "interfaces"
    file.write_text("".join(STANZA.format(nic=nic, address=address) for nic, address in ADDRESSES.items()))
    for own in ADDRESSES:
        (files / "interfaces.d" / own).unlink()
    if not at_once:
        move(bare, "eth0")
    now = file.read_text()
    with pytest.raises(
        HostError,
        match=r"eth0 and eth1 are both configured in .*/interfaces, .*: give each NIC a file of its own below",
    ):
        move(bare, *(("eth0", "eth1") if at_once else ("eth1",)))
    assert file.read_text() == now and "10.55.0.12" in ip("address show dev eth1")


def test_a_shared_file_goes_with_the_last(bare, files, tmp_path):
    """Protects the boot of the NIC that stays in its bridge: ifupdown still waits for Open vSwitch."""
    order, before = tmp_path / "order.conf", {nic: (files / "interfaces.d" / nic).read_text() for nic in ADDRESSES}
    move(bare, "eth0", "eth1")
    give_back(bare, "eth0")
    assert order.exists() and (files / "interfaces.d" / "eth0").read_text() == before["eth0"]
    give_back(bare, "eth1")
    assert not order.exists() and (files / "interfaces.d" / "eth1").read_text() == before["eth1"]
    move(bare, "eth0", "eth1")
    give_back(bare, "eth1", "eth0")
    assert not order.exists() and {nic: (files / "interfaces.d" / nic).read_text() for nic in ADDRESSES} == before


def test_a_user_of_another_nic_learns_of_the_first(bare, files):
    """Protects a shared gateway that changes its NIC: the role gives the one back that nobody needs any more."""
    move(bare, "eth0", user="gateway")
    params = {
        "nics": ["eth1"],
        "state": "present",
        "used_by": "gateway",
        "rollback_timeout": 30,
        "datapath_type": None,
        "open_vswitch": bare.remote,
        "_phase": "plan",
        "_change_id": None,
    }
    (result,) = change_nics(types.SimpleNamespace(params=params, check_mode=False))
    assert result.facts["others"] == ["eth0"]
    params["used_by"] = "request"
    (result,) = change_nics(types.SimpleNamespace(params=params, check_mode=False))
    assert result.facts["others"] == []


def test_kernel_settings_go_along(bare, files):
    """Protects a router that takes in advertisements, and a host of several networks: the bridge takes packets in as
    the NIC did."""
    sysctl("ipv6/conf/eth0/accept_ra", "2")
    sysctl("ipv4/conf/eth0/arp_ignore", "1")
    default = sysctl("ipv4/conf/default/rp_filter")
    move(bare, "eth0")
    assert (
        sysctl("ipv6/conf/breth0/accept_ra"),
        sysctl("ipv4/conf/breth0/arp_ignore"),
        sysctl("ipv4/conf/breth0/rp_filter"),
    ) == ("2", "1", default)
    sysctl("ipv4/conf/breth0/arp_ignore", "2")
    assert move(bare, "eth0") == []
    assert sysctl("ipv4/conf/breth0/arp_ignore") == "2"
    sysctl("ipv6/conf/breth0/accept_ra", sysctl("ipv6/conf/default/accept_ra"))  # as a boot leaves it
    assert [item.describe() for item in move(bare, "eth0")] == ["sysctl /net/ipv6/conf/breth0/accept_ra: 1 -> 2"]


def sysctl(key, value=None):
    path = pathlib.Path("/proc/sys/net", key)
    if value is not None:
        path.write_text(value)
    return path.read_text().strip()
