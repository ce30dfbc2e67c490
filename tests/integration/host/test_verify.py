# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what verify reads of a host: kernel, Open vSwitch and both of OVN's databases are real; systemd is not."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import typing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from database_server import Server, wait_for
from kernel_links import pair
from network_namespace import ip, ip_batch, load_nftables
from northbound import Northbound
from vswitch import Vswitch

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.units import Unit
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.libraries import nftables
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.cni.findings import LONGEST, MOST, Finding
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.interface import OWNER_TYPE
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.cluster import Cluster
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.node import Node
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.overlay import Overlay
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.user_settings import Setting
from ansible_collections.ovn.kubernetes.plugins.module_utils._verify import kube_proxy
from ansible_collections.ovn.kubernetes.plugins.module_utils._verify import run as runs
from ansible_collections.ovn.kubernetes.plugins.module_utils._verify.echo import checksum, silent
from ansible_collections.ovn.kubernetes.plugins.module_utils._verify.facts import (
    NODE_SERVER,
    WATCHER,
    Expected,
    Peer,
    Token,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._verify.probe import read_passing
from ansible_collections.ovn.kubernetes.plugins.module_utils._verify.read import read_lasting
from ansible_collections.ovn.kubernetes.plugins.module_utils._verify.run import Remotes, verify

CLUSTER = ["192.168.0.0/16"]
UNIT = Unit("ovn-controller.service")
RUNNING = "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=static\nNeedDaemonReload=no\n"


class Host:
    """A host of an overlay in order, and the overlay's databases."""

    def __init__(self, monkeypatch):
        for nic, address in (("eth0", "10.44.0.12/24"), ("eth1", "10.55.0.12/24")):
            pair(nic)
            ip(f"address add {address} dev {nic}")
        ip("route add default via 10.44.0.1")
        self.vswitch, self.northbound = Vswitch(), Northbound()
        self.southbound = Server("ovn-sb", "OVN_Southbound")
        self.vswitch.keep_here(monkeypatch.setattr)
        monkeypatch.setattr(names, "ARCHIVE", str(self.vswitch.directory / "archive"))  # no commands in the PATH
        self.node = {
            "name": "node1",
            "subnets": ["192.168.7.0/24"],
            "cluster_subnets": CLUSTER,
            "southbound": self.southbound.remote,
            "encap_type": "geneve",
            "encap_ip": "10.44.0.12",
            "mtu": 1400,
            "datapath_type": "netdev",
            "routes": [],
        }
        self.gateway = {"nic": "eth1", "datapath_type": "netdev"}
        self.vswitch.host().node(self.node, move_underlay=False)
        self.vswitch.host().uplinks(["eth0"], True, "node", "netdev")
        self.vswitch.host().gateway(self.gateway)
        self.northbound.build()
        self.register()
        self.system = RUNNING

    def register(self):
        """Have the chassis, as ovn-controller makes it."""
        self.southbound.transact(
            {
                "op": "insert",
                "table": "Encap",
                "uuid-name": "e",
                "row": {"type": "geneve", "ip": "10.44.0.12", "chassis_name": "id-1"},
            },
            {"op": "insert", "table": "Chassis", "row": {"name": "id-1", "encaps": ["named-uuid", "e"]}},
        )

    def run(self, command):
        """Answer as systemctl does."""
        assert command[:2] == ["systemctl", "show"]
        return 0, "\n".join([self.system] * (len(command) - 3)), ""

    def findings(self, **more):
        """What verify finds here, by the words."""
        expected = {
            "node": self.node,
            "gateway": self.gateway,
            "is_gateway": True,
            "units": (UNIT,),
            "overlay": self.overlay(),
            "peers": (Peer("myself", "192.168.7.2"),),
            **more,
        }
        remotes = Remotes(self.vswitch.remote, self.northbound.remote, self.southbound.remote)
        self.report = verify(Expected(**expected), self.run, remotes)
        return {finding.wrong: finding for finding in self.report.findings}

    @staticmethod
    def overlay():
        """What the database holds."""
        return Overlay(
            Cluster(tuple(CLUSTER)), (Node("node1", ("192.168.1.0/24",), tuple(CLUSTER)),), known=frozenset({"node1"})
        )

    def remove(self):
        for server in (self.vswitch, self.northbound, self.southbound):
            server.remove()


@pytest.fixture
def host(monkeypatch):
    monkeypatch.setattr(runs, "PATIENCE", 3.0)
    monkeypatch.setattr(runs, "SHORT", 0.0)
    made = Host(monkeypatch)
    yield made
    made.remove()


def test_a_host_in_order(host):
    """Protects against a verify that cries wolf; what the controller compares between hosts is read."""
    assert host.findings() == {}
    assert (host.report.facts["chassis"], host.report.facts["mtu"], host.report.silent) == ("id-1", 1400, ())
    assert host.report.facts["physical_mac"]


def test_all_that_is_wrong_is_found_at_once(host):
    """Protects the table: kernel, Open vSwitch, databases and services are read independently of each other."""
    ip("route del 192.168.0.0/16")
    (bridge,) = (uuid for uuid, row in host.vswitch.everything()["Bridge"].items() if row["name"] == "breth1")
    host.vswitch.transact(
        {
            "op": "mutate",
            "table": "Open_vSwitch",
            "where": [],
            "mutations": [["bridges", "delete", ["set", [["uuid", bridge]]]]],
        }
    )
    host.northbound.transact({"op": "delete", "table": "Logical_Switch", "where": [["name", "==", "node1"]]})
    host.southbound.transact({"op": "delete", "table": "Chassis", "where": []})
    host.system = RUNNING.replace("active\nSubState=running", "inactive\nSubState=dead")
    idle = Setting("Open_vSwitch", ".", "other_config", "max-idle", "30000")
    found = host.findings(peers=(Peer("node2", "192.0.2.1"),), user_settings=(idle,))
    assert {
        "Open_vSwitch . other_config:max-idle differs: unset -> 30000",
        "route 192.168.0.0/16 via 192.168.7.1 dev k8s-node1 is missing",
        "Logical_Switch node1 is missing",
        "ovn-controller.service does not run: inactive (dead)",
        "the Southbound database has no chassis with this host's system-id",
    } <= set(found)
    assert any("breth1 is missing" in wrong for wrong in found)
    assert found["Logical_Switch node1 is missing"].node == "node1" and host.report.silent == ("node2",)


def test_without_settings_a_host_is_compared_with_what_it_has_saved(host):
    """Protects nodes while the master is dead."""
    assert host.findings(node=None, gateway=None, overlay=None) == {}
    ip("route del 192.168.0.0/16")
    found = host.findings(node=None, gateway=None, overlay=None)
    assert list(found) == ["route 192.168.0.0/16 via 192.168.7.1 dev k8s-node1 is missing"]


def test_databases_that_do_not_answer_are_findings(host):
    """Protects a host whose Open vSwitch is stopped, and a master whose databases are."""
    host.northbound.stop()
    host.southbound.stop()
    found = host.findings()
    assert [one.subject for one in found.values()] == ["Northbound", "Southbound"]
    host.vswitch.stop()
    assert any(wrong.startswith("Open vSwitch's database can't be read: ") for wrong in host.findings())


def test_controllers_of_another_program(host):
    """Protects a host on which another network came after the overlay: verify names its controllers."""
    for number, bridge in enumerate(("br-int", "breth1")):
        host.vswitch.transact(
            {"op": "insert", "table": "Controller", "uuid-name": "c", "row": {"target": f"tcp:127.0.0.1:{number + 1}"}},
            {
                "op": "update",
                "table": "Bridge",
                "where": [["name", "==", bridge]],
                "row": {"controller": ["named-uuid", "c"]},
            },
        )
    assert set(host.findings()) == {
        "br-int has the controller tcp:127.0.0.1:1 of another program",
        "breth1 has the controller tcp:127.0.0.1:2 of another program",
    }


def test_pods_with_another_mtu_and_a_foreign_address_are_warnings(host):
    """Protects pods that were made before ovn_mtu changed, and a gateway's bridge: named, and no failure."""
    ip_batch(["link add pod1 mtu 1500 type veth peer name pod1p", "address add 10.9.9.1/24 dev breth1"])
    keys = {
        names.OWNER_CONTROLLER: names.CONTROLLER,
        names.OWNER_TYPE: OWNER_TYPE,
        names.OWNER_NAME: "c1/eth0",
        "iface-id": "ns_web",
    }
    host.vswitch.transact(
        {
            "op": "insert",
            "table": "Interface",
            "uuid-name": "i",
            "row": {"name": "pod1", "external_ids": ["map", list(map(list, keys.items()))]},
        },
        {"op": "insert", "table": "Port", "uuid-name": "p", "row": {"name": "pod1", "interfaces": ["named-uuid", "i"]}},
        {
            "op": "mutate",
            "table": "Bridge",
            "where": [["name", "==", "br-int"]],
            "mutations": [["ports", "insert", ["set", [["named-uuid", "p"]]]]],
        },
    )
    found = host.findings()
    assert set(found) == {
        "pods with MTU 1500, where ovn_mtu is 1400 now: ns/web",
        "foreign address 10.9.9.1/24 on the gateway's bridge breth1",
    }
    assert {finding.severity for finding in found.values()} == {"warning"}


def test_a_token_that_others_can_read(tmp_path):
    """Protects tokens: mode and owner of their files are read, and no file's state has their text."""
    token = tmp_path / "node.token"
    token.write_text("secret", encoding="utf-8")
    os.chown(token, 1000, 1000)
    token.chmod(0o640)
    lasting, _facts = read_lasting(Expected(tokens=(Token(str(token)),)), lambda _command: (0, "", ""), "unix:/nowhere")
    assert (lasting.files[str(token)].mode, lasting.files[str(token)].owner) == (0o640, 1000)
    assert "secret" not in str(lasting.files)


def test_what_comes_by_itself_is_waited_for(host):
    """Protects a verify right after a site run: what is about to come is no fault."""
    host.southbound.transact({"op": "delete", "table": "Chassis", "where": []})
    asked = []

    def run(command):
        asked.append(command)
        if len(asked) == 2:
            host.register()
        return host.run(command)

    expected = Expected(node=host.node, units=(UNIT,))
    remotes = Remotes(host.vswitch.remote, host.northbound.remote, host.southbound.remote)
    assert verify(expected, run, remotes).findings == ()
    assert len(asked) >= 2


class Program(BaseHTTPRequestHandler):
    """A node server: its class has the answers, path -> status and body."""

    answers: typing.ClassVar[dict] = {}

    def do_GET(self):
        status, body = self.answers.get(self.path, (404, b""))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        """Say nothing."""


@pytest.fixture
def program():
    """The address of a program, which answers what ``Program.answers`` has."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Program)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def read(**expected):
    """What comes by itself, on a host without services and databases."""
    return read_passing(Expected(**expected), lambda _command: (0, "", ""), "", None)


def test_what_kube_proxy_leaves(monkeypatch, tmp_path):
    """Protects users who have replaced kube-proxy: its process, and what each of its modes leaves, are seen."""
    load_nftables()
    monkeypatch.setattr(kube_proxy, "PROGRAM", f"kp-{os.getpid()}")
    assert kube_proxy.signs() == ()
    ip("link add kube-ipvs0 type bridge")
    tables = (
        "add table ip nat",
        "add chain ip nat KUBE-SERVICES",
        "add table ip6 kube-proxy",
        "add chain ip6 kube-proxy x",
    )
    assert nftables().cmd("\n".join(tables))[0] == 0
    (tmp_path / kube_proxy.PROGRAM).symlink_to("/usr/bin/sleep")
    with subprocess.Popen([tmp_path / kube_proxy.PROGRAM, "600"]) as process:
        try:
            wait_for(lambda: len(kube_proxy.signs()) == 4, "the program to have its name")
            assert kube_proxy.signs() == (
                f"process {process.pid}",
                "link kube-ipvs0",
                "table ip6 kube-proxy of nftables",
                "chain KUBE-SERVICES in table ip nat of nftables",
            )
        finally:
            process.kill()


READY = (200, b"ok\n")
WEB = Finding("pod ns/web", "its port is gone", "the pod has no network", "kubectl delete pod -n ns web")


def answer(*found):
    """The node server's answer with these findings."""
    return 200, json.dumps([one._asdict() for one in found]).encode()


def test_what_the_node_server_says_is_reported(host, program):
    """Protects what only the node server knows, as it says it, also while it is not ready."""
    Program.answers = {"/readyz": (503, b"br-int is missing"), "/findings": answer(WEB)}
    found = host.findings(readiness={program: NODE_SERVER})
    assert list(found) == ["ovn-k8s-node is not ready: br-int is missing", "pod ns/web: its port is gone"]
    assert found["pod ns/web: its port is gone"].mend == WEB.mend


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ((404, b""), "answers with status 404"),
        ((500, b"[]"), "answers with status 500"),
        ((200, b"{"), "answers with something else than a list in JSON"),
        ((200, b'{"findings": []}'), "answers with something else than a list in JSON"),
        ((200, b"[" * 200000), "answers with something else than a list in JSON"),
        ((200, b'[{"what": "its port is gone"}]'), "has findings without subject or without words"),
        ((200, b'["' + b"x" * (1 << 20) + b'"]'), "answers with more than 1048576 bytes"),
    ],
)
def test_a_node_server_that_does_not_say_what_is_wrong(program, given, sentence):
    """Protects against silence that looks like order: each answer but a list of findings is a finding itself."""
    Program.answers = {"/readyz": READY, "/findings": given}
    passing = read(readiness={program: NODE_SERVER})
    assert (passing.not_ready, passing.reported, passing.unreported) == (
        {},
        (),
        {NODE_SERVER: f"{program}/findings {sentence}"},
    )


