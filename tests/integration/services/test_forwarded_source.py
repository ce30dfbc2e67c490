# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects network policies, which let a host's own connections pass: what it forwards has another source, of both
families, and nobody gets the host's own one.
"""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess

import pytest
from database_server import Server, wait_for
from network_namespace import ip, load_nftables
from node_server import network, pod

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import DatabaseError
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink import libraries
from ansible_collections.ovn.kubernetes.plugins.module_utils._services import forwarded_source, nftables
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.forwarded_source import ForwardedSource
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.host_rule_records import (
    HostRules,
    NodePortRule,
    NodePortTargets,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.model import Target

from .host_stack import ask, service

OWN = {4: "192.168.1.2", 6: "fd10:128:0:1::2"}
FORWARDED = {4: "192.168.1.0", 6: "fd10:128:0:1::"}
POD = {4: "192.168.1.3", 6: "fd10:128:0:1::3"}
HOST, OUTSIDE, OTHER_HOST = {4: "10.0.0.1", 6: "fd00::1"}, {4: "10.0.0.8", 6: "fd00::8"}, {4: "10.0.0.9", 6: "fd00::9"}
SERVICE, NODE_PORT, LOCAL_NODE_PORT = {4: "10.96.0.1", 6: "fd96::1"}, {4: 30001, 6: 30008}, {4: 30002, 6: 30010}
# Another address of the host, on its loopback: the link to the client has none that the client can take too.
ALSO_HOST = {4: "10.0.7.7", 6: "fd00:7::7"}
VERSIONS = pytest.mark.parametrize("version", [4, 6])
HEAR = """
import socket, sys
hearing = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
hearing.bind((sys.argv[1], int(sys.argv[2])))
print("hearing", flush=True)
ended = 0
while True:
    data, peer = hearing.recvfrom(100)
    print(data.decode(), "from", peer[0], flush=True)
    if data == b"end" and (ended := ended + 1) == 2:
        break
"""
SAY = """
import socket, sys
saying = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
saying.bind((sys.argv[1], 0))
saying.sendto(sys.argv[4].encode(), (sys.argv[2], int(sys.argv[3])))
"""
ANSWER_LINES = """
import socket, sys
listener = socket.create_server((sys.argv[1], 80), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
print("listening", flush=True)
connection, peer = listener.accept()
while connection.recv(1):
    connection.sendall((peer[0] + "\\n").encode())
"""
ASK_LINES = """
import socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5)
for _line in sys.stdin:
    connection.sendall(b"?")
    print(connection.makefile().readline().strip(), flush=True)
"""


ECHO = """
import socket, sys
hearing = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
hearing.bind((sys.argv[1], int(sys.argv[2])))
print("hearing", flush=True)
while True:
    _data, peer = hearing.recvfrom(100)
    hearing.sendto(peer[0].encode(), peer)
"""
KEEP_ASKING = """
import socket, sys, time
asking = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
asking.bind((sys.argv[1], 0))
asking.settimeout(0.2)
seen = ""
while seen != sys.argv[4]:
    try:
        asking.sendto(b"?", (sys.argv[2], int(sys.argv[3])))
        answer = asking.recv(100).decode()
    except OSError:
        continue
    if answer != seen:
        print(answer, flush=True)
    seen = answer
    time.sleep(0.02)
"""


def begin(where, code, *arguments):
    """Start a program in that namespace; None: on the host."""
    into = ["nsenter", f"--net={where.path}"] if where else []
    return subprocess.Popen(
        [*into, "/usr/bin/python3", "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def end(process):
    """End it."""
    process.kill()
    process.communicate()


def rules(version, port):
    """A host's rules without services of Kubernetes."""
    return HostRules("k8s-node1", ("192.168.0.0/16", "fd10:128::/48"), (HOST[version],), (port,))


@VERSIONS
def test_who_comes_by_a_node_port_is_not_the_host(host, client, version):
    """Protects pods under a default deny from everybody who reaches a host: clients outside, and other hosts."""
    served = f"{SERVICE[version]}:80 from "
    for source in (OUTSIDE, OTHER_HOST):
        found = ask(NODE_PORT[version], HOST[version], source=source[version], where=client)
        assert found == served + FORWARDED[version]
    stays = f"{POD[version]}:8080 from "
    assert ask(LOCAL_NODE_PORT[version], HOST[version], source=OUTSIDE[version], where=client) == (
        stays + FORWARDED[version]
    )
    # Another host keeps its own address, as before: it is not this host's either.
    assert ask(LOCAL_NODE_PORT[version], HOST[version], source=OTHER_HOST[version], where=client) == (
        stays + OTHER_HOST[version]
    )


@VERSIONS
def test_the_host_itself_has_its_own_address(host, version):
    """Protects the kubelet's probes, and the host's connections to services and to its own node ports."""
    assert ask(8080, POD[version]) == f"{POD[version]}:8080 from {OWN[version]}"
    assert ask(80, SERVICE[version]) == f"{SERVICE[version]}:80 from {OWN[version]}"
    assert ask(NODE_PORT[version], HOST[version]) == f"{SERVICE[version]}:80 from {OWN[version]}"


