# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What a host's own stack does for services, with real connections: client - host - overlay (a namespace that has the
services' and pods' addresses).
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess

import out_of_window
import pytest
from database_server import wait_for
from network_namespace import ip, load_nftables
from node_server import Node, network, pod

from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink import libraries
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import node as node_program
from ansible_collections.ovn.kubernetes.plugins.module_utils._services import nftables
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.host_networks import HostNetworks
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.service_cidrs import ServiceCIDR

SERVE = """
import socket, sys, threading
def serve(where):
    listener = socket.create_server(where)
    while True:
        connection, peer = listener.accept()
        connection.sendall(("%s:%d from %s" % (*connection.getsockname(), peer[0])).encode())
        connection.close()
addresses = [a.rpartition(":") for a in sys.argv[1:]]
threads = [threading.Thread(target=serve, args=((host, int(port)),)) for host, _colon, port in addresses]
[thread.start() for thread in threads]
print("listening", flush=True)
"""
ASK = """
import socket, sys
try:
    source = (sys.argv[1], 0) if sys.argv[1] else None
    server = sys.argv[2], int(sys.argv[3])
    connection = socket.create_connection(server, timeout=float(sys.argv[4]), source_address=source)
    if len(sys.argv) > 5:
        connection.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    data = b""
    while piece := connection.recv(4096):
        data += piece
    print(data.decode())
except TimeoutError:
    print("silence")
except OSError as exc:
    print(exc.strerror)
"""


def service(name, number, node_port, **spec):
    """A service with one port."""
    ports = [{"protocol": "TCP", "port": 80, **({"nodePort": node_port} if node_port else {})}]
    return {
        "metadata": {"namespace": "ns", "name": name},
        "spec": {
            "type": "NodePort" if node_port else "ClusterIP",
            "clusterIPs": [f"10.96.0.{number}"],
            "ports": ports,
            **spec,
        },
    }


def balancer(name, number, ingress, ranges):
    """A service of an outer balancer for some sources."""
    made = service(name, number, None, loadBalancerSourceRanges=ranges)
    made["spec"]["type"] = "LoadBalancer"
    made["status"] = {"loadBalancer": {"ingress": [{"ip": ingress}]}}
    return made


