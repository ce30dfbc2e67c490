# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What goes leaves nothing behind, and takes nothing of others with it."""

from __future__ import annotations

from lab_hosts import HOSTS, lab, network, northbound, on, play, wait

OURS = (
    "ls -d /etc/ovn-kubernetes /usr/local/lib/ovn_kubernetes.pyz /usr/local/bin/ovn-k8s-* "
    "/etc/systemd/system/ovn-k8s-* /etc/systemd/system/*/ovn-k8s-* "
    "/etc/systemd/system/ovn-northd.service.d/ovn-kubernetes.conf /etc/cni/net.d/10-ovn-kubernetes.conflist "
    "2>/dev/null || :"
)


def test_a_node_goes_and_the_others_stay(site):
    """Protects: remove takes a node's rows, port, chassis, routes, files and units (W9)."""
    others = northbound()
    play("remove", "-e", "ovn_remove_hosts=ovn-node2").ok()
    assert not [row for _table, row in northbound() if "ovn-node2" in row]
    assert "ovn-node2" not in on("ovn-master", "ovn-sbctl list Chassis")
    assert [row for row in others if "ovn-node2" not in row[1]] == northbound()
    assert on("ovn-node2", OURS) == ""
    assert "k8s-" not in on("ovn-node2", "ip -br link") and "192.168" not in on("ovn-node2", "ip route")
    assert on("ovn-node2", "ovs-vsctl list-br") == ""
    play("site").ok()
    assert northbound() == others


# The roles in a play of a user's own, without any of our playbooks.
ROLES = """
- {name: Masters, hosts: ovn_masters, gather_facts: false, roles: [ovn.kubernetes.master]}
- {name: Nodes, hosts: "ovn_masters:ovn_nodes", gather_facts: false, roles: [ovn.kubernetes.node]}
- {name: Gateways, hosts: ovn_gateways, gather_facts: false, roles: [ovn.kubernetes.gateway]}
"""


CENTRAL = "/etc/default/ovn-central"


def test_everything_goes_and_what_is_others_stays(site, tmp_path):
    """Protects: the whole overlay is removed, NICs are as they were, foreign rows and files are untouched (W9).

    Check mode changes nothing, neither of a removal nor on bare hosts; the roles alone make all there is.
    """
    on(
        "ovn-master",
        "ovn-nbctl --may-exist ls-add foreign; mkdir -p /etc/cni/net.d; touch /etc/cni/net.d/99-foreign.conf",
    )
    on("ovn-node1", "ovs-vsctl --may-exist add-br foreign")
    # As if no package had brought this file: all that is in it is ours.
    on("ovn-master", f"sed -i '/BEGIN ovn.kubernetes/,/END ovn.kubernetes/!d' {CENTRAL}")
    refused = play("remove")
    assert refused.code != 0 and "ovn_remove_confirmed=true" in refused.output
    before = northbound(), [network(host) for host in HOSTS]
    assert sum(play("remove", "--check", "--diff", "-e", "ovn_remove_confirmed=true").ok().changed.values())
    assert (northbound(), [network(host) for host in HOSTS]) == before
    play("remove", "-e", "ovn_remove_confirmed=true").ok()
    for number, host in zip((10, 11, 12), HOSTS):
        assert on(host, OURS) == "", host
        shown = on(host, "ip -br addr; ip route")
        assert "k8s-" not in shown and "breth0" not in shown and f"10.44.0.{number}/24" in shown
        assert "default via 10.44.0.1 dev eth0" in shown
        assert "ovn_kubernetes" not in on(host, "nft list ruleset")
    assert on("ovn-master", f"ls {CENTRAL}", check=False).returncode != 0
    assert "10.55.0.11/24" in on("ovn-node1", "ip -br addr show dev eth1")
    assert on("ovn-node1", "ovs-vsctl list-br").split() == ["foreign"]
    assert set(play("remove", "-e", "ovn_remove_confirmed=true").ok().changed.values()) == {0}
    on("ovn-master", "test -e /etc/cni/net.d/99-foreign.conf && systemctl start ovn-central")
    wait(
        lambda: "foreign" in on("ovn-master", "ovn-nbctl --timeout=5 ls-list", check=False).stdout,
        30,
        "the foreign switch",
    )
    assert [table for table, row in northbound() if "k8s.ovn.org" in row] == []
    on("ovn-master", "ovn-nbctl ls-del foreign; rm /etc/cni/net.d/99-foreign.conf")
    on("ovn-node1", "ovs-vsctl del-br foreign")
    bare = [network(host) for host in HOSTS]
    play("site", "--check", "--diff").ok()
    assert [network(host) for host in HOSTS] == bare and [on(host, OURS) for host in HOSTS] == ["", "", ""]
    own = tmp_path / "own.yml"
    own.write_text(ROLES)
    play(own).ok()
    play("verify").ok()


CHASSIS = "ovn-sbctl --columns=name,hostname --format=csv --data=bare --no-headings list Chassis"
ANEW = """set -e
systemctl stop openvswitch-switch ovs-vswitchd ovsdb-server
rm -f /etc/openvswitch/conf.db /etc/openvswitch/system-id.conf
systemctl start openvswitch-switch
ovs-vsctl get Open_vSwitch . external_ids:system-id
"""


def test_a_dead_master_and_a_nic_that_is_gone(site):
    """Protects hosts that must get their NICs back while the only master is off and a gateway's NIC is gone, and what
    comes then: the next run finishes, and a host that was installed anew replaces the chassis that it was."""
    before = on("ovn-master", CHASSIS)
    lab("kill", "ovn-master")
    on("ovn-node1", "ip link del eth1")
    removed = play("remove", "-e", "ovn_remove_confirmed=true")
    assert removed.code != 0 and "ovn-master: it can't be reached" in removed.output, removed.output[-3000:]
    for number, host in zip((11, 12), HOSTS[1:]):
        assert on(host, OURS) == "" and on(host, "ovs-vsctl list-br") == "", host
        assert f"10.44.0.{number}/24" in on(host, "ip -br addr show dev eth0")
    lab("start", "ovn-master")
    lab("restart", "ovn-node1")  # with its NIC again
    wait(lambda: "ovn-node1" in on("ovn-master", "ovn-sbctl list Chassis", check=False).stdout, 60, "the databases")
    play("remove", "-e", "ovn_remove_hosts=ovn-node1").ok()
    assert not [row for _table, row in northbound() if "ovn-node1" in row]
    assert "ovn-node1" not in on("ovn-master", "ovn-sbctl list Chassis")
    system_id = on("ovn-node2", ANEW).strip().strip('"')
    assert system_id not in before
    play("site").ok()
    play("verify").ok()
    chassis = on("ovn-master", CHASSIS).split()
    assert [one for one in chassis if "ovn-node2" in one] == [f"{system_id},ovn-node2"] and len(chassis) == 3