@VERSIONS
def test_nobody_is_at_the_other_address(host, overlay, version):
    """Protects the host's programs: at this address pods reach none of them, and get no answer that would end one of
    their connections. Of IPv6 it is the host's too, for the kernel of a host that forwards (RFC 4291, 2.6.1).
    """
    program = begin(None, HEAR, "::" if version == 6 else "0.0.0.0", 54340)
    try:
        assert program.stdout.readline() == "hearing\n"
        for to, text in ((FORWARDED, "nobody"), (OWN, "end"), (FORWARDED, "nobody"), (OWN, "end")):
            overlay.run("/usr/bin/python3", "-c", SAY, POD[version], to[version], "54340", text)
        assert program.communicate(timeout=20)[0] == f"end from {POD[version]}\n" * 2
        assert ask(54340, FORWARDED[version], where=overlay, patience=4) == "silence"
    finally:
        end(program)


@VERSIONS
def test_nobody_outside_speaks_for_the_overlay(namespace, client, overlay, version):
    """Protects what policies allow by its source: from outside nobody sends with an address of the host or of a pod,
    neither to a pod nor to a node port. One datagram may be enough for an attacker, so answers count for nothing.
    """
    load_nftables()
    port = NodePortRule("udp", 30020, (NodePortTargets(version, (Target(POD[version], 8080),)),))
    nftables.write(dataclasses.replace(rules(version, port), forwarded=(FORWARDED[version],)))
    single = "/128" if version == 6 else "/32"
    ip(f"addr add {ALSO_HOST[version]}{single} dev lo")
    client.run("ip", "route", "add", POD[version] + single, "via", HOST[version])

    def say(source, text):
        for to in ((POD[version], "8080"), (HOST[version], "30020")):
            client.run("/usr/bin/python3", "-c", SAY, source, *to, text)

    pod = begin(overlay, HEAR, POD[version], 8080)
    try:
        assert pod.stdout.readline() == "hearing\n"
        for false in (OWN[version], FORWARDED[version], POD[version][:-1] + "9", ALSO_HOST[version]):
            client.run("ip", "addr", "add", false + single, "dev", "eth0", *(["nodad"] if version == 6 else []))
            say(false, "false")
        say(OUTSIDE[version], "end")
        assert pod.communicate(timeout=20)[0] == f"end from {OUTSIDE[version]}\nend from {FORWARDED[version]}\n"
    finally:
        end(pod)


def test_rules_of_others_that_masquerade(host, client):
    """Protects against Docker's rules and administrators' own ones, which would give clients the host's address,
    whoever came first.
    """
    load_nftables()
    chain = "chain c { type nat hook postrouting priority srcnat; oifname k8s-node1 masquerade; };"
    assert libraries.nftables().cmd(f"table inet others {{ {chain} }}") == (0, "", "")
    assert ask(30001, where=client) == "10.96.0.1:80 from 192.168.1.0"


@VERSIONS
def test_a_connection_from_before_the_upgrade(namespace, client, overlay, version):
    """Protects connections through a host whose programs are replaced: they go on as they are, and later ones have the
    new source.
    """
    load_nftables()
    target = {4: "10.96.0.20", 6: "fd96::20"}[version]
    overlay.run("ip", "addr", "add", target, "dev", "lo")
    old_rules = rules(version, NodePortRule("tcp", 30020, (NodePortTargets(version, (Target(target, 80),)),)))
    nftables.write(old_rules)
    processes = [begin(overlay, ANSWER_LINES, target)]
    try:
        assert processes[0].stdout.readline() == "listening\n"
        processes.append(begin(client, ASK_LINES, HOST[version], 30020))
        old = processes[1]

        def answer():
            old.stdin.write("\n")
            old.stdin.flush()
            return old.stdout.readline().strip()

        assert answer() == OWN[version]
        nftables.write(dataclasses.replace(old_rules, forwarded=(FORWARDED[version],)))
        assert answer() == OWN[version]
        end(processes.pop(0))
        processes.insert(0, begin(overlay, ANSWER_LINES, target))
        assert processes[0].stdout.readline() == "listening\n"
        processes.append(begin(client, ASK_LINES, HOST[version], 30020))
        assert processes[2].communicate("\n", timeout=20)[0] == FORWARDED[version] + "\n"
    finally:
        for process in processes:
            end(process)


