# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What somebody breaks by hand: verify names it, a site run mends it, and the next one changes nothing.

What is broken at once shares its runs of playbooks, each of which takes long.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from lab_hosts import HOSTS, Play, at_once, network, northbound, on, play, subnet_of

# What is to be done besides the lost row, route and port, in the order in which the play comes to it.
OTHERS = [
    "file /etc/default/ovn-central: change",
    "ovn-northd.service: let systemd read its files again",
    "ovn-northd.service: restart, since it was started before /etc/default/ovn-central changed",
    "ovn-k8s-host.service: enable",
    "ovn-k8s-egress.service: let systemd read its files again",
    (
        "ovn-k8s-egress.service: restart, since it was started before /usr/local/lib/ovn_kubernetes.pyz and "
        "/etc/systemd/system/ovn-k8s-egress.service changed"
    ),
]
SNAT = "NAT snat 192.168.0.0/16 to 10.55.0.11 on GR_ovn-node1 (pods to the outside through gateway ovn-node1)"
UNIT = "/etc/systemd/system/ovn-k8s-host.service"

# (host, command, host of the row, what verify says there).
LOSSES = (
    ("ovn-master", "ovn-nbctl lr-nat-del GR_ovn-node1 snat 192.168.0.0/16", "ovn-node1", f"{SNAT} is missing"),
    (
        "ovn-node1",
        "ip route del 192.168.0.0/16",
        "ovn-node1",
        "route 192.168.0.0/16 via {router} dev k8s-ovn-node1 is missing",
    ),
    ("ovn-node2", "ovs-vsctl del-port br-int k8s-ovn-node2", "ovn-node2", "Port k8s-ovn-node2 is missing"),
    (
        "ovn-node2",
        "systemctl disable ovn-k8s-host",
        "ovn-node2",
        "ovn-k8s-host.service is not as it should be: enable",
    ),
    (
        "ovn-master",
        "sed -i '/OVN_CTL_OPTS/d' /etc/default/ovn-central",
        "ovn-master",
        "file /etc/default/ovn-central lacks the options of the overlay",
    ),
    (
        "ovn-master",
        "touch /usr/local/lib/ovn_kubernetes.pyz /etc/systemd/system/ovn-k8s-egress.service",
        "ovn-master",
        "ovn-k8s-egress.service is not as it should be: let systemd read its files again; "
        "restart, since it was started before",
    ),
)
# Only after check mode was seen to name exactly the losses above.
MORE_LOSSES = (
    (
        "ovn-node2",
        "systemctl stop ovn-controller",
        "ovn-node2",
        "ovn-controller.service does not run: inactive (dead)",
    ),
    ("ovn-master", "systemctl stop ovn-northd", "ovn-master", "ovn-northd.service does not run: inactive (dead)"),
    (
        "ovn-node1",
        "rm /usr/local/lib/ovn_kubernetes.pyz",
        "ovn-node1",
        "file /usr/local/lib/ovn_kubernetes.pyz is missing",
    ),
    (
        "ovn-node2",
        "chmod 600 /usr/local/lib/ovn_kubernetes.pyz",
        "ovn-node2",
        "file /usr/local/lib/ovn_kubernetes.pyz has mode 0600, not 0755",
    ),
    (
        "ovn-node1",
        f"echo '# by hand' >>{UNIT}",
        "ovn-node1",
        "ovn-k8s-host.service is not as it should be: write the unit",
    ),
    # No row of its own: the archive is missing too, and brings its commands.
    ("ovn-node1", "rm /usr/local/bin/ovn-k8s-overlay", "ovn-node1", ""),
    ("ovn-node1", "ovs-vsctl del-br breth1", "ovn-node1", "Bridge breth1 is missing"),
    ("ovn-master", "ovn-nbctl ls-del ovn-node2", "ovn-node2", "Logical_Switch ovn-node2 is missing"),
    ("ovn-master", "ovn-nbctl lrp-del rtos-ovn-node1", "ovn-node1", "Logical_Router_Port rtos-ovn-node1 is missing"),
    (
        "ovn-node2",
        "sysctl -w net.ipv4.ip_forward=0",
        "ovn-node2",
        "sysctl net.ipv4.ip_forward differs: 0 -> 1",
    ),
)


@dataclass
class Repair:
    """Runs of playbooks, and which start times of programs are the same after them.

    :ivar checked: site in check mode.
    :ivar broken, verified: verify, before and after the repair.
    :ivar gateway: verify of the gateways alone, after it.
    :ivar second: the site run after it.
    :ivar subnets: of ovn-node2, before and after.
    """

    checked: Play
    broken: Play
    run: Play
    verified: Play
    gateway: Play
    second: Play
    not_restarted: set
    subnets: tuple
    unchanged: bool


def state():
    """The Northbound database and all hosts' network."""
    return northbound(), [network(host) for host in HOSTS]


