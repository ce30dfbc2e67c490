# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A site run makes what differs right, and nothing else."""

from __future__ import annotations

import re

from lab_hosts import HOSTS, at_once, network, northbound, on, play


def test_second_run_changes_nothing(site):
    """Protects: idempotence of the whole site (W6, W21)."""
    before = northbound(), [network(host) for host in HOSTS]
    assert set(play("site").ok().changed.values()) == {0}
    assert (northbound(), [network(host) for host in HOSTS]) == before


def test_a_program_that_an_earlier_run_did_not_restart_is_restarted(site):
    """Protects runs that failed between copying a file and restarting its reader: the next run restarts it, once.

    A file's new time is all that such a run leaves; the unit itself was copied, and systemd has not read it.
    """
    on("ovn-master", "touch /usr/local/lib/ovn_kubernetes.pyz /etc/default/ovn-central")
    on("ovn-master", "touch /etc/systemd/system/ovn-k8s-egress.service")
    started = on("ovn-master", "systemctl show -p ExecMainStartTimestampMonotonic ovn-k8s-egress ovn-central")
    broken = play("verify")
    assert broken.code != 0 and "ovn-k8s-egress.service: restart, since it was started before" in broken.output
    repaired = play("site").ok()
    assert {host for host, count in repaired.changed.items() if count} == {"ovn-master"}
    now = on("ovn-master", "systemctl show -p ExecMainStartTimestampMonotonic ovn-k8s-egress ovn-central")
    assert not set(started.split()) & set(now.split())
    assert set(play("site", "--check", "--diff").ok().changed.values()) == {0}
    play("verify").ok()


def test_verify_is_content_with_a_converged_site(site):
    """Protects: verify only looks (W26)."""
    before = northbound()
    assert set(play("verify").ok().changed.values()) == {0}
    assert northbound() == before


def test_exactly_what_was_lost_is_named_and_repaired(site):
    """Protects: check mode and diff name a lost row, route and port, and one run repairs just these (W26).

    verify sees them, and also what would only fail at the next boot: another option of the databases, a service that
    no boot starts.
    """
    on("ovn-master", "ovn-nbctl lr-nat-del GR_ovn-node1 snat 192.168.0.0/16")
    on("ovn-node1", "ip route del 192.168.0.0/16")
    on("ovn-node2", "ovs-vsctl del-port br-int k8s-ovn-node2")
    on("ovn-master", "sed -i '/OVN_CTL_OPTS/d' /etc/default/ovn-central")
    on("ovn-node2", "systemctl disable ovn-k8s-host")
    seen = play("site", "--check", "--diff").ok()
    text = " ".join(seen.plans)
    assert re.search(r"NAT snat-4 of ovn-node1: insert", text)
    assert re.search(r"192\.168\.0\.0/16", text) and re.search(r"Port k8s-ovn-node2: insert", text)
    others = [
        line for line in seen.plans if not re.search(r"NAT snat-4 of ovn-node1|192\.168\.0\.0/16|k8s-ovn-node2", line)
    ]
    assert others == [
        "ovn-central.service: let systemd read its files again",
        "ovn-central.service: restart, since it was started before /etc/default/ovn-central changed",
        "ovn-k8s-host.service: enable",
    ]
    assert "+NAT snat-4 of ovn-node1 external_ip=10.55.0.11" in seen.output
    broken = play("verify")
    assert broken.code != 0 and "ovn-node1 is not as it should be" in broken.output
    assert "packages, programs or services differ" in broken.output
    assert "options or services of OVN central or its programs differ on ovn-master" in broken.output
    repaired = play("site").ok()
    assert {host for host, count in repaired.changed.items() if count} == set(HOSTS)
    nothing, _verified = at_once((("site", "--check", "--diff"), {}), (("verify",), {}))
    assert set(nothing.changed.values()) == {0}
