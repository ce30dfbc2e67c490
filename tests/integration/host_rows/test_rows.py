# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the rows of a node and a gateway in a host's own Open_vSwitch database, with a real ovsdb-server."""

from __future__ import annotations

import pytest
from database_server import Server

from ansible_collections.ovn.kubernetes.plugins.module_utils._host.desired import SavedNic
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.rows import LocalRows
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.saved import as_text
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.connection import Connection
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.converge import converge_rows
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import Owner
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import gateway_host, node, node_host

KEYS = {"system-id": "id-1", "hostname": "host", "ovn-bridge-mappings": "other:br-other"}


@pytest.fixture
def local():
    """A host's database with things of other owners: keys, a bridge with a port."""
    server = Server("vswitch", "Open_vSwitch")
    server.transact(
        {"op": "insert", "table": "Interface", "uuid-name": "i", "row": {"name": "br-other", "type": "internal"}},
        {
            "op": "insert",
            "table": "Port",
            "uuid-name": "p",
            "row": {"name": "br-other", "interfaces": ["named-uuid", "i"]},
        },
        {
            "op": "insert",
            "table": "Bridge",
            "uuid-name": "b",
            "row": {"name": "br-other", "ports": ["named-uuid", "p"]},
        },
        {
            "op": "insert",
            "table": "Open_vSwitch",
            "row": {"external_ids": ["map", list(map(list, KEYS.items()))], "bridges": ["named-uuid", "b"]},
        },
    )
    yield server
    server.remove()


def converge(server, kind, rows):
    """Converge the rows of one owner, and return the lines of the plan."""
    subject = LocalRows(Owner(kind, "host"), tuple(rows))
    return [
        item.describe()
        for item in converge_rows(lambda: Connection(server.remote, "Open_vSwitch"), subject, "test").plan
    ]


def node_rows(name="node1", datapath="system", southbound="tcp:10.44.0.11:6642", **more):
    """Return the rows of a node."""
    settings = node.Node(name, ("192.168.1.0/24",), ("192.168.0.0/16",))
    return node_host.rows(node_host.NodeHost(settings, southbound, "geneve", "10.44.0.12", 1442, datapath, **more))


def gateway_rows(nic="eth1", datapath="system"):
    """Return the rows of a gateway."""
    return gateway_host.rows(
        gateway_host.GatewayHost(nic, "52:54:00:00:00:01", datapath, as_text(SavedNic(nic, offloads=("tx",))))
    )


@pytest.mark.parametrize("datapath", ["system", "netdev"])
def test_node_and_gateway_are_added_and_removed(local, datapath):
    """Protects rows of other owners: after the removal the database is as before."""
    before = local.content()
    both = (("Node", node_rows(datapath=datapath, saved_hostname="host")), ("Gateway", gateway_rows(datapath=datapath)))
    for kind, rows in both:
        assert converge(local, kind, rows)
    version = local.everything()
    for kind, rows in both:
        assert converge(local, kind, rows) == []
    assert local.everything() == version
    converge(local, "Gateway", gateway_host.absent_rows())
    converge(local, "Node", node_host.absent_rows("host"))
    assert local.content() == before


def test_w21_a_second_run_changes_nothing(local):
    """Protects the traffic of the management port, which the original deleted and made again at each run."""
    converge(local, "Node", node_rows())
    before = local.everything()
    assert converge(local, "Node", node_rows()) == []
    assert local.everything() == before


SSL = "ssl:10.44.0.11:6642,ssl:10.44.0.12:6642"
TLS = {
    "private_key": "/etc/ovn-kubernetes/tls/chassis.pem",
    "certificate": "/etc/ovn-kubernetes/tls/chassis.pem",
    "ca_cert": "/etc/ovn-kubernetes/tls/central-ca.crt",
}


def set_ssl(server, **files):
    """What ``ovs-vsctl set-ssl`` writes."""
    server.transact(
        {"op": "insert", "table": "SSL", "uuid-name": "s", "row": {"bootstrap_ca_cert": False, **files}},
        {"op": "update", "table": "Open_vSwitch", "where": [], "row": {"ssl": ["named-uuid", "s"]}},
    )


def test_a_chassis_has_its_key_while_the_databases_speak_tls(local):
    """Protects the change from tcp to ssl and back: key and remote change in one transaction, which ovn-controller
    takes in live, and nothing is left when the node is removed.
    """
    before = local.content()
    converge(local, "Node", node_rows(saved_hostname="host"))
    plan = converge(local, "Node", node_rows(southbound=SSL, saved_hostname="host"))
    assert sorted(line.split(":")[0] for line in plan) == ["Open_vSwitch", "SSL"]
    (row,) = local.content()["SSL"]
    assert {key: row[key] for key in TLS} == TLS and len(local.rows("Open_vSwitch")[0]["ssl"]) == 2
    assert local.content()["Open_vSwitch"][0]["external_ids"]["ovn-remote"] == SSL
    version = local.everything()
    assert converge(local, "Node", node_rows(southbound=SSL, saved_hostname="host")) == []
    assert local.everything() == version
    assert "SSL: delete" in converge(local, "Node", node_rows(saved_hostname="host"))
    assert "SSL" not in local.content()
    converge(local, "Node", node_rows(southbound=SSL, saved_hostname="host"))
    converge(local, "Node", node_host.absent_rows("host"))
    assert local.content() == before