def test_clients_of_udp_from_before_the_upgrade(host, client, overlay):
    """Protects pods under a default deny from who has sent to them before the upgrade, and never pauses: of UDP there
    is no connection that ends. Node ports, addresses outside and host ports of both families.
    """
    targets, outside = {4: "10.96.0.40", 6: "fd96::40"}, {4: "198.51.100.40", 6: "2001:db8::40"}
    host.stop()
    for version, target in targets.items():
        made = service(f"udp{version}", 40, 30040 + version, clusterIPs=[target], externalIPs=[outside[version]])
        made["spec"]["ports"][0]["protocol"] = "UDP"
        host.api.others["services"].append(made)
        overlay.run("ip", "addr", "add", target, "dev", "lo")
        client.run("ip", "route", "add", outside[version], "via", HOST[version])
    default = {**network(), "ip_addresses": [f"{POD[4]}/24", f"{POD[6]}/64"]}
    made = pod("udp", annotation=network(), **{"k8s.ovn.org/pod-networks": json.dumps({"default": default})})
    made["spec"]["containers"] = [{"ports": [{"hostPort": 54330, "containerPort": 8081, "protocol": "UDP"}]}]
    host.api.change("ADDED", made)
    host.start(wait=False)
    wait_for(lambda: re.search("9 node ports, .* 2 host ports", host.text()), f"the rules\n{host.text()}", 120)
    host.stop()
    load_nftables()
    script = "flush chain inet ovn_kubernetes source; add rule inet ovn_kubernetes source masquerade"
    assert libraries.nftables().cmd(script) == (0, "", "")  # as an earlier release has it
    processes, asking = [], {}
    try:
        for version, target in targets.items():
            for where in ((target, 80), (POD[version], 8081)):
                processes.append(begin(overlay, ECHO, *where))
                assert processes[-1].stdout.readline() == "hearing\n"
            for name, (address, port) in {
                "node port": (HOST[version], 30040 + version),
                "address outside": (outside[version], 80),
                "host port": (HOST[version], 54330),
            }.items():
                one = begin(client, KEEP_ASKING, OUTSIDE[version], address, port, FORWARDED[version])
                processes.append(one)
                assert one.stdout.readline().strip() == OWN[version], name
                asking[name, version] = one
        host.start(wait=False)
        for (name, version), one in asking.items():
            assert one.communicate(timeout=120)[0].strip() == FORWARDED[version], name
    finally:
        for process in processes:
            end(process)


def test_a_database_that_does_not_answer_is_asked_again(caplog, monkeypatch):
    """Protects clients of node ports whose answers are not led back yet, where the database was away when their host
    began: it is asked again until it says so, not at each change of a service, and the log has it once.
    """
    clock = [1000.0]
    monkeypatch.setattr(forwarded_source.time, "monotonic", lambda: clock[0])
    asked = []
    answers = []

    def answer(_self):
        asked.append(clock[0])
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(ForwardedSource, "_known_addresses", answer)
    source = ForwardedSource("node1", ("192.168.1.0/24", "fd10:128:0:1::/64"), "tcp:127.0.0.1:1")
    addresses = tuple(FORWARDED.values())

    def read(*found):
        answers[:] = found
        clock[0] += forwarded_source.SILENCE
        result = source.read()
        assert not answers
        return result, source.is_led

    away = DatabaseError("away")
    assert read(away) == (addresses, None)
    assert source.read() == addresses and len(asked) == 1  # at once: nobody waits for it again
    assert read(away) == (addresses, None)
    assert caplog.text.count("does not say which addresses") == 1
    assert read(None) == (addresses, None)
    assert read({OWN[4]}) == ((), False)
    assert read(away) == ((), False)
    assert read({*addresses, OWN[4]}) == (addresses, True)
    assert read() == (addresses, True)
    assert caplog.text.count("does not say which addresses") == 1
    assert caplog.text.count("network policies take clients of node ports for the host") == 1


def test_a_host_that_is_upgraded_before_the_rows(caplog):
    """Protects clients of node ports during an upgrade: until the overlay leads answers to the new source back, the
    former one is used. A database that does not answer is no reason to let everybody in.
    """
    server = Server("ovn-sb", "OVN_Southbound")
    subnets = ("192.168.1.0/24", "fd10:128:0:1::/64")
    try:
        source = ForwardedSource("node1", subnets, server.remote)
        own = "0a:58:c0:a8:01:02 192.168.1.2 fd10:128:0:1::2"
        row = {"logical_port": "k8s-node1", "tunnel_key": 1, "mac": own, "datapath": ["named-uuid", "d"]}
        server.transact(
            {"op": "insert", "table": "Datapath_Binding", "uuid-name": "d", "row": {"tunnel_key": 1}},
            {"op": "insert", "table": "Port_Binding", "row": row},
        )
        assert (source.read(), source.read(), source.is_led) == ((), (), False)
        assert caplog.text.count("network policies take clients of node ports for the host") == 1
        for mac, expected in (
            (f"{own} 192.168.1.0", ()),
            (f"{own} 192.168.1.0 fd10:128:0:1::", tuple(FORWARDED.values())),
        ):
            change = {"op": "update", "table": "Port_Binding", "where": [], "row": {"mac": mac}}
            server.transact(change)
            assert source.read() == expected
        assert source.is_led
        new = ForwardedSource("node2", subnets[:1], server.remote)  # its rows come later than its programs
        assert new.read() == ("192.168.1.0",) and new.is_led is None
    finally:
        server.remove()
    away = ForwardedSource("node1", subnets, server.remote)
    assert away.read() == tuple(FORWARDED.values()) and away.is_led is None
    assert ForwardedSource("node1").read() == ()