def test_what_the_watcher_says_is_reported(host, program):
    """Protects whoever relies on policies that are not enforced: verify has the watcher's warning, beside what the
    node server says.
    """
    policies = Finding("NetworkPolicy", "2 are not enforced", "pods are reached", "delete them", "warning")
    Program.answers = {"/readyz": READY, "/findings": answer(policies)}
    found = host.findings(readiness={program: WATCHER})
    assert found["NetworkPolicy: 2 are not enforced"].severity == "warning" and len(found) == 1
    Program.answers = {"/readyz": READY}
    assert list(read(readiness={program: WATCHER}).unreported) == [WATCHER]


def test_as_many_findings_as_there_can_be(program):
    """Protects a node on which all pods are broken: as many findings as the node server gives, as long as they get."""
    longest = Finding(*["\u00fc" * LONGEST] * 4)
    Program.answers = {"/readyz": READY, "/findings": answer(*[longest] * MOST)}
    passing = read(readiness={program: NODE_SERVER})
    assert (len(passing.reported), passing.unreported) == (MOST, {})


def test_who_is_asked_for_findings(program):
    """Protects programs that have none: only node server and watcher are asked. One that does not answer is one
    finding.
    """
    Program.answers = {"/readyz": READY}
    assert read(readiness={program: UNIT.name}) == read()
    passing = read(readiness={"http://127.0.0.1:9": NODE_SERVER})
    assert list(passing.not_ready) == [NODE_SERVER] and passing.unreported == {}


