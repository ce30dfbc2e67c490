# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The gateway helper on a real bridge: which way packets go.

The flows are there when they should be, and only then (W23).
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys

import pytest
from network_namespace import ip, namespace, router

from .shared_host import FOREIGN, MAC, SharedHost


@pytest.fixture
def host():
    """A host whose NIC is in its bridge."""
    with namespace():
        made = SharedHost()
        try:
            yield made
        finally:
            made.remove()


# An echo server for datagrams of IPv6; and all that comes of a protocol, by its size.
ECHO = """
import socket
one = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); one.bind(("::", 8099)); print("ready", flush=True)
while True:
    data, peer = one.recvfrom(65000); one.sendto(data, peer)
"""
HEAR = """
import socket, sys
one = socket.socket(socket.AF_INET6 if sys.argv[1] == "6" else socket.AF_INET, socket.SOCK_RAW, int(sys.argv[2]))
one.settimeout(20); print("ready", flush=True)
while True:
    data = one.recv(65000); print(len(data) - (20 if sys.argv[1] == "4" else 0), flush=True)
"""
SEND = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
for size in map(int, sys.argv[3:]):
    socket.socket(family, socket.SOCK_RAW, int(sys.argv[2])).sendto(bytes(size), (sys.argv[1], 0))
"""
ASK = """
import socket, sys
one = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); one.settimeout(2); one.connect((sys.argv[1], 8099))
one.send(bytes(int(sys.argv[2])))
try:
    print(len(one.recv(65000)))
except OSError as error:
    print(error)
