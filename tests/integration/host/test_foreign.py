# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what other programs have in a host's Open vSwitch: it is refused in one sentence, and nothing is changed."""

from __future__ import annotations

import os
import subprocess

import pytest
from database_server import PROGRAMS
from kernel_links import pair
from network_namespace import ip
from vswitch import Vswitch

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.foreign import foreign_facts, same_database

NODE = {
    "name": "node1",
    "subnets": ["192.168.7.0/24"],
    "cluster_subnets": ["192.168.0.0/16"],
    "southbound": "tcp:10.44.0.11:6642",
    "datapath_type": "netdev",
    "encap_ip": "10.44.0.12",
}
DEDICATED = {"nic": "eth1", "datapath_type": "netdev"}
SHARED = {"nic": None, "bridge": "br-ex", "families": [4]}
BR_INT = "add-br br-int -- set Bridge br-int datapath_type=netdev"
BR_EX = "add-br br-ex -- set Bridge br-ex datapath_type=netdev -- add-port br-ex eth1"
PATCH = (
    "add-br br-tun -- set Bridge br-tun datapath_type=netdev -- add-port br-tun b "
    "-- set Interface b type=patch options:peer=a -- add-port {bridge} a -- set Interface a type=patch options:peer=b"
)


class Host(Vswitch):
    """A host with a NIC for tunnels and one for the external network, and Open vSwitch's own commands."""

    def __init__(self, monkeypatch):
        super().__init__()
        monkeypatch.setenv("PATH", f"{PROGRAMS / 'bin'}:{os.environ['PATH']}")
        self.keep_here(monkeypatch.setattr)

    def do(self, command):
        """Run ``ovs-vsctl``, or another program of Open vSwitch that the command begins with."""
        words = command.split()
        if not words[0].startswith("ovs-"):
            words = ["ovs-vsctl", f"--db={self.remote}", *words]
        subprocess.run(
            words, env={**os.environ, "OVS_RUNDIR": str(self.directory)}, check=True, capture_output=True, timeout=20
        )

    def seen(self):
        """What a refusal must not change: rows that somebody writes, and the links with their addresses."""
        columns = ("name", "ports", "controller", "fail_mode", "external_ids", "type", "target")
        rows = [
            (table, uuid, [row.get(column) for column in columns])
            for table, found in sorted(self.everything().items())
            for uuid, row in sorted(found.items())
        ]
        return rows, ip("-o address"), sorted(self.kept.glob("*"))


@pytest.fixture
def host(monkeypatch):
    for nic, address in (("eth0", "10.44.0.12/24"), ("eth1", "10.55.0.12/24")):
        pair(nic)
        ip(f"address add {address} dev {nic}")
    made = Host(monkeypatch)
    yield made
    made.remove()


def refused(host, part, settings):
    """The sentence; in check mode it is the same."""
    before = host.seen()
    with pytest.raises(HostError) as error:
        getattr(host.host(), part)(settings)
    assert host.seen() == before
    return str(error.value)


FOREIGN_BR_INT = {
    "Neutron's agent": (
        (BR_INT, "set-controller br-int tcp:127.0.0.1:6633", "set-fail-mode br-int secure"),
        "it has the controller tcp:127.0.0.1:6633",
    ),
    "ports": (
        (BR_INT, *(f"add-port br-int {name} -- set Interface {name} type=internal" for name in ("tapa", "tapb"))),
        "it has the ports tapa, tapb",
    ),
    "a patch port": ((BR_INT, PATCH.format(bridge="br-int")), "it has the port a"),
    "a pod of another network": (
        (
            BR_INT,
            (
                "add-port br-int veth1 -- set Interface veth1 type=internal external_ids:iface-id=ns_pod "
                "-- set Port veth1 external_ids:k8s.ovn.org/owner-controller=default-network-controller"
            ),
        ),
        "it has the port veth1",
    ),
    "flows": (
        (BR_INT, "set-fail-mode br-int secure", "ovs-ofctl add-flow br-int priority=7,in_port=3,actions=drop"),
        "it has 1 flow;",
    ),
    "a flow beside the default one": (
        (BR_INT, "ovs-ofctl add-flow br-int table=3,actions=NORMAL"),
        "it has 1 flow;",
    ),
    "a learning switch": ((BR_INT, "set-fail-mode br-int standalone"), "it has the fail_mode standalone"),
    "a manager that writes": (
        (BR_INT, "set-manager ptcp:0:127.0.0.1"),
        "it has this Open vSwitch the manager ptcp:0:127.0.0.1",
    ),
    "another manager": (("set-manager tcp:127.0.0.1:6640",), "is managed by tcp:127.0.0.1:6640"),
    "another bridge": (
        ("set Open_vSwitch . external_ids:ovn-bridge=br-ovn",),
        "external_ids:ovn-bridge of this host's Open_vSwitch table is br-ovn",
    ),
    "another bridge of this chassis": (
        ("set Open_vSwitch . external_ids:ovn-bridge-id-1=br-ovn",),
        "external_ids:ovn-bridge-id-1 of this host's Open_vSwitch table is br-ovn",
    ),
    "another database of this chassis": (
        ("set Open_vSwitch . external_ids:ovn-remote-id-1=tcp:10.9.9.9:6642",),
        "external_ids:ovn-remote-id-1 of this host's Open_vSwitch table is tcp:10.9.9.9:6642",
    ),
}


