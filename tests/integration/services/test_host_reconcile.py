# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What a host's own stack does for services, with real connections: client - host - overlay (a namespace that has the
services' and pods' addresses).
"""

from __future__ import annotations

import argparse
import pathlib
import subprocess

import out_of_window
import pytest
from database_server import wait_for
from network_namespace import load_nftables
from node_server import Node, network, pod

from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink import libraries
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import node as node_program
from ansible_collections.ovn.kubernetes.plugins.module_utils._services import nftables

from .host_stack import ask, listen, node_object, service


def test_a_node_port_at_the_hosts_own_address(host, client):
    """Protects node ports of hosts without a gateway: they lead to the service's cluster address, from outside and from
    the host itself.
    """
    assert ask(30001, where=client) == "10.96.0.1:80 from 192.168.1.2"
    assert ask(30001) == "10.96.0.1:80 from 192.168.1.2"


def test_a_connection_outlives_a_segment_out_of_its_window(host, client, overlay):
    """Protects connections from their own late segments, which conntrack calls invalid and does not translate: the host
    has no such connection, and would reset it (kubernetes/kubernetes#74839).
    """
    overlay.run("ip", "addr", "add", "10.96.0.17/32", "dev", "lo")
    with out_of_window.listener(("10.96.0.17", 80), where=overlay.path) as verdict:
        assert client.run(*out_of_window.CONNECT, "10.0.0.1", "30007") == "well\n"
        assert verdict() == "well\n"


def test_a_node_port_that_stays_on_the_host(host, client, overlay):
    """Protects externalTrafficPolicy Local: another host's address is kept, and a host without endpoint is silent, but
    for its own connections.
    """
    assert ask(30002, source="10.0.0.9", where=client) == "192.168.1.3:8080 from 10.0.0.9"
    # No way back but through this host: a stranger is answered in its name.
    assert ask(30002, source="10.0.0.8", where=client) == "192.168.1.3:8080 from 192.168.1.2"
    assert ask(30003, source="10.0.0.8", where=client, patience=1) == "silence"
    # A pod of another node: answered through this host, or not at all.
    overlay.run("ip", "addr", "add", "192.168.2.9/32", "dev", "inside")
    assert ask(30002, source="192.168.2.9", where=overlay) == "192.168.1.3:8080 from 192.168.1.2"
    assert ask(30003, source="192.168.2.9", where=overlay, patience=1) == "silence"
    assert ask(30002) == "192.168.1.3:8080 from 10.0.0.1"
    other = listen("10.0.0.9:30003", where=["nsenter", f"--net={client.path}"])
    try:
        assert ask(30003) == "10.0.0.9:30003 from 10.0.0.1"
    finally:
        other.kill()
        other.wait()


ECHO = """
import socket, sys
listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener.bind((sys.argv[1], int(sys.argv[2])))
print("listening", flush=True)
while True:
    data, peer = listener.recvfrom(100)
    listener.sendto(sys.argv[1].encode(), peer)
"""
TRY = """
import socket, sys, time
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.bind(("10.0.0.9", 40000))
client.settimeout(0.2)
print("asking", flush=True)
while True:
    try:
        client.sendto(b"x", ("10.0.0.1", 54330))
        answer = client.recv(100).decode()
        print(answer, flush=True)
        if answer == sys.argv[1]:
            break
    except OSError:
        print("nobody", flush=True)
        time.sleep(0.05)
"""


def datagrams(number):
    """A pod with a host port of UDP."""
    made = pod(f"udp{number}", annotation=network(number))
    made["spec"]["containers"] = [{"ports": [{"hostPort": 54330, "containerPort": 8080, "protocol": "UDP"}]}]
    return made


def echo(overlay, address):
    """Answer datagrams there with the address."""
    process = subprocess.Popen(
        ["nsenter", f"--net={overlay.path}", "/usr/bin/python3", "-c", ECHO, address, "8080"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "listening\n"
    return process


def asking(client, until):
    """Send from one port again and again, until this answer comes."""
    process = subprocess.Popen(
        ["nsenter", f"--net={client.path}", "/usr/bin/python3", "-c", TRY, until], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "asking\n"
    return process


def test_a_client_of_udp_that_was_there_before_its_pod(host, client, overlay):
    """Protects clients of UDP that send again and again from one port: what the kernel remembers of their first packet
    is forgotten.
    """
    processes = [echo(overlay, "192.168.1.3"), asking(client, "192.168.1.3")]
    try:
        assert processes[1].stdout.readline() == "nobody\n"
        host.api.change("ADDED", datagrams(3))
        processes[1].communicate(timeout=20)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_client_of_udp_whose_pod_was_deleted_without_a_server(host, client, overlay):
    """Protects clients of UDP over a restart of the server: where their port has another target since, they reach
    it."""
    overlay.run("ip", "addr", "add", "192.168.1.4/24", "dev", "inside")
    processes = [echo(overlay, "192.168.1.3"), echo(overlay, "192.168.1.4")]
    try:
        host.api.change("ADDED", datagrams(3))
        processes.append(asking(client, "192.168.1.3"))
        processes[-1].communicate(timeout=20)
        host.stop()
        host.api.change("DELETED", datagrams(3))
        host.api.change("ADDED", datagrams(4))
        host.start(wait=False)
        processes.append(asking(client, "192.168.1.4"))
        processes[-1].communicate(timeout=20)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def route_localnet(value=None):
    """The management link's setting; or set it."""
    path = pathlib.Path("/proc/sys/net/ipv4/conf/k8s-node1/route_localnet")
    if value is not None:
        path.write_text(value)
    return path.read_text().strip()


@pytest.mark.parametrize("what", ["ruleset", "table inet ovn_kubernetes"])
def test_rules_that_another_program_removes(host, client, what):
    """Protects services against a firewall's reload, which removes all tables: the rules are written again without a
    change of anything.
    """
    load_nftables()
    assert libraries.nftables().cmd("flush " + what)[0] == 0
    wait_for(nftables.has_rules, "the rules to come back")
    assert ask(30001, where=client) == "10.96.0.1:80 from 192.168.1.2"


def test_rules_that_can_not_be_written(namespace, tmp_path):
    """Protects the pods: a fault in services is reported, again and again, and the server still gives pods their
    interfaces.
    """
    made = Node(tmp_path / "host", vswitchd=False)
    try:
        wrong = service("wrong", 1, 30001)
        wrong["spec"]["ports"][0]["protocol"] = "NONE"
        made.api.others = {"nodes": [node_object("node1", "10.0.0.1")], "services": [wrong]}
        made.start(wait=False)
        wait_for(
            lambda: made.text().count("nftables can't take the rules of services") > 1,
            f"nftables to refuse\n{made.text()}",
        )
        status, text = made.http_get("/readyz")
        assert status == 503 and "nftables can't take the rules of services" in text and made.server.poll() is None
    finally:
        made.remove()


@pytest.mark.parametrize("kind", ["services", "endpointslices", "nodes"])
def test_services_that_never_came(namespace, tmp_path, kind):
    """Protects against a host that says that all is well and has no rules: it may not read what they are made of."""
    made = Node(tmp_path / "host", vswitchd=False)
    try:
        made.api.forbidden = {kind}
        made.start(wait=False)
        wait_for(lambda: f"/{kind}" in made.text(), "the refusal")
        wait_for(lambda: f"the API server has not sent its {kind} yet: " in made.http_get("/readyz")[1], "the reason")
        assert made.http_get("/readyz")[0] == 503
        made.api.forbidden = set()
        wait_for(lambda: "has not sent" not in made.http_get("/readyz")[1], "the rules to be made")
    finally:
        made.remove()


def test_loopback_addresses_are_for_the_hosts_own_programs(host):
    """Protects the host's own programs at a loopback address from a node port of the same number: OVN could not
    answer."""
    process = listen("127.0.0.1:30001")
    try:
        assert ask(30001, "127.0.0.1") == "127.0.0.1:30001 from 127.0.0.1"
    finally:
        process.kill()
        process.wait()


def test_rules_of_a_removed_node(host, monkeypatch, capsys):
    """Protects the host's loopback after the removal: neither rules are left, nor the setting that they guard. What
    others have added to the runtime's configuration, which goes then, is named.
    """
    load_nftables()
    host.stop()
    route_localnet("1")
    monkeypatch.setattr(node_program, "NODE_SETTINGS", str(host.folder / "node.json"))
    (host.folder / "node.json").write_text('{"name": "node1"}')
    conflist = host.folder / "cni.conflist"
    conflist.write_text('{"plugins": [{"type": "ovn-k8s-cni-overlay"}, {"type": "istio-cni"}]}')
    options = argparse.Namespace(kubernetes=str(host.folder / "no.json"), node="node1", cni_configuration=str(conflist))
    rules = "the rules of services are removed\n"
    for said in (f"{conflist} goes with istio-cni, which others have added to it\n{rules}", ""):
        node_program.clear(options)
        conflist.unlink(missing_ok=True)
        assert (capsys.readouterr().out, nftables.exists(), route_localnet()) == (said, False, "0")


def test_health_checks_follow_the_endpoints(host, client):
    """Protects load balancers outside: they send nothing to a host without endpoints."""
    good, bad = (ask(port, where=client, more=["http"]) for port in (30012, 30013))
    assert good.startswith("HTTP/1.0 200 OK") and '"localEndpoints": 1' in good
    assert bad.startswith("HTTP/1.0 503 Service Unavailable") and '"localEndpoints": 0' in bad


def test_a_service_that_the_host_is_an_endpoint_of(host, client):
    """Protects a master's own programs, and its node ports: through OVN, the packet would come back with the host's own
    address, and be dropped.
    """
    process = listen("10.0.0.1:6443")
    try:
        assert ask(80, "10.96.0.4").startswith("10.0.0.1:6443 from")
        assert ask(30004, where=client).startswith("10.0.0.1:6443 from 10.0.0.")
    finally:
        process.kill()
        process.wait()


def test_host_ports_of_several_pods(host, overlay, client):
    """Protects hostPort: one port, told apart by the host's address; and no other host reaches the host's loopback
    through the overlay, then or later.
    """
    overlay.run("ip", "addr", "add", "192.168.1.4/24", "dev", "inside")
    more = listen("192.168.1.4:8080", "192.168.1.4:8081", where=["nsenter", f"--net={overlay.path}"])
    inner, made_pods = listen("127.0.0.9:54324"), []
    try:
        # What it says is another pod's; and what nobody can read.
        for name, annotation in (("copied", network(3)), ("deep", "[" * 100_000)):
            made = pod(name, annotation=annotation, written_for="uid-2" if name == "copied" else None)
            made["spec"]["containers"] = [
                {"ports": [{"hostPort": 54323, "hostIP": "127.0.0.1", "containerPort": 8079}]}
            ]
            host.api.change("ADDED", made)
        for name, number, ports in (
            ("bogus", 9, [{"hostPort": 54326, "hostIP": "bogus", "containerPort": 8080}]),
            ("evil", 9, [{"hostPort": 54326, "hostIP": "10.0.0.1 drop; }; chain evil {", "containerPort": 8080}]),
            ("mine", 3, [{"hostPort": 54323, "hostIP": "127.0.0.1", "containerPort": 8080}]),
            (
                "all",
                4,
                [
                    {"hostPort": 54323, "hostIP": "10.0.0.1", "containerPort": 8080},
                    {"hostPort": 54325, "containerPort": 8081},
                ],
            ),
        ):
            made = pod(name, annotation=network(number))
            made["spec"]["containers"] = [{"ports": ports}]
            made_pods.append(made)
            host.api.change("ADDED", made)
        wait_for(lambda: "3 host ports" in host.text(), f"the host ports\n{host.text()}")
        for source in ("10.0.0.1", ""):
            assert ask(54323, "127.0.0.1", source=source) == "192.168.1.3:8080 from 192.168.1.2"
        assert ask(54325, "127.0.0.1") == "192.168.1.4:8081 from 192.168.1.2"
        assert (
            ask(54323, where=client) == "192.168.1.4:8080 from 192.168.1.2"
            and ask(54325, where=client) == "192.168.1.4:8081 from 192.168.1.2"
        )
        overlay.run("sysctl", "-qw", "net.ipv4.conf.inside.route_localnet=1")
        overlay.run("ip", "route", "del", "local", "127.0.0.0/8", "dev", "lo", "table", "local")
        overlay.run("ip", "route", "add", "127.0.0.9", "via", "192.168.1.2", "dev", "inside")
        assert ask(54324, "127.0.0.9", source="192.168.1.4", where=overlay, patience=1) == "silence"
        for made in made_pods:
            host.api.change("DELETED", made)
        wait_for(lambda: "0 host ports" in host.text().rpartition("3 host ports")[2], "the host ports to go")
        wait_for(lambda: route_localnet() == "0", "the link to carry loopback addresses no more")
        assert ask(54324, "127.0.0.9", source="192.168.1.4", where=overlay, patience=1) == "silence"
        route_localnet("1")  # as somebody else may have left it
        assert ask(54324, "127.0.0.9", source="192.168.1.4", where=overlay, patience=1) == "silence"
    finally:
        for process in (more, inner):
            process.kill()
            process.wait()


def test_a_host_port_that_the_host_listens_on(host, client):
    """Protects the host's own programs (SSH, the API server) from a pod that asks for their port, from outside and for
    the host itself.
    """
    own = listen("10.0.0.1:54330")
    try:
        made = pod("greedy", annotation=network(3))
        ports = [{"hostPort": 54330, "containerPort": 8080}, {"hostPort": 54331, "containerPort": 8080}]
        made["spec"]["containers"] = [{"ports": ports}]
        host.api.change("ADDED", made)
        wait_for(lambda: "2 host ports" in host.text(), f"the host ports\n{host.text()}")
        assert ask(54331, where=client) == "192.168.1.3:8080 from 192.168.1.2"
        assert ask(54330, where=client).startswith("10.0.0.1:54330 from") and ask(54330).startswith("10.0.0.1:54330 ")
        assert "host port 54330/tcp of a pod is not served at 10.0.0.1: a program of this host" in host.text()
    finally:
        own.kill()
        own.wait()
    wait_for(lambda: ask(54330, where=client) == "192.168.1.3:8080 from 192.168.1.2", "the port that is free now")
