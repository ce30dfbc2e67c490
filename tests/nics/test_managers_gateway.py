# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects a NIC that a manager configures by DHCP and a gateway takes for itself: the manager gives it up, for good
and over a boot, and has it again when the gateway goes or fails.

The hosts are those of test_managers. All go through the same steps at the same time.
"""

from __future__ import annotations

import re

import pytest
from lab_hosts import on, wait

from .managed import (
    DHCP_SERVER,
    MACHINES,
    SERVE,
    SERVE_OTHERS,
    database,
    each,
    everything,
    files,
    gateway,
    renewed,
    restart,
    settled,
    stop_serving,
    together,
)

pytestmark = pytest.mark.timeout(900)
TAKEN = ("physical_interface=eth1", "physical_ip=10.55.0.138/24", "cluster_ip_subnet=192.168.0.0/16")
BEGIN_ANEW = (
    "for unit in systemd-networkd NetworkManager networking; do "
    "! systemctl is-active --quiet $unit || systemctl restart $unit; done"
)


@pytest.fixture(scope="module")
def failed(installed):
    """A gateway takes eth1 for itself, and fails at its last step; what the hosts had before."""
    before = {machine.name: everything(machine) for machine in MACHINES}
    # A file that is a mount can be read, and not be replaced.
    file = "/etc/ovn-kubernetes/gateway.json"
    together(
        lambda machine: on(
            machine.name, f"mkdir -p /etc/ovn-kubernetes; echo '{{}}' >{file}; mount --bind {file} {file}"
        )
    )
    answers = gateway(*TAKEN, good=False)
    together(lambda machine: on(machine.name, f"umount {file}; rm {file}"))
    assert all("gateway.json" in answer["msg"] for answer in answers.values()), answers
    return before


@pytest.fixture(scope="module")
def given_up(failed):
    """A gateway has eth1 for itself."""
    return gateway(*TAKEN)


@pytest.fixture(scope="module")
def given_up_and_booted(given_up):
    """Each manager was told to begin anew, and then the hosts were switched off and on."""
    together(lambda machine: on(machine.name, BEGIN_ANEW))
    together(is_given_up)
    restart()


@pytest.fixture(scope="module")
def removed(given_up_and_booted):
    """The gateway is gone. Meanwhile all leases have ended, and the server gives other addresses."""
    stop_serving()
    on(DHCP_SERVER, SERVE_OTHERS)
    yield gateway("state=absent")
    stop_serving()
    on(DHCP_SERVER, SERVE)
    restart()
    for machine in MACHINES:
        settled(machine)


def is_given_up(machine):
    """The NIC is the gateway's, has no address, and no DHCP client works on it."""
    assert on(machine.name, "ovs-vsctl port-to-br eth1").split() == ["breth1"]
    shown = on(machine.name, "ip -4 address show dev eth1; ip -6 address show dev eth1 scope global")
    assert "inet" not in shown, shown
    serves = on(machine.name, f"{machine.serves}; cat /run/systemd/netif/leases/* 2>/dev/null || true")
    assert not re.search(r"eth1 routable|dhclient for eth1|eth1:connect|10\.55\.", serves), serves


@each
def test_a_gateway_that_fails_gives_the_nic_back(failed, machine):
    """Protects a NIC that a gateway was about to take: its manager goes on with it, and renews its lease."""
    settled(machine, look=everything, before=failed[machine.name])
    renewed(machine)


@each
def test_a_gateway_has_a_nic_for_itself(given_up, machine):
    """Protects the external network from a host whose DHCP client puts its address back onto the gateway's NIC."""
    assert given_up[machine.name]["changed"]
    is_given_up(machine)


@each
def test_managers_leave_it_alone_after_a_boot(given_up_and_booted, machine):
    """Protects against a manager that takes the NIC when it begins anew, or with the next boot."""
    state = "systemctl is-active ovn-k8s-host"
    wait(lambda: on(machine.name, state, check=False).stdout.strip() == "active", 60, "the boot's unit")
    is_given_up(machine)


@each
def test_a_lease_is_asked_for_anew_when_the_gateway_goes(removed, machine):
    """Protects the host that has the old address by now: the manager asks for a lease, and none is restored."""
    leased = wait(
        lambda: re.findall(r"inet (10\.55\.[\d.]+)/24", on(machine.name, "ip -4 address show dev eth1")), 90, "a lease"
    )
    (old,) = machine.seen["lease"][0][:1]
    assert old not in leased and all(int(ip.split(".")[-1]) >= 220 for ip in leased), leased
    assert f"fd55::{machine.number}/64" in on(machine.name, "ip -6 address show dev eth1")
    assert (files(machine), database(machine)) == (machine.seen["files"], machine.seen["database"])
    renewed(machine)
