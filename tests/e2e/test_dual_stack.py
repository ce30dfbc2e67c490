# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A second family comes to a running overlay, and goes again."""

from __future__ import annotations

from lab_hosts import at_once, northbound, on, play, subnet_of, wait

SUBNETS = ("-e", '{"ovn_cluster_subnet": ["192.168.0.0/16", "fd10:128::/48"]}')
GATEWAY = """
all:
  hosts:
    ovn-node1:
      ovn_gateway_ip: [10.55.0.11/24, "fd55::1:11/64"]
      ovn_gateway_next_hop: [10.55.0.254, "fd55::254"]
"""


def test_a_second_family_comes_and_goes(site, tmp_path):
    """Protects: everything is written for a list of families (W17); verify reaches hosts and gateway in both."""
    extra = tmp_path / "dual.yml"
    extra.write_text(GATEWAY)
    before, subnet = northbound(), subnet_of("ovn-node2")
    play("site", *SUBNETS, inventory=[extra]).ok()
    again, _verified = at_once(*(((name, *SUBNETS), {"inventory": [extra]}) for name in ("site", "verify")))
    assert set(again.changed.values()) == {0}
    assert subnet_of("ovn-node2") == subnet
    here = on("ovn-node2", "ip -6 -o addr show dev k8s-ovn-node2 scope global").split()[3].split("/")[0]
    # Out through the gateway, by the host's own address in the overlay: the way of a pod's packet.
    on("ovn-node2", f"ip -6 route replace fd00:203:113::1 via {here[:-1]}1 dev k8s-ovn-node2 src {here}")
    try:
        wait(
            lambda: on("ovn-node2", "ping -6 -c 1 -W 2 fd00:203:113::1", check=False).returncode == 0, 30, "IPv6 egress"
        )
    finally:
        on("ovn-node2", "ip -6 route del fd00:203:113::1", check=False)
    play("site").ok()
    play("verify").ok()
    assert northbound() == before
