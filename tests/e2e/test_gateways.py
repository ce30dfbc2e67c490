# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Egress survives gateways that come, die and go."""

from __future__ import annotations

import re

import pytest
from lab_hosts import Pod, lab, on, on_masters, play, wait

OUTSIDE = "203.0.113.1"
REBALANCE = ("-e", "ovn_egress_rebalance=true")
SECOND = """
ovn_gateways:
  hosts:
    ovn-node2:
      ovn_gateway_interface: eth1
      ovn_gateway_ip: 10.55.0.12/24
      ovn_gateway_next_hop: 10.55.0.254
"""


@pytest.fixture(scope="module")
def two_gateways(site, tmp_path_factory):
    """The lab with a second gateway; afterwards it has one again."""
    extra = tmp_path_factory.mktemp("second") / "gateway.yml"
    extra.write_text(SECOND)
    play("site", inventory=[extra]).ok()
    yield extra
    play("site").ok()
    assert "gateway_mtu" not in on("ovn-master", "ovn-nbctl get Logical_Router_Port rtoe-GR_ovn-node1 options")


def egress():
    """Next hops of the cluster's default routes."""
    return set(re.findall(r"0\.0\.0\.0/0\s+(\S+)", on("ovn-master", "ovn-nbctl lr-route-list ovn_cluster_router")))


def shares():
    """Gateway -> how many slots of pods it has."""
    found = {}
    for host in ("ovn-node1", "ovn-node2"):
        keys = on("ovn-master", f"ovn-nbctl get Logical_Router GR_{host} external_ids")
        text = re.search(r'egress-slots-4"?="?\d+:([\d,-]+)', keys)
        if text:
            ends = [[int(end) for end in run.split("-")] for run in text[1].split(",")]
            found[host] = sum(run[-1] - run[0] + 1 for run in ends)
    return found


def outage(pod, event, until):
    """Seconds without an answer around ``event()``, from echoes each 50 ms for a fixed flow, until ``until()``."""
    echoes = f"exec ip netns exec {pod.name} ping -D -O -i 0.05 {OUTSIDE} > /tmp/echoes 2>&1"
    on(pod.host, f"rm -f /tmp/echoes; systemd-run --unit=echoes --collect sh -c '{echoes}'")
    try:
        wait(lambda: "ttl=" in on(pod.host, "tail -n 3 /tmp/echoes", check=False).stdout, 20, "the first echo")
        event()
        wait(until, 60, "egress")
        wait(lambda: len(re.findall("ttl=", on(pod.host, "tail -n 20 /tmp/echoes"))) >= 20, 30, "echoes without a gap")
    finally:
        on(pod.host, "systemctl stop echoes", check=False)
    times = [
        float(stamp) for stamp in re.findall(r"^\[([\d.]+)\] \d+ bytes.*ttl=", on(pod.host, "cat /tmp/echoes"), re.M)
    ]
    return max(later - earlier for earlier, later in zip(times, times[1:]))


def test_second_gateway_shares_the_traffic(two_gateways):
    """Protects: egress over all gateways, none of them special (W10), and pods' connections while one is added."""
    wait(lambda: egress() == {"100.64.0.2", "100.64.0.3"}, 10, "both gateways")
    wait(lambda: shares() == {"ovn-node1": 256}, 30, "the first share")
    assert "no pods leave through this gateway" in play("verify", inventory=[two_gateways]).ok().output
    assert play("site", *REBALANCE, inventory=[two_gateways]).ok().changed["ovn-master"]
    assert shares() == {"ovn-node1": 128, "ovn-node2": 128}
    assert set(play("site", *REBALANCE, inventory=[two_gateways]).ok().changed.values()) == {0}


def test_egress_survives_the_death_of_the_first_gateway(two_gateways, record_property, capsys):
    """Protects: a dead gateway loses its default routes by itself, and gets them back by itself (W10)."""
    pod = Pod("ovn-node2", "survivor", 110)
    try:
        pod.reaches(OUTSIDE)
        seconds = outage(pod, lambda: lab("kill", "ovn-node1"), lambda: egress() == {"100.64.0.3"})
        with capsys.disabled():
            print(f"\negress outage when one of two gateways is killed: {seconds:.2f} s")
        record_property("outage_seconds", round(seconds, 2))
        assert (
            on("ovn-master", "ovn-nbctl get Logical_Router GR_ovn-node1 external_ids:k8s.ovn.org/egress").strip()
            == "down"
        )
        # A site run does not put the dead gateway's routes back, and does not need its host.
        dead = play("site", inventory=[two_gateways])
        assert "ovn-node1" in dead.output and egress() == {"100.64.0.3"}
        assert pod.reaches(OUTSIDE)
        lab("start", "ovn-node1")
        wait(lambda: egress() == {"100.64.0.2", "100.64.0.3"}, 90, "the first gateway's return")
        assert shares() == {"ovn-node2": 256}  # connections stay where they are
        pod.reaches(OUTSIDE)
    finally:
        lab("start", "ovn-node1")
        pod.remove()