"""
IN, OUT, POD = f"in_port=eth0,dl_dst={MAC}", "in_port=LOCAL", "in_port=p1"
ARP = "dl_src=aa:aa:aa:00:00:01,arp"
WAYS = [
    # What comes in and answers nobody is the host's.
    (f"{IN},tcp,nw_dst=10.44.0.12,tcp_dst=22", {"host"}),
    (f"{IN},tcp6,ipv6_dst=fd44::12,tcp_dst=22", {"host"}),
    (f"{IN},icmp,nw_dst=10.44.0.12,icmp_type=8", {"host"}),
    # Errors that conntrack does not know may be about the host's packets or a service's.
    (f"{IN},icmp,nw_dst=10.44.0.12,icmp_type=3,icmp_code=4", {"host", "router"}),
    (f"{IN},icmp6,ipv6_dst=fd44::12,icmpv6_type=2", {"host", "router"}),
    # Node ports, whole and in fragments; other ports are not touched, nor are other addresses.
    (f"{IN},tcp,nw_dst=10.44.0.12,tcp_dst=30080", {"router"}),
    (f"{IN},tcp,nw_dst=10.44.0.12,tcp_dst=30081", {"host"}),
    (f"{IN},udp,nw_dst=10.44.0.12,udp_dst=30080", {"host"}),
    (f"{IN},tcp,nw_dst=10.44.0.99,tcp_dst=30080", {"host"}),
    (f"{IN},sctp6,ipv6_dst=fd44::12,sctp_dst=30082", {"router"}),
    (f"{POD},tcp,nw_src=10.44.0.12,tcp_src=30080", {"outside"}),
    # Where pods see the client's address, the host balances for other hosts, which pods answer past the router.
    *(
        (f"{IN},tcp,nw_src={source},nw_dst=10.44.0.12,tcp_dst={port}", {where})
        for source, port, where in (
            ("10.44.0.11", 30090, "host"),
            ("10.44.0.50", 30090, "router"),
            ("10.44.0.11", 30080, "router"),
        )
    ),
    (f"{IN},tcp6,ipv6_src=fd44::11,ipv6_dst=fd44::12,tcp_dst=30090", {"host"}),
    (f"{IN},tcp6,ipv6_src=fd44::50,ipv6_dst=fd44::12,tcp_dst=30090", {"router"}),
    # Tunnels.
    (f"{IN},udp,nw_dst=10.44.0.12,udp_dst=6081", {"host"}),
    (f"{OUT},udp,nw_src=10.44.0.12,udp_dst=6081", {"outside"}),
    # Neighbours: both hear answers, the host alone is asked for the address of both.
    (f"in_port=eth0,dl_dst=ff:ff:ff:ff:ff:ff,{ARP},arp_op=1,arp_tpa=10.44.0.12", {"host"}),
    (f"in_port=eth0,dl_dst=ff:ff:ff:ff:ff:ff,{ARP},arp_op=1,arp_tpa=10.44.0.99", {"as without us"}),
    (f"in_port=eth0,dl_dst={MAC},{ARP},arp_op=2,arp_tpa=10.44.0.12", {"host", "router"}),
    ("in_port=eth0,dl_dst=33:33:ff:00:00:12,icmp6,icmpv6_type=135,nd_target=fd44::12", {"host"}),
    (f"{IN},icmp6,icmpv6_type=136", {"host", "router"}),
    (f"{IN},icmp6,icmpv6_type=134", {"host", "router"}),
    ("in_port=eth0,dl_dst=33:33:00:00:00:01,icmp6,icmpv6_type=134", {"as without us"}),
    # What leaves.
    (f"{OUT},tcp,nw_src=10.44.0.12,tcp_dst=443", {"outside"}),
    (f"{OUT},{ARP},arp_op=1", {"outside"}),
    (f"{POD},tcp,nw_src=10.44.0.12,tcp_dst=443", {"outside"}),
    (f"{POD},icmp6,icmpv6_type=135", {"outside"}),
    (f"{POD},{ARP},arp_op=1", {"outside"}),
    # Protocols that SNAT can't keep apart are the host's alone, in both directions.
    *(
        (f"{way},{version},nw_proto={number}{more}", where)
        for version, number, more in (
            *((version, number, "") for version in ("ip", "ipv6") for number in (4, 41, 47, 50, 51, 89, 115)),
            *(("ip", number, ",ip_frag=" + part) for number in (50, 47) for part in ("first", "later")),
        )
        for way, where in ((POD, set()), (IN, {"host"}), (OUT, {"outside"}))
    ),
    (f"{POD},ip,nw_proto=17,ip_frag=later", {"outside"}),
    (f"{POD},udp,nw_src=10.44.0.12,udp_src=20000,udp_dst=4500", {"outside"}),
    (f"{POD},sctp6,sctp_dst=5", {"outside"}),
    (f"{POD},icmp,icmp_type=8", {"outside"}),
    *((f"{IN},udp,nw_dst=10.44.0.12,udp_src={port},udp_dst={port}", {"host"}) for port in (500, 4500)),
    # Tagged packets are others' affair.
    (f"{IN},dl_vlan=7,tcp,nw_dst=10.44.0.12,tcp_dst=30080", {"as without us"}),
]


def test_ways(host):
    """Protects every decision that needs no connection tracking.

    The others are in tests/e2e/test_shared_gateway.py.
    """
    host.router()
    host.southbound.transact(
        {
            "op": "insert",
            "table": "Load_Balancer",
            "row": {"name": "a", "protocol": "tcp", "vips": ["map", [["10.44.0.12:30080", "192.168.1.3:80"]]]},
        },
        {
            "op": "insert",
            "table": "Load_Balancer",
            "row": {"name": "b", "protocol": "sctp", "vips": ["map", [["[fd44::12]:30082", "[fd10::3]:80"]]]},
        },
        {
            "op": "insert",
            "table": "Load_Balancer",
            "row": {
                "name": "c",
                "protocol": "tcp",
                "vips": ["map", [["10.44.0.12:30090", "192.168.1.3:80"], ["[fd44::12]:30090", "[fd10::3]:80"]]],
                "options": ["map", [["skip_snat", "true"]]],
            },
        },
        *(
            {
                "op": "insert",
                "table": "Address_Set",
                "row": {"name": f"ovn_kubernetes_hosts_IPv{version}", "addresses": ["set", [address, own]]},
            }
            for version, address, own in ((4, "10.44.0.11", "10.44.0.12"), (6, "fd44::11", "fd44::12"))
        ),
    )
    host.help()
    host.until(lambda: any("tp_dst=30082" in line for line in host.flows()), "the node ports")
    assert {packet: host.goes(packet) for packet, _ports in WAYS} == dict(WAYS)


def test_a_port_that_the_host_listens_on(host):
    """Protects the host's own programs (SSH, the API server): a load balancer at the host's address does not get their
    port.
    """
    host.router()
    vips = [["10.44.0.12:2222", "192.168.1.3:80"], ["10.44.0.12:30080", "192.168.1.3:80"]]
    host.southbound.transact(
        {"op": "insert", "table": "Load_Balancer", "row": {"name": "a", "protocol": "tcp", "vips": ["map", vips]}}
    )
    with socket.create_server(("0.0.0.0", 2222)):
        host.help()
        host.until(lambda: any("tp_dst=30080" in line for line in host.flows()), "the node port")
        assert not any("tp_dst=2222" in line for line in host.flows())
    ip("address add 10.44.0.13/24 dev breth0")
    host.until(lambda: any("tp_dst=2222" in line for line in host.flows()), "the port that nobody has any more")


def test_the_flows_follow_what_they_are_made_from(host):
    """Protects: the flows follow the gateway router's port, services, addresses and port numbers.

    Services and port numbers take effect within a second.
    """
    host.tool("ovs-ofctl", "add-flow", "breth0", FOREIGN)
    host.help()
    host.router()
    lines = host.parted()
    balancer = {"name": "a", "protocol": "tcp", "vips": ["map", [["10.44.0.12:30080", ""]]]}
    insert, delete = (
        {"op": "insert", "table": "Load_Balancer", "row": balancer},
        {"op": "delete", "table": "Load_Balancer", "where": []},
    )
    services = []  # how many there are wanted, the last one last

    def serve(count):
        host.southbound.transact(insert if count else delete)
        services.append(count)

    host.soon(
        [lambda count=count: serve(count) for count in (1, 0, 1, 0)],
        lambda: len(host.flows()) == len(lines) + 3 * services[-1],
        "the service's flows",
    )
    host.southbound.transact(delete)
    ip("address add 10.44.0.13/24 dev breth0")
    host.until(lambda: any("arp_tpa=10.44.0.13" in line for line in host.flows()), "the address")
    ip("address del 10.44.0.13/24 dev breth0")
    host.until(lambda: host.flows() == lines, "the address's end")
    numbers = []

    def renumber(number):
        host.vsctl(
            "del-port",
            "breth0",
            "eth0",
            "--",
            "add-port",
            "breth0",
            "eth0",
            "--",
            "set",
            "Interface",
            "eth0",
            f"ofport_request={number}",
        )
        numbers.append(number)

    host.soon(
        [lambda number=number: renumber(number) for number in (8, 9, 10)],
        lambda: (
            host.flows() == sorted(re.sub(r"\b(in_port=|output:)5\b", rf"\g<1>{numbers[-1]}", line) for line in lines)
        ),
        "the NIC's new number",
    )
    host.vsctl("del-port", "breth0", "p1")
    host.until(lambda: host.flows() == [], "the end of the flows with the router's port")
    # What others have there, and what the bridge does of itself, was never touched.
    others = host.flows("cookie=0/0")
    assert (
        len(others) == 2
        and any("cookie=0x7" in line for line in others)
        and any("priority=0 actions=NORMAL" in line for line in others)
    )


def test_w23_flows_come_back(host):
    """Protects against a bridge that stays without flows: deleted or changed by somebody, or lost with ovs-vswitchd.

    They are back within a second, by notifications alone.
    """
    host.router()
    host.help()
    lines = host.parted(66)
    for what, act in (
        ("the deleted flows", lambda: host.tool("ovs-ofctl", "del-flows", "breth0")),
        ("the changed flows", lambda: host.tool("ovs-ofctl", "mod-flows", "breth0", "table=1,actions=drop")),
        ("the flows of the new ovs-vswitchd", host.restart),
    ):
        host.soon([act] * 3, lambda: host.flows() == lines, what)
    assert "Unknown child" not in (host.directory / "helper.log").read_text()


def test_another_nic_is_shared(host):
    """Protects a bridge that stays when another NIC is shared.

    Flows for a router that does not exist any more would take the packets for the pods.
    """
    host.router()
    host.help()
    host.parted()
    host.helper.kill()
    host.helper.wait(10)
    host.tool("ovs-ofctl", "add-flow", "breth0", FOREIGN)
    host.vsctl(
        "add-br",
        "breth1",
        "--",
        "set",
        "Bridge",
        "breth1",
        "datapath_type=netdev",
        "external_ids:bridge-uplink=eth1",
        "--",
        "add-port",
        "breth1",
        "eth1",
        "--",
        "set",
        "Interface",
        "eth1",
        "type=internal",
    )
    host.help("--physical-bridge=breth1")
    host.until(lambda: host.flows() == [], "the end of the flows on the bridge from before")
    assert any("cookie=0x7" in line for line in host.flows("cookie=0/0"))


def test_it_ends_rather_than_looking_healthy(host):
    """Protects who reads the unit's state: without Open vSwitch, bridge or NIC the program fails with a sentence."""
    host.router()
    host.help("--physical-bridge=breth9")
    assert (
        host.helper.wait(20) == 1
        and "physical-bridge breth9 does not exist" in (host.directory / "helper.log").read_text()
    )
    host.help("--physical-bridge=breth0", "--physical-interface=eth9")
    assert (
        host.helper.wait(20) == 1
        and "physical-interface eth9 is not in bridge breth0" in (host.directory / "helper.log").read_text()
    )
    host.help(patience=2.0)
    host.parted()
    host.daemon.send_signal(signal.SIGKILL)
    host.daemon.wait(10)
    assert host.helper.wait(30) == 1 and "Traceback" not in (host.directory / "helper.log").read_text()