def test_a_key_that_says_the_same_is_taken_over(local):
    """Protects hosts where somebody has called ``ovs-vsctl set-ssl`` with the overlay's files: one row, now ours."""
    set_ssl(local, **TLS)
    (before,) = local.rows("SSL")
    converge(local, "Node", node_rows(southbound=SSL))
    (after,) = local.rows("SSL")
    assert after["_uuid"] == before["_uuid"] and after["external_ids"] != before["external_ids"]
    assert converge(local, "Node", node_rows(southbound=SSL)) == []


def test_settings_by_size_come_and_go(local):
    """Protects a cluster that grows and shrinks: keys that the overlay has set go again, others' stay."""
    key = "ovn-monitor-all"
    converge(local, "Node", node_rows(scale={key: "true"}))
    assert local.content()["Open_vSwitch"][0]["external_ids"][key] == "true"
    assert converge(local, "Node", node_rows()) == []
    converge(local, "Node", node_rows(scale={key: None}))
    assert key not in local.content()["Open_vSwitch"][0]["external_ids"]


@pytest.mark.parametrize("name", ["node2", "a-node-with-a-very-long-name"])
def test_w24_a_renamed_node_has_one_management_port(local, name):
    """Protects against a port that stays under the old name. Names that are too long are cut without collisions."""
    converge(local, "Node", node_rows())
    plan = converge(local, "Node", node_rows(name))
    assert "Port k8s-node1: delete" in plan
    ports = [row for row in local.content()["Interface"] if "iface-id" in row.get("external_ids", {})]
    assert [row["external_ids"]["iface-id"] for row in ports] == ["k8s-" + name]
    assert len(ports[0]["name"]) <= 15


def test_a_gateway_changes_to_another_nic(local):
    """Protects the change of a gateway's NIC: one transaction, one bridge, one mapping. Other mappings stay."""
    converge(local, "Gateway", gateway_rows())
    assert "Bridge breth1: delete" in converge(local, "Gateway", gateway_rows("eth2"))
    content = local.content()
    assert sorted(row["name"] for row in content["Bridge"]) == ["br-other", "breth2"]
    assert content["Open_vSwitch"][0]["external_ids"]["ovn-bridge-mappings"] == "other:br-other,physnet:breth2"
    assert converge(local, "Gateway", gateway_rows("eth2")) == []


@pytest.mark.parametrize("keys", [{}, {"k8s.ovn.org/owner-controller": "default-network-controller"}])
def test_an_existing_integration_bridge_is_used(local, keys):
    """Protects hosts on which ovn-controller made br-int: it stays with its ports, also after the node is removed, and
    also with those of another controller that has owner keys like ours.
    """
    port = {"name": "pod", "interfaces": ["named-uuid", "i"], "external_ids": ["map", list(map(list, keys.items()))]}
    local.transact(
        {"op": "insert", "table": "Interface", "uuid-name": "i", "row": {"name": "pod"}},
        {"op": "insert", "table": "Port", "uuid-name": "p", "row": port},
        {"op": "insert", "table": "Bridge", "uuid-name": "b", "row": {"name": "br-int", "ports": ["named-uuid", "p"]}},
        {
            "op": "mutate",
            "table": "Open_vSwitch",
            "where": [],
            "mutations": [["bridges", "insert", ["set", [["named-uuid", "b"]]]]],
        },
    )
    plan = converge(local, "Node", node_rows())
    assert any(line.startswith("Bridge br-int: ") and "fail_mode [] -> ['secure']" in line for line in plan)
    assert [row["ports"] for row in local.content()["Bridge"] if row["name"] == "br-int"] == [
        ["Port k8s-node1", "Port pod"]
    ]
    converge(local, "Node", node_host.absent_rows())
    (bridge,) = [row for row in local.content()["Bridge"] if row["name"] == "br-int"]
    assert bridge["ports"] == "Port pod" and "external_ids" not in bridge
    assert converge(local, "Node", node_host.absent_rows()) == []


def test_an_unused_integration_bridge_is_deleted(local):
    """Protects against a br-int that nothing uses: tunnels, patch ports and its own port do not keep it."""
    converge(local, "Node", node_rows())
    for name, key in (("ovn-abc-0", "ovn-chassis-id"), ("patch-br-int-to-x", "ovn-localnet-port"), ("br-int", None)):
        keys = ["map", [[key, "x"]] if key else []]
        local.transact(
            {"op": "insert", "table": "Interface", "uuid-name": "i", "row": {"name": name}},
            {
                "op": "insert",
                "table": "Port",
                "uuid-name": "p",
                "row": {"name": name, "interfaces": ["named-uuid", "i"], "external_ids": keys},
            },
            {
                "op": "mutate",
                "table": "Bridge",
                "where": [["name", "==", "br-int"]],
                "mutations": [["ports", "insert", ["set", [["named-uuid", "p"]]]]],
            },
        )
    assert "Bridge br-int: delete" in converge(local, "Node", node_host.absent_rows())
    assert "br-int" not in str(local.content())


def test_a_bridge_of_another_owner_is_refused(local):
    """Protects a bridge that has the name of the NIC's bridge by chance."""
    with pytest.raises(Exception, match="Bridge br-other exists already and belongs to somebody else"):
        converge(local, "Gateway", gateway_rows("-other"))
