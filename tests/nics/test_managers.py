# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects hosts whose NICs a network manager configures: the move outlives a boot, and so does the way back.

There is one host for each manager. Each test looks at all hosts, which go through the same steps at the same time:
booted with bare NICs that their managers configure, both NICs into their bridges, an overlay over them (tunnels on one,
a gateway on the other), a reboot, both back, a reboot.
"""

from __future__ import annotations

import json
import re

import pytest
from lab_hosts import ROOT, lab, on, play, wait

from .managed import (
    DHCP_SERVER,
    MACHINES,
    NAMES,
    SERVE,
    call,
    database,
    each,
    files,
    is_as_before,
    is_in_bridges,
    move,
    restart,
    settled,
    together,
)

# What all hosts do at once counts for the first test that needs it.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def moved(machines):
    """All NICs in their bridges."""
    return move()


@pytest.fixture(scope="module")
def inventory(tmp_path_factory):
    """The hosts as an overlay: the tunnels leave through the static NIC, and host and pods share the leased one."""
    hosts = {name: {"ansible_host": f"10.44.0.{machine.number}"} for name, machine in zip(NAMES, MACHINES)}
    every = {
        "ovn_cluster_subnet": "192.168.0.0/16",
        "ovn_datapath_type": "netdev",
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_common_args": f"-F {ROOT / '.cache/lab/ssh_config'}",
    }
    path = tmp_path_factory.mktemp("managers") / "inventory.yml"
    path.write_text(
        json.dumps(
            {
                "all": {"vars": every},
                "ovn_masters": {"hosts": {NAMES[0]: None}},
                "ovn_nodes": {"hosts": hosts},
                "ovn_gateways": {"hosts": {name: {"ovn_gateway_shared_interface": "eth1"} for name in NAMES}},
            }
        )
    )
    return path


@pytest.fixture(scope="module")
def converged(moved, inventory):
    """The site play has made an overlay over the bridges."""
    return play("site", only=[inventory]).ok()


@pytest.fixture(scope="module")
def booted(converged):
    """Switched off and on with the NICs in their bridges."""
    restart()


@pytest.fixture(scope="module")
def started_again(booted):
    """Open vSwitch was started again, and each manager that is a daemon after it."""

    def start_again(machine):
        lab(
            "exec",
            machine.name,
            "sh",
            "-c",
            (
                "systemctl restart openvswitch-switch; ! systemctl is-active NetworkManager || systemctl restart "
                "NetworkManager"
            ),
        )
        wait(lambda: on(machine.name, "true", check=False).returncode == 0, 30, f"{machine.name} to answer")

    together(start_again)


@pytest.fixture(scope="module")
def back(started_again, inventory):
    """The overlay taken away, and all NICs back."""
    play("remove", "-e", "ovn_remove_confirmed=true", only=[inventory]).ok()
    return move("state=absent")


@pytest.fixture(scope="module")
def booted_again(back):
    """Switched off and on with the NICs back."""
    restart()


@each
def test_bridges_have_what_the_nics_had(moved, machine):
    """Protects addresses, routes, resolvers and leases while the manager learns that the bridges replace the NICs."""
    assert moved[machine.name]["changed"]
    is_in_bridges(machine)
    is_as_before(machine)
    texts, ours = files(machine)
    assert sorted(ours) == sorted(machine.ours)
    assert [text for text, before in zip(texts, machine.seen["files"][0]) if text == before] == []


@each
def test_bridges_have_it_after_a_boot(booted, machine):
    """Protects the host that is unreachable after its next boot."""
    is_as_before(machine)
    is_in_bridges(machine)
    assert on(machine.name, "systemctl list-units --failed --plain --no-legend") == ""


def test_verify_is_green_after_a_boot(booted, inventory):
    """Protects plays on hosts whose uplinks a manager serves: nothing differs from what site has made.

    Nodes reach each other.
    """
    play("verify", only=[inventory]).ok()


@each
def test_bridges_have_it_after_open_vswitch_starts_again(started_again, machine):
    """Protects a host that has lost its bridges, as the userspace datapath's are, and the DHCP client on one.

    It survives NetworkManager's restart too.
    """
    is_as_before(machine)
    is_in_bridges(machine)


def test_nothing_is_left_to_do(started_again):
    """Protects against a plan that is never empty, since a manager writes its files anew at each boot."""
    assert [name for name, answer in move().items() if answer["changed"]] == []


def test_network_manager_waits_for_a_server_that_is_away(started_again):
    """Protects a working bridge that is made while no DHCP server answers: it is not taken down and up until one does.

    Its lease is not given up.
    """
    machine = MACHINES[-1]
    on(DHCP_SERVER, "systemctl stop lab-dhcp")
    # To stop the wrapper alone does not wait for ovs-vswitchd's end.
    lab(
        "exec",
        machine.name,
        "sh",
        "-c",
        "systemctl stop openvswitch-switch ovs-vswitchd; ip link del breth1; systemctl start openvswitch-switch",
    )
    wait(
        lambda: lab("exec", machine.name, "sh", "-c", "systemctl is-active ovn-k8s-host || true") == "active\n",
        60,
        "the bridges",
    )
    shown = wait(
        lambda: re.search("fd55::.*", on(machine.name, "ip -br address show dev breth1")),
        20,
        "the address that is no lease",
    ).string
    assert "10.55." not in shown
    on(DHCP_SERVER, SERVE)
    settled(machine, 60)
    is_as_before(machine)


@each
def test_nics_have_back_what_they_had(back, machine):
    """Protects the way back: the network, the database, and each file byte for byte."""
    assert back[machine.name]["changed"]
    is_as_before(machine)
    assert (files(machine), database(machine)) == (machine.seen["files"], machine.seen["database"])


@each
def test_nics_have_it_after_a_boot(booted_again, machine):
    """Protects against remains that take effect at the next boot only."""
    is_as_before(machine)
    assert on(machine.name, "systemctl list-units --failed --plain --no-legend") == ""


def test_name_servers_that_are_in_no_file_are_refused(booted_again):
    """Protects name servers that networkd was told at run time: its files for a bridge have none of them."""
    name = MACHINES[0].name
    manager = "busctl call org.freedesktop.network1 /org/freedesktop/network1 org.freedesktop.network1.Manager"
    index = on(name, "cat /sys/class/net/eth1/ifindex").strip()
    on(name, f"{manager} SetLinkDNS 'ia(iay)' {index} 1 2 4 10 44 0 1")
    refused = call([name], "nics=eth1", options=["--check"], good=False)[name]["msg"]
    assert "DNS of eth1 was set at run time" in refused
    on(name, f"{manager} RevertLinkDNS i {index}")


@pytest.mark.parametrize(
    ("nic", "setup", "reason", "undo"),
    [
        (
            "far1",
            "nmcli connection add type macvlan ifname far1 con-name far1 dev eth1 mode bridge ipv4.method manual "
            "ipv4.addresses 10.66.0.1/24 "
            "ipv6.method disabled",
            "far1 is a macvlan that NetworkManager makes at boot",
            "nmcli connection delete far1",
        ),
        (
            "eth1",
            "nmcli connection modify leased 802-1x.eap md5 802-1x.identity host 802-1x.password secret",
            "eth1 is authenticated by 802.1X",
            "nmcli connection modify leased remove 802-1x",
        ),
    ],
)
def test_what_network_manager_would_not_bring_back_is_refused(booted_again, nic, setup, reason, undo):
    """Protects a link that would be gone after the next boot, and a NIC that the switch would lock out."""
    name = MACHINES[-1].name
    on(name, setup)
    wait(
        lambda: "(connected)" in on(name, f"nmcli -f GENERAL.STATE device show {nic}"),
        20,
        f"{nic} to be NetworkManager's",
    )
    assert reason in call([name], f"nics={nic}", options=["--check"], good=False)[name]["msg"]
    on(name, undo)