@pytest.fixture(scope="module")
def repaired(site):
    """What the playbooks say before, while and after a site run repairs hosts that somebody has changed by hand.

    A file's new time is all that a run leaves which failed between copying a file and restarting its reader.
    """
    subnet = subnet_of("ovn-node2")
    for host, command, *_expected in LOSSES:
        on(host, command)
    started = "systemctl show -p ExecMainStartTimestampMonotonic ovn-k8s-egress ovn-northd"
    before = on("ovn-master", started).split()
    checked = play("site", "--check", "--diff").ok()
    for host, command, *_expected in MORE_LOSSES:
        on(host, command)
    broken = play("verify")
    repair = play("site").ok()
    after = on("ovn-master", started).split()
    on("ovn-node1", "ip address add 10.99.0.1/24 dev breth1")
    on("ovn-master", "ovn-sbctl chassis-add stray geneve 10.44.0.99")
    try:
        verified, gateway = at_once((("verify",), {}), (("verify", "--tags", "gateway"), {}))
    finally:
        on("ovn-node1", "ip address del 10.99.0.1/24 dev breth1")
        on("ovn-master", "ovn-sbctl chassis-del stray")
    mended = state()
    second = play("site").ok()
    return Repair(
        checked,
        broken,
        repair,
        verified,
        gateway,
        second,
        set(before) & set(after),
        (subnet, subnet_of("ovn-node2")),
        state() == mended,
    )


def rows(run):
    """The rows of the table in a run's output, each as its cells."""
    lines = re.findall(r'^ +"(.* \| (?:error|warning) *\| .*)",?$', run.output, re.M)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines]


def test_exactly_what_was_lost_is_named(repaired):
    """Protects: check mode and diff name a lost row, route and port, and nothing else (W26)."""
    text = " ".join(repaired.checked.plans)
    assert f"{SNAT}: insert" in text
    assert re.search(r"192\.168\.0\.0/16", text) and re.search(r"Port k8s-ovn-node2: insert", text)
    others = [line for line in repaired.checked.plans if not re.search(r"192\.168\.0\.0/16|k8s-ovn-node2", line)]
    assert others == OTHERS
    assert f"+{SNAT} external_ip=10.55.0.11" in repaired.checked.output


@pytest.mark.parametrize("loss", [loss for loss in (*LOSSES, *MORE_LOSSES) if loss[3]], ids=lambda loss: loss[1])
def test_verify_names_what_was_lost(repaired, loss):
    """Protects: verify sees each of them, in the row of its host, with what it causes and what mends it (W26)."""
    _host, _command, host, words = loss
    words = words.format(router=subnet_of(host).replace(".0/24", ".1"))
    (row,) = [row for row in rows(repaired.broken) if row[0] == host and row[2].startswith(words)]
    assert row[1] == "error" and row[3] and row[4].endswith("ovn.kubernetes.site")


def test_verify_says_all_at_once(repaired):
    """Protects: one table, exit code 2, nothing twice, nothing called a change or the failure of a host."""
    broken = repaired.broken
    assert broken.code == 2 and broken.output.count("WHAT IS WRONG") == 1
    assert set(broken.changed.values()) == {0}
    found = [tuple(row) for row in rows(broken)]
    assert len(found) == len(set(found)) and broken.output.count("fatal: ") == 1


def test_one_run_repairs_it(repaired):
    """Protects: one site run repairs all of it, and verify finds nothing more that is wrong (W26).

    A node whose switch was deleted has its subnet again.
    """
    assert {host for host, count in repaired.run.changed.items() if count} == set(HOSTS)
    assert {row[1] for row in rows(repaired.verified.ok())} == {"warning"}
    assert repaired.subnets[0] == repaired.subnets[1]


def test_second_run_changes_nothing(repaired):
    """Protects: idempotence of the whole site (W6, W21), and verify, which only looks (W26)."""
    assert set(repaired.second.changed.values()) == {0} and repaired.unchanged
    assert set(repaired.verified.changed.values()) == {0}


def test_a_program_that_an_earlier_run_did_not_restart_is_restarted(repaired):
    """Protects runs that failed between copying a file and restarting its reader: the next run restarts it."""
    assert repaired.not_restarted == set()


def test_what_works_on_is_a_warning(repaired):
    """Protects: a foreign address on the gateway's bridge, and a chassis of nobody, are named, and are no failure.

    Tags choose what is compared.
    """
    texts = {(row[0], row[1]): row[2] for row in rows(repaired.verified)}
    assert texts["ovn-node1", "warning"] == "foreign address 10.99.0.1/24 on the gateway's bridge breth1"
    assert texts["ovn-master", "warning"].startswith("chassis stray is registered")
    assert [row[2] for row in rows(repaired.gateway)] == [texts["ovn-node1", "warning"]]


DEAD = """
all:
  hosts:
    ovn-master:
      ansible_host: 127.0.0.1
      ansible_port: 9
      ansible_ssh_retries: 0
"""


def test_a_dead_master_is_a_row(repaired, tmp_path):
    """Protects: a master that can't be reached is in the table with the faults of the others, which are compared with
    what they have saved; the code is 2.
    """
    extra = tmp_path / "dead.yml"
    extra.write_text(DEAD)
    on("ovn-node2", "ip route del 192.168.0.0/16")
    try:
        found = play("verify", inventory=[extra])
    finally:
        on("ovn-node2", f"ip route add 192.168.0.0/16 via {subnet_of('ovn-node2').replace('.0/24', '.1')}")
    assert found.code == 2 and found.output.count("fatal: ") == 1
    texts = [(row[0], row[2]) for row in rows(found)]
    assert [host for host, text in texts if text.startswith("can't be reached: ")] == ["ovn-master"]
    assert [host for host, text in texts if text.startswith("route 192.168.0.0/16 via ")] == ["ovn-node2"]
    (once,) = (text for host, text in texts if host == "(all)")
    assert once.startswith("ovn-master was not reached")
    assert {host for host, _text in texts} == {"(all)", "ovn-master", "ovn-node2"}