@pytest.mark.parametrize("whose", FOREIGN_BR_INT)
def test_a_br_int_of_another_program(host, whose):
    """Protects another program's integration bridge: ovn-controller would delete its flows, and its controller ours."""
    commands, text = FOREIGN_BR_INT[whose]
    for command in commands:
        host.do(command)
    sentence = refused(host, "node", NODE)
    assert text in sentence and "use another host" in sentence and "\n" not in sentence
    # The controller hears it before it changes any host, except what depends on the settings.
    assert foreign_facts(host.remote)["foreign"] == ("" if "ovn-remote" in text else sentence)


@pytest.mark.parametrize("remote", [None, NODE["southbound"]])
def test_what_ovn_controller_made_is_used_and_a_second_run_changes_nothing(host, remote):
    """Protects hosts on which ovn-controller ran before the overlay came: its br-int, tunnels and patch ports."""
    host.do(BR_INT)
    host.do(
        "set-fail-mode br-int secure -- set Bridge br-int other_config:disable-in-band=true "
        "-- add-port br-int ovn-abc-0 -- set Interface ovn-abc-0 type=geneve options:remote_ip=10.44.0.13 "
        "-- set Port ovn-abc-0 external_ids:ovn-chassis-id=abc "
    )
    if remote:
        host.do(f"set Open_vSwitch . external_ids:ovn-remote={remote}")
        host.do("ovs-ofctl add-flow br-int table=8,priority=50,actions=drop")
    assert foreign_facts(host.remote) == {"foreign": "", "southbound_before": remote or ""}
    assert host.host().node(NODE).plan
    # Afterwards administrators may add what they like.
    host.do("add-port br-int mine -- set Interface mine type=internal -- set-manager ptcp:0:127.0.0.1")
    host.do("ovs-ofctl add-flow br-int table=8,priority=51,actions=drop")
    assert host.host().node(NODE).plan == []
    (host.kept / "node.json").unlink()  # the host's settings are lost, its rows are not
    assert [one.describe() for one in host.host().node(NODE).plan] == [f"file {host.kept}/node.json: add"]


def test_a_run_that_did_not_come_to_its_end_is_no_other_overlay(host):
    """Protects hosts whose first run was rolled back, and whose masters got other addresses, or TLS, meanwhile: the
    database that they have is what that run has set."""
    assert host.host().node(NODE).plan
    (host.kept / "node.json").unlink()
    assert foreign_facts(host.remote) == {"foreign": "", "southbound_before": ""}
    assert host.host().node({**NODE, "southbound": "ssl:10.44.0.13:6642"}).plan


def test_a_br_int_that_open_vswitch_can_not_make_yet(host):
    """Protects hosts without the kernel's datapath: ovn-controller has asked for a br-int there when it was installed,
    and no flows can be read of a bridge that does not exist.
    """
    row = {"name": "br-int", "datapath_type": "system", "fail_mode": "secure"}
    host.transact(
        {"op": "insert", "table": "Interface", "uuid-name": "i", "row": {"name": "br-int", "type": "internal"}},
        {
            "op": "insert",
            "table": "Port",
            "uuid-name": "p",
            "row": {"name": "br-int", "interfaces": ["named-uuid", "i"]},
        },
        {"op": "insert", "table": "Bridge", "uuid-name": "b", "row": {**row, "ports": ["named-uuid", "p"]}},
        {
            "op": "mutate",
            "table": "Open_vSwitch",
            "where": [],
            "mutations": [["bridges", "insert", ["set", [["named-uuid", "b"]]]]],
        },
    )
    assert foreign_facts(host.remote) == {"foreign": "", "southbound_before": ""}
    assert host.host().node(NODE).plan
    assert host.host().node(NODE).plan == []