def endpoints(name, port, *addresses, node="node1"):
    """Its endpoint slice."""
    return {
        "metadata": {"namespace": "ns", "name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"protocol": "TCP", "port": port}],
        "endpoints": [{"addresses": [one], "nodeName": node, "conditions": {"ready": True}} for one in addresses],
    }


def node_object(name, address):
    """A node."""
    return {"metadata": {"name": name}, "status": {"addresses": [{"type": "InternalIP", "address": address}]}}


@pytest.fixture
def client(sandbox):
    """10.0.0.9 is another host of the cluster, 10.0.0.8 is outside."""
    place = sandbox("client")
    ip(f"link add eth0 type veth peer name eth0 netns {place.path}")
    ip("addr add 10.0.0.1/24 dev eth0")
    ip("link set eth0 up")
    for line in (
        "addr add 10.0.0.9/24 dev eth0",
        "addr add 10.0.0.8/24 dev eth0",
        "link set eth0 up",
        "link set lo up",
    ):
        place.run("ip", *line.split())
    return place


@pytest.fixture
def overlay(sandbox):
    """Behind the management port: cluster addresses, a pod, and the way back."""
    place = sandbox("overlay")
    ip(f"link add k8s-node1 type veth peer name inside netns {place.path}")
    ip("addr add 192.168.1.2/24 dev k8s-node1")
    ip("link set k8s-node1 up")
    for line in (
        "addr add 192.168.1.1/24 dev inside",
        "addr add 192.168.1.3/24 dev inside",
        "addr add 10.96.0.1/32 dev lo",
        "addr add 10.96.0.5/32 dev lo",
        "addr add 10.96.0.7/32 dev lo",
        "link set inside up",
        "link set lo up",
        "route add 10.0.0.0/24 via 192.168.1.2",
    ):
        place.run("ip", *line.split())
    ip("route add 10.96.0.0/16 via 192.168.1.1")
    ip("route add 192.168.2.0/24 via 192.168.1.1")
    with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as forwarding:
        forwarding.write("1")
    process = listen(
        "10.96.0.1:80", "10.96.0.5:80", "10.96.0.7:80", "192.168.1.3:8080", where=["nsenter", f"--net={place.path}"]
    )
    yield place
    process.kill()
    process.wait()


def listen(*addresses, where=()):
    """Serve at these addresses; the answer names the client."""
    process = subprocess.Popen([*where, "/usr/bin/python3", "-c", SERVE, *addresses], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "listening\n"
    return process


def ask(port, address="10.0.0.1", source="", where=None, more=(), patience=5):
    """The answer from there."""
    command = ["/usr/bin/python3", "-c", ASK, source, address, str(port), str(patience), *more]
    return (
        where.run(*command)
        if where
        else subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout
    ).strip()


@pytest.fixture
def host(namespace, tmp_path, client, overlay):
    """The host, with its server."""
    made = Node(tmp_path / "host", vswitchd=False)
    made.api.others = {
        # The third one's address is what the API server takes too: it must not take the others' rules with it.
        "nodes": [
            node_object("node1", "10.0.0.1"),
            node_object("node2", "10.0.0.9"),
            node_object("node3", "worker.example"),
            node_object("node4", "10.0.0.1 }; }; add table inet evil; table inet x { set y { type ipv4_addr; "),
        ],
        "services": [
            service("all", 1, 30001, externalIPs=["198.51.100.7"]),
            service("out", 5, None, externalIPs=["198.51.100.2"], externalTrafficPolicy="Local"),
            balancer("some", 7, "198.51.100.4", ["10.0.0.9/32", "203.0.113.0/24"]),
            balancer("bad", 8, "198.51.100.5", ["10.0.0.8/32", "nobody }; }; add table inet evil; {"]),
            service("away", 6, None, externalIPs=["198.51.100.3"], externalTrafficPolicy="Local"),
            service("stays", 2, 30002, externalTrafficPolicy="Local", type="LoadBalancer", healthCheckNodePort=30012),
            service(
                "elsewhere", 3, 30003, externalTrafficPolicy="Local", type="LoadBalancer", healthCheckNodePort=30013
            ),
            service("own", 4, 30004),
            service("talks", 17, 30007),
        ],
        "endpointslices": [
            endpoints("all", 8080, "192.168.1.3"),
            endpoints("out", 8080, "192.168.1.3"),
            endpoints("away", 8080, "192.168.2.3", node="node2"),
            endpoints("stays", 8080, "192.168.1.3"),
            endpoints("elsewhere", 8080, "192.168.2.3", node="node2"),
            endpoints("own", 6443, "10.0.0.1"),
        ],
    }
    made.start(wait=False)
    wait_for(lambda: "services: 5 node ports" in made.text(), f"the rules\n{made.text()}")
    yield made
    made.remove()


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


def test_an_address_outside_from_the_host_itself(host):
    """Protects the host's own connections to externalIPs and to a load balancer outside: they are balanced before they
    leave.
    """
    ip("route add default via 10.0.0.9")
    assert ask(80, "198.51.100.7") == "10.96.0.1:80 from 192.168.1.2"
    assert ask(80, "198.51.100.2") == "10.96.0.5:80 from 192.168.1.2"


def test_an_address_outside_from_elsewhere(host, client):
    """Protects externalIPs, and the addresses of a balancer outside, at hosts without a gateway: whoever sends packets
    for them to the host is served; with externalTrafficPolicy Local by the host's own endpoints, or not at all.
    """
    client.run("ip", "route", "add", "198.51.100.0/24", "via", "10.0.0.1")
    assert ask(80, "198.51.100.7", source="10.0.0.8", where=client) == "10.96.0.1:80 from 192.168.1.2"
    assert ask(80, "198.51.100.2", source="10.0.0.8", where=client) == "192.168.1.3:8080 from 192.168.1.2"
    assert ask(80, "198.51.100.2", source="10.0.0.9", where=client) == "192.168.1.3:8080 from 10.0.0.9"
    assert ask(80, "198.51.100.3", source="10.0.0.8", where=client, patience=1) == "silence"


def test_an_address_outside_for_some_sources(host, client):
    """Protects loadBalancerSourceRanges at hosts: everybody else is refused, also the host itself, and everybody where
    the ranges can't be read; a host that has the address itself may use it as its own address may.
    """
    client.run("ip", "route", "add", "198.51.100.0/24", "via", "10.0.0.1")
    ip("route add default via 10.0.0.9")
    assert ask(80, "198.51.100.4", source="10.0.0.9", where=client) == "10.96.0.7:80 from 192.168.1.2"
    assert ask(80, "198.51.100.4", source="10.0.0.8", where=client, patience=0.5) == "silence"
    assert ask(80, "198.51.100.4", patience=0.5) == "silence"
    assert "198.51.100.5" not in listed("outside4", "map")
    ranges = balancer("some", 7, "198.51.100.4", ["10.0.0.1/32"])
    host.api.change("MODIFIED", ranges, "services")
    ip("addr add 198.51.100.4/32 dev lo")
    wait_for(lambda: ask(80, "198.51.100.4", patience=0.5) == "10.96.0.7:80 from 192.168.1.2", "the host's own address")
    assert ask(80, "198.51.100.4", source="10.0.0.9", where=client, patience=0.5) == "silence"


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


def listed(name, kind="chain"):
    """The rules of a chain, or the elements of a map."""
    command = ["nft", "list", kind, "inet", "ovn_kubernetes", name]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


def test_addresses_of_other_hosts(host):
    """Protects the hosts' own connections (to the API server, to SSH, to the network's router) from a service that
    names a node's address, the router's, one of the overlay, a gateway's, or its next hop's.
    """
    host.stop()
    host.set_api_server(server=host.api.url, host_addresses={"10.55.0.11": "node2", "10.55.0.254": "*"})
    host.start(wait=False)
    ip("route add default via 10.0.0.254")
    other = node_object("node2", "10.0.0.9")
    other["metadata"]["annotations"] = {"ovn.kubernetes/default-routers": "10.44.0.1"}
    host.api.change("MODIFIED", other, "nodes")
    stolen = ["10.0.0.9", "10.0.0.1", "10.0.0.254", "192.168.1.3", "10.55.0.11", "10.55.0.254", "10.44.0.1"]
    host.api.change("ADDED", service("mallory", 9, None, externalIPs=stolen), "services")
    host.api.change("ADDED", service("other", 10, None, externalIPs=["198.51.100.8"]), "services")
    wait_for(
        lambda: "198.51.100.8 . tcp . 80 " in listed("outside4", "map"), "the rule of the address that is nobody's"
    )
    assert not [address for address in stolen if f" {address} . " in listed("outside4", "map")]
    told = {"ovn.kubernetes/default-routers": "10.0.0.254"}
    wait_for(lambda: host.api.annotations == told, "the host to tell its router")


def test_own_addresses_where_they_are_allowed(host, client):
    """Protects externalIPs at hosts' own addresses where the administrator allows them: they are served from outside
    and for the host itself, but for a port that a program of the host listens on; other hosts' are left to those hosts.
    """
    host.stop()
    host.set_api_server(server=host.api.url, external_ip_networks=["10.0.0.0/24"])
    ports = [{"name": str(port), "protocol": "TCP", "port": port} for port in (8443, 8444, 22)]
    web = service("all", 1, None, externalIPs=["10.0.0.1", "10.0.0.9"])
    web["spec"]["ports"] = [{"name": "", "protocol": "TCP", "port": 80}, *ports]
    own = listen("10.0.0.1:8444")
    try:
        host.api.change("MODIFIED", web, "services")
        host.start(wait=False)
        wait_for(lambda: "10.0.0.1 . tcp . 80 " in listed("outside4", "map"), f"the rules\n{host.text()}")
        assert ask(80, where=client) == ask(80) == "10.96.0.1:80 from 192.168.1.2"
        assert ask(8444, where=client).startswith("10.0.0.1:8444 from") and ask(8444).startswith("10.0.0.1:8444 from")
        assert "10.0.0.9" not in listed("outside4", "map") and "tcp . 22 " not in listed("outside4", "map")
        assert "tcp . 8443 " in listed("outside4", "map")
        later = listen("10.0.0.1:8443")
        try:
            wait_for(
                lambda: "tcp . 8443 " not in listed("outside4", "map"), "a program that came later to have its port"
            )
        finally:
            later.kill()
            later.wait()
        wait_for(lambda: "tcp . 8443 " in listed("outside4", "map"), "the port of a program that ended")
    finally:
        own.kill()
        own.wait()


def test_a_further_network_of_services(namespace, client, overlay):
    """Protects hosts' connections to services of a second ServiceCIDR: a route leads there, and stays while the object
    is there; networks that the host or the pods use are refused.
    """
    overlay.run("ip", "addr", "add", "10.200.0.7/32", "dev", "lo")
    process = listen("10.200.0.7:80", where=["nsenter", f"--net={overlay.path}"])
    networks = HostNetworks(
        "k8s-node1",
        ["192.168.0.0/16"],
        ["10.96.0.0/16", "100.64.0.0/16"],
        {4: "192.168.1.1"},
        {"10.77.0.1": "the API server"},
    )

    def objects(*cidrs):
        return [ServiceCIDR(one, "u", "", (one,)) for one in cidrs]

    def routes():
        listed = subprocess.run(["ip", "-json", "route"], check=True, capture_output=True, text=True, timeout=10).stdout
        return {one["dst"] for one in json.loads(listed) if str(one.get("protocol")) == "87"}

    try:
        wrong = ["10.0.0.0/24", "192.168.9.0/24", "10.77.0.0/16", "10.0.0.0/8"]
        good = ["10.200.0.0/16", "10.96.0.0/16", "10.96.9.0/24", "fd97::/108"]
        found = networks.converge(objects(*wrong, *good))
        assert routes() == {"10.200.0.0/16"} and set(good) <= set(found.networks)
        assert {name for name, reason in found.refusals.items() if reason} == set(wrong)
        assert "an address of" not in found.refusals["10.77.0.0/16"] and "API server" in found.refusals["10.77.0.0/16"]
        assert ask(80, "10.200.0.7") == "10.200.0.7:80 from 192.168.1.2"
        ip("route del 10.200.0.0/16")
        networks.converge(objects(*good))
        assert routes() == {"10.200.0.0/16"}
        assert networks.converge([]).networks == ("10.96.0.0/16", "100.64.0.0/16") and routes() == set()
    finally:
        process.kill()
        process.wait()


def test_a_node_port_of_a_service_in_a_further_network(host, client, overlay):
    """Protects node ports of services that have an address of a second ServiceCIDR: the connection goes into the
    overlay, not to the host's default router; the route goes with the object.
    """
    overlay.run("ip", "addr", "add", "10.200.0.7/32", "dev", "lo")
    ip("route add default via 10.0.0.9")
    process = listen("10.200.0.7:80", where=["nsenter", f"--net={overlay.path}"])
    try:
        made = service("far", 1, 30009)
        made["spec"]["clusterIPs"] = ["10.200.0.7"]
        host.api.change("ADDED", made, "services")
        host.api.change("ADDED", endpoints("far", 8080, "192.168.1.3"), "endpointslices")
        cidr = {"metadata": {"name": "more", "uid": "u1"}, "spec": {"cidrs": ["10.200.0.0/16"]}}
        host.api.change("ADDED", cidr, "servicecidrs")
        answer = "10.200.0.7:80 from 192.168.1.2"
        wait_for(lambda: ask(30009, where=client, patience=1) == answer, f"the route\n{host.text()}")
        host.api.change("DELETED", cidr, "servicecidrs")
        wait_for(lambda: ask(80, "10.200.0.7", patience=1) != answer, "the route to go")
    finally:
        process.kill()
        process.wait()