def test_egress_survives_a_lost_uplink(two_gateways, record_property, capsys):
    """Protects: a gateway that has no cable or bridge mapping loses its default route until it has it again (W10).

    Its host is alive, but it does not reach the external network.
    """
    pod = Pod("ovn-node2", "survivor", 110)
    mapping = on("ovn-node2", "ovs-vsctl get Open_vSwitch . external_ids:ovn-bridge-mappings").strip()
    try:
        pod.reaches(OUTSIDE)
        seconds = []
        for host, left in (
            ("ovn-node1", "100.64.0.3"),
            ("ovn-node2", "100.64.0.2"),
        ):  # one of them has the pod's traffic
            began = on("ovn-master", "date '+%F %T'").strip()
            seconds.append(
                outage(pod, lambda host=host: lab("unplug", host, "eth1"), lambda left=left: egress() == {left})
            )
            said = on_masters(f"journalctl -u ovn-k8s-egress --since '{began}' -o cat")
            assert re.search(f"{host}.*its next hop does not answer", said), said
            lab("plug", host, "eth1")
            wait(lambda: egress() == {"100.64.0.2", "100.64.0.3"}, 60, "the gateway's return")
        with capsys.disabled():
            print(f"\negress outage when the cable of one of two gateways is pulled: {max(seconds):.2f} s")
        record_property("outage_seconds", round(max(seconds), 2))
        # On the other host ovn-controller was restarted, and keeps the connection that it had made before:
        # that gateway still reaches the external network.
        on("ovn-node2", "ovs-vsctl remove Open_vSwitch . external_ids ovn-bridge-mappings")
        wait(lambda: egress() == {"100.64.0.2"}, 60, "egress without the mapping")
        pod.reaches(OUTSIDE)
    finally:
        for host in ("ovn-node1", "ovn-node2"):
            lab("plug", host, "eth1")
        on("ovn-node2", f"ovs-vsctl set Open_vSwitch . external_ids:ovn-bridge-mappings={mapping}")
        pod.remove()
    wait(lambda: egress() == {"100.64.0.2", "100.64.0.3"}, 60, "the gateway's return")


def test_a_gateway_goes(two_gateways):
    """Protects: egress stays while a gateway goes (W10), here the first one; it frees its NIC (W9)."""
    pod = Pod("ovn-node2", "stays", 111)
    try:
        pod.reaches(OUTSIDE)
        play("remove", "-e", "ovn_remove_hosts=ovn-node1", "--tags", "gateway", inventory=[two_gateways]).ok()
        wait(lambda: egress() == {"100.64.0.3"}, 10, "the gateway that is left")
        assert "10.55.0.11/24" in on("ovn-node1", "ip -4 -o addr show dev eth1")
        assert "breth1" not in on("ovn-node1", "ovs-vsctl list-br")
        pod.reaches(OUTSIDE)
    finally:
        pod.remove()


@pytest.fixture(scope="module")
def left(two_gateways):
    """The second gateway has left its group, and the NIC of the first has a smaller MTU; what verify says of it.

    One site run has mended both.
    """
    play("site", inventory=[two_gateways]).ok()
    wait(lambda: egress() == {"100.64.0.2", "100.64.0.3"}, 30, "both gateways")
    on("ovn-node1", "ip link set eth1 mtu 1300")
    try:
        found = play("verify")
        play("site").ok()
        yield found
    finally:
        on("ovn-node1", "ip link set eth1 mtu 1500")


def test_a_host_that_leaves_its_group_is_no_gateway_any_more(left):
    """Protects: who takes a host out of ovn_gateways needs no other command. Verify finds it, one site run removes rows
    and the host's part, egress stays (W10), and for verify nothing is left to change."""
    assert left.code == 2 and "is set up as a gateway, and is not in ovn_gateways" in left.output
    assert egress() == {"100.64.0.2"}
    assert "GR_ovn-node2" not in on("ovn-master", "ovn-nbctl lr-list")
    assert "10.55.0.12/24" in on("ovn-node2", "ip -4 -o addr show dev eth1")
    assert "breth1" not in on("ovn-node2", "ovs-vsctl list-br")
    play("verify").ok()


def test_a_nic_with_a_smaller_mtu_than_the_pods_network(left):
    """Protects path MTU discovery: verify names the NIC's other MTU, one site run takes it in, and a pod's packet that
    does not fit outside is answered with it."""
    assert "its gateway's MTU is 1300, and the Northbound database has 1500" in left.output
    pod = Pod("ovn-node2", "large", 112)
    try:
        pod.reaches(OUTSIDE)
        assert "mtu = 1300" in pod.run(f"ping -c 3 -M do -s 1350 -W 2 {OUTSIDE}", check=False).stdout
        pod.run(f"ping -c 3 -M do -s 1272 -W 2 {OUTSIDE}")
    finally:
        pod.remove()