FOREIGN_UPLINK = {
    "its own bridge's name is taken": (
        DEDICATED,
        ("add-br breth1 -- set Bridge breth1 datapath_type=netdev",),
        "breth1",
    ),
    "its NIC is in a bridge": (DEDICATED, (BR_EX,), "the gateway's NIC eth1 is in another program's bridge"),
    "a dedicated gateway's network is mapped": (
        DEDICATED,
        (
            "add-br br-ex -- set Bridge br-ex datapath_type=netdev",
            "set Open_vSwitch . external_ids:ovn-bridge-mappings=a:br-a,physnet:br-ex",
        ),
        "maps physnet to the bridge br-ex of another program",
    ),
    "a shared gateway's network is mapped": (
        SHARED,
        (
            BR_EX,
            "add-br br-my -- set Bridge br-my datapath_type=netdev",
            "set Open_vSwitch . external_ids:ovn-bridge-mappings=physnet:br-my",
        ),
        "maps physnet to the bridge br-my of another program",
    ),
    "a controller": (SHARED, (BR_EX, "set-controller br-ex tcp:127.0.0.1:6633"), "the controller tcp:127.0.0.1:6633"),
    "a patch port": (SHARED, (BR_EX, PATCH.format(bridge="br-ex")), "it has the port a;"),
    "flows": (
        SHARED,
        (BR_EX, "ovs-ofctl add-flow br-ex priority=9,in_port=2,actions=drop"),
        "it has 1 flow;",
    ),
}


@pytest.mark.parametrize("whose", FOREIGN_UPLINK)
def test_an_uplink_bridge_of_another_program(host, whose):
    """Protects another program's bridge to the physical network, for both kinds of gateway."""
    settings, commands, text = FOREIGN_UPLINK[whose]
    for command in commands:
        host.do(command)
    sentence = refused(host, "gateway", settings)
    assert text in sentence and "\n" not in sentence


def test_an_administrators_own_bridge_is_used(host):
    """Protects bridges that administrators made: a NIC, virtual machines and what ovn-controller connects do not say
    that another program controls it, and a second run changes nothing.
    """
    host.do(BR_EX)
    host.do("add-port br-ex vm -- set Interface vm type=internal")
    host.do(PATCH.format(bridge="br-ex") + " -- set Port a external_ids:ovn-localnet-port=br-ex_node1")
    host.do("set Open_vSwitch . external_ids:ovn-bridge-mappings=physnet:br-ex")
    host.host().gateway(SHARED)
    host.do("ovs-ofctl add-flow br-ex priority=9,in_port=2,actions=drop")
    assert host.host().gateway(SHARED).plan == []


def test_tls_files_of_another_program(host):
    """Protects a manager's connection: Open vSwitch has one key, and the chassis' would take its place."""
    with_tls = {**NODE, "southbound": "ssl:10.44.0.11:6642"}
    host.do("set-ssl /etc/other/key.pem /etc/other/cert.pem /etc/other/ca.pem")
    sentence = refused(host, "node", with_tls)
    assert "TLS files of another program (private_key /etc/other/key.pem)" in sentence and "del-ssl" in sentence
    host.host().node(NODE)  # without TLS they are nobody's business
    assert "another program" in refused(host, "node", with_tls)
    host.do("del-ssl")
    assert host.host().node(with_tls).changed
    assert not host.host().node(with_tls).changed


def test_the_same_database_by_another_way():
    """Protects a host whose run did not come to its end before the databases got TLS, or more members."""
    assert same_database("tcp:10.44.0.11:6642", "ssl:10.44.0.12:6642,ssl:10.44.0.11:6642")
    assert same_database("unix:/x", "unix:/x")
    assert not same_database("tcp:10.44.0.99:6642", "ssl:10.44.0.12:6642,ssl:10.44.0.11:6642")
    assert not same_database("unix:/x", "tcp:10.44.0.11:6642")