def test_pidfile_detach_and_clear(host):
    """Protects the original's command line: its parent ends when the flows are there.

    --clear removes them and leaves others' alone.
    """
    host.router()
    host.tool("ovs-ofctl", "add-flow", "breth0", FOREIGN)
    host.help("--physical-bridge=breth0", "--physical-interface=eth0", "--pidfile", "--detach")
    assert host.helper.wait(20) == 0, (host.directory / "helper.log").read_text()
    pid = int((host.directory / "ovn-k8s-gateway-helper.pid").read_text())
    assert len(host.flows()) > 30
    os.kill(pid, signal.SIGKILL)
    host.help("--clear")
    assert host.helper.wait(20) == 0 and host.flows() == [] and len(host.flows("cookie=0/0")) == 2


def test_services_that_never_came(host, systemd):
    """Protects against a gateway that is said to work and has no flows of services: the flows that need no services
    come at once, and the unit is ready when the Southbound database has sent them, or nothing is known of one.
    """
    host.environment["NOTIFY_SOCKET"] = os.environ["NOTIFY_SOCKET"]
    host.router()
    host.southbound.stop()
    host.help()
    waits = "has not sent the services yet: they have no flows"
    systemd.hears(f"STATUS=the Southbound database {host.southbound.remote} {waits}")
    assert len(host.flows()) > 30
    host.southbound.start()
    systemd.hears("READY=1")