@pytest.mark.parametrize(
    "client", ["", "#!/bin/sh\nexec sleep 60\n", "#!/bin/sh\necho 'breth1 is no bridge' >&2; exit 1\n"]
)
def test_flows_that_can_not_be_read_hide_nothing(monkeypatch, tmp_path, client):
    """Protects all findings of a gateway, and the end of verify: its OpenFlow client is missing, waits for an
    ovs-vswitchd that hangs, or fails."""
    monkeypatch.setattr("ansible_collections.ovn.kubernetes.plugins.module_utils._openflow.client.TIMEOUT", 0.5)
    monkeypatch.setenv("PATH", str(tmp_path) if not client else f"{tmp_path}:/bin")
    if client:
        (tmp_path / "ovs-ofctl").write_text(client, encoding="utf-8")
        (tmp_path / "ovs-ofctl").chmod(0o755)
    passing = read(gateway={"nic": "", "bridge": "breth1"}, is_gateway=True)
    assert passing.flows is None and passing.no_flows


def test_echoes():
    """Protects the answers through the overlay: both IP versions, many at once, within the time."""
    ip("address add fd00::1/128 dev lo")
    assert silent(["127.0.0.1", "127.0.0.2", "192.0.2.1", "::1", "fd00::1", "fd00::9"], 0.5) == {"192.0.2.1", "fd00::9"}
    assert checksum(b"\x00\x01\xf2\x03\xf4\xf5\xf6\xf7") == 0x220D  # RFC 1071, 3
