# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A site run makes what differs right, and nothing else."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from lab_hosts import HOSTS, Play, network, northbound, on, play

# What is to be done besides the lost row, route and port, in the order in which the play comes to it.
OTHERS = [
    "ovn-central.service: let systemd read its files again",
    "ovn-central.service: restart, since it was started before /etc/default/ovn-central changed",
    "ovn-k8s-host.service: enable",
    "ovn-k8s-egress.service: let systemd read its files again",
    (
        "ovn-k8s-egress.service: restart, since it was started before /usr/local/lib/ovn_kubernetes.pyz and "
        "/etc/systemd/system/ovn-k8s-egress.service changed"
    ),
]


@dataclass
class Repair:
    """Runs of playbooks, and which start times of programs are the same after them.

    :ivar checked: site in check mode.
    :ivar broken, verified: verify, before and after the repair.
    """

    checked: Play
    broken: Play
    run: Play
    verified: Play
    not_restarted: set


@pytest.fixture(scope="module")
def repaired(site):
    """What the playbooks say before, while and after a site run repairs hosts that somebody has changed by hand.

    A file's new time is all that a run leaves which failed between copying a file and restarting its reader.
    """
    on("ovn-master", "ovn-nbctl lr-nat-del GR_ovn-node1 snat 192.168.0.0/16")
    on("ovn-node1", "ip route del 192.168.0.0/16")
    on("ovn-node2", "ovs-vsctl del-port br-int k8s-ovn-node2")
    on("ovn-node2", "systemctl disable ovn-k8s-host")
    on("ovn-master", "sed -i '/OVN_CTL_OPTS/d' /etc/default/ovn-central")
    on("ovn-master", "touch /usr/local/lib/ovn_kubernetes.pyz /etc/systemd/system/ovn-k8s-egress.service")
    started = "systemctl show -p ExecMainStartTimestampMonotonic ovn-k8s-egress ovn-central"
    before = on("ovn-master", started).split()
    with ThreadPoolExecutor(2) as pool:
        checked, broken = pool.map(lambda arguments: play(*arguments), (("site", "--check", "--diff"), ("verify",)))
    repair = play("site").ok()
    after = on("ovn-master", started).split()
    return Repair(checked.ok(), broken, repair, play("verify"), set(before) & set(after))


def test_second_run_changes_nothing(site):
    """Protects: idempotence of the whole site (W6, W21); verify only looks, and is content with it (W26)."""
    before = northbound(), [network(host) for host in HOSTS]
    assert set(play("site").ok().changed.values()) == {0}
    assert (northbound(), [network(host) for host in HOSTS]) == before
    assert set(play("verify").ok().changed.values()) == {0}
    assert (northbound(), [network(host) for host in HOSTS]) == before


def test_exactly_what_was_lost_is_named(repaired):
    """Protects: check mode and diff name a lost row, route and port, and nothing else (W26)."""
    text = " ".join(repaired.checked.plans)
    assert re.search(r"NAT snat-4 of ovn-node1: insert", text)
    assert re.search(r"192\.168\.0\.0/16", text) and re.search(r"Port k8s-ovn-node2: insert", text)
    others = [
        line
        for line in repaired.checked.plans
        if not re.search(r"NAT snat-4 of ovn-node1|192\.168\.0\.0/16|k8s-ovn-node2", line)
    ]
    assert others == OTHERS
    assert "+NAT snat-4 of ovn-node1 external_ip=10.55.0.11" in repaired.checked.output


def test_verify_sees_what_was_lost(repaired):
    """Protects: verify sees it, and what would only fail at the next boot (W26).

    That is another option of the databases, and a service that no boot starts.
    """
    broken = repaired.broken
    assert broken.code != 0 and "ovn-node1 is not as it should be" in broken.output
    assert "packages, programs or services differ" in broken.output
    assert "options or services of OVN central or its programs differ on ovn-master" in broken.output
    assert "ovn-k8s-egress.service: restart, since it was started before" in broken.output


def test_one_run_repairs_it(repaired):
    """Protects: one site run repairs all of it, and verify finds nothing more (W26)."""
    assert {host for host, count in repaired.run.changed.items() if count} == set(HOSTS)
    repaired.verified.ok()


def test_a_program_that_an_earlier_run_did_not_restart_is_restarted(repaired):
    """Protects runs that failed between copying a file and restarting its reader: the next run restarts it."""
    assert repaired.not_restarted == set()