class Place:
    """A network namespace of its own, at one end of a link."""

    def __init__(self, after, link, addresses, mac):
        self.process = after.enter_context(router(link))
        self._after = after
        self.path = f"/proc/{self.process}/ns/net"
        ip(f"link set {link} address {mac} mtu 1400", self.path)
        for address in addresses:
            ip(f"address add {address} dev {link}{' nodad' if ':' in address else ''}", self.path)

    def start(self, script, *arguments):
        """A program that runs there, which has said that it is ready."""
        return start(self._after, ["nsenter", f"--net={self.path}"], script, *arguments)

    def run(self, script, *arguments):
        command = ["nsenter", f"--net={self.path}", sys.executable, "-c", script, *map(str, arguments)]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()


def start(after, prefix, script, *arguments):
    """A program that has said that it is ready; it ends with ``after``."""
    command = [*prefix, sys.executable, "-c", script, *map(str, arguments)]
    process = after.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    after.callback(process.kill)
    assert process.stdout.readline() == "ready\n"
    return process


def test_what_can_not_be_kept_apart_stays_the_hosts(host):
    """Protects the host's own tunnels (IPsec, GRE): of pods only what SNAT keeps apart leaves, also in fragments of
    both families, and all else that comes in is the host's.
    """
    outside, other = "52:54:00:00:00:fe", {"10.44.0.12": "10.44.0.250", "fd44::12": "fd44::250"}
    with contextlib.ExitStack() as after:
        host.router()
        ip("link add pod type veth peer name inpod")
        ip("link set pod up mtu 1400")
        host.vsctl("add-port", "br-int", "pod")
        for ways in ("in_port=pod,actions=output:p2", "in_port=p2,actions=output:pod"):
            host.tool("ovs-ofctl", "add-flow", "br-int", ways)
        pod = Place(after, "inpod", ("10.44.0.12/24", "fd44::12/64"), MAC)
        there = Place(after, "eth0p", ("10.44.0.250/24", "fd44::250/64"), outside)
        for where, link, address, mac in (
            *((there.path, "eth0p", own, MAC) for own in other),
            *((pod.path, "inpod", far, outside) for far in other.values()),
        ):
            ip(f"neigh replace {address} lladdr {mac} nud permanent dev {link}", where)
        for where, link in (
            ((), "eth0"),
            (("nsenter", f"--net={pod.path}"), "inpod"),
            ((), "pod"),
            (("nsenter", f"--net={there.path}"), "eth0p"),
        ):
            subprocess.run([*where, "ethtool", "-K", link, "tx", "off"], check=True, capture_output=True)
        # As a drop at the NIC does: the host has what the bridge gives it.
        ip("address flush dev eth0")
        host.help()
        host.parted()
        there.start(ECHO)
        host.until(lambda: pod.run(ASK, "fd44::250", 100) == "100", "an answer to a pod")
        answers = [pod.run(ASK, "fd44::250", 3000) for _one in range(5)]
        assert answers.count("3000") >= 4, answers
        for version, (own, far) in (("4", ("10.44.0.12", "10.44.0.250")), ("6", ("fd44::12", "fd44::250"))):
            for protocol in (50, 47):
                heard, here = there.start(HEAR, version, protocol), start(after, (), HEAR, version, protocol)
                pod.run(SEND, far, protocol, 101, 3001)
                there.run(SEND, own, protocol, 102, 3002)
                assert [here.stdout.readline() for _one in range(2)] == ["102\n", "3002\n"]
                # The bridge had the pod's packets before: none of them has come, and this is the first one.
                subprocess.run([sys.executable, "-c", SEND, far, str(protocol), "103"], check=True)
                assert heard.stdout.readline() == "103\n"
