# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""One NIC for the host and the pods, IPv4 and IPv6.

ovn-node2 shares eth0, while ovn-node1 has a gateway with a NIC of its own.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab_hosts import HOSTS, Pod, at_once, network, northbound, on, play, subnet_of, wait

pytestmark = pytest.mark.timeout(600)  # the first test waits for the whole set-up

NODE = "ovn-node2"
OWN, OUTSIDE = {4: "10.44.0.12", 6: "fd44::12"}, {4: "10.44.0.250", 6: "fd44::250"}
SUBNETS = ("-e", '{"ovn_cluster_subnet": ["192.168.0.0/16", "fd10:128::/48"]}')
GATEWAYS = """
ovn_gateways:
  hosts:
    ovn-node1:
      ovn_gateway_ip: [10.55.0.11/24, "fd55::11/64"]
      ovn_gateway_next_hop: [10.55.0.254, "fd55::254"]
    ovn-node2:
      ovn_gateway_shared_interface: eth0
      ovn_gateway_next_hop: [10.44.0.250, "fd44::250"]
"""
COOKIE = "cookie=0x6f766e6b/-1"
# Says who asked, by TCP and UDP, and then sends back what comes; a datagram comes back whole.
PEER = """
import socket, threading
tcp = socket.create_server(("::", {port}), family=socket.AF_INET6, dualstack_ipv6=True, backlog=200)
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); udp.setsockopt(41, 26, 0); udp.bind(("::", {port}))
def talk(one, peer):
    one.sendall(("%s %s {name}\\n" % peer[:2]).encode())
    while True:
        data = one.recv(999)
        if not data: return
        one.sendall(data)
def datagrams():
    while True:
        data, peer = udp.recvfrom(65000); udp.sendto(data, peer)
threading.Thread(target=datagrams, daemon=True).start()
while True:
    threading.Thread(target=talk, args=tcp.accept(), daemon=True).start()
"""
# Prints what PEER says; --hold: until a line comes on standard input, and then what comes back of it.
ASK = """
import socket, sys
one = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5, \
source_address=("", int(sys.argv[3])) if len(sys.argv) > 3 else None)
print(one.makefile().readline().replace("::ffff:", "").strip())
"""
DATAGRAM = """
import socket, sys
one = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM); one.settimeout(5)
one.connect((sys.argv[1], int(sys.argv[2]))); size = int(sys.argv[3])
try:
    one.send(bytes(size)); print(len(one.recv(65000)))
except OSError as exc:
    print(type(exc).__name__)
"""
HOLD = """
import socket, sys, time
one = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET); one.settimeout(10)
one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); one.bind(("", int(sys.argv[3]))); \
one.connect((sys.argv[1], int(sys.argv[2])))
lines = one.makefile(); print(lines.readline().replace("::ffff:", "").strip(), flush=True)
for number in range(20):
    one.sendall(b"%d\\n" % number); assert lines.readline().strip() == str(number); time.sleep(0.1)
print("whole")
"""
# All that comes of ESP: who sent it, and what. And a packet of it.
HEAR = """
import socket
one = socket.socket(socket.AF_INET, socket.SOCK_RAW, 50)
while True:
    data, peer = one.recvfrom(999); print(peer[0], data[20:].decode(), flush=True)
"""
SEND = """
import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_RAW, 50).sendto(sys.argv[2].encode(), (sys.argv[1], 0))
"""

# What a NIC that the gateway shared before leaves behind when its return failed.
SHARE = """
import sys
sys.path.insert(0, "/usr/local/lib/ovn_kubernetes.pyz")
from ovn_kubernetes._topology.host import Host
Host().uplinks(["{nic}"], True, "gateway")
"""

# Milliseconds from an act on the host until the bridge has all flows of ours.
BACK = """
exec 2> /dev/null; {act}; began=$(date +%s%3N)
until ovs-ofctl dump-aggregate breth0 {cookie} | grep -q "flow_count={count}$"; \
do [ $(($(date +%s%3N) - began)) -lt 30000 ] || break; sleep .01; done
echo $(($(date +%s%3N) - began))
"""


def put(host, name, text):
    """A script on a host; its path."""
    on(host, f"cat > /tmp/{name}.py <<'TEXT'\n{text}\nTEXT")
    return f"python3 /tmp/{name}.py"


@pytest.fixture(scope="module")
def shared(site, tmp_path_factory):
    """The lab with both kinds of gateway, servers outside and in the pods; afterwards it is as its inventory says."""
    extra = tmp_path_factory.mktemp("shared") / "gateways.yml"
    extra.write_text(GATEWAYS)
    # A port that is still on its way up is another row afterwards; localnet ports never are.
    wait(
        lambda: (
            not on(
                "ovn-master", "ovn-nbctl --bare --columns=name find Logical_Switch_Port up=false type!=localnet"
            ).strip()
        ),
        30,
        "all ports",
    )
    before = northbound(), [network(host) for host in HOSTS]
    play("site", *SUBNETS, "-e", "ovn_egress_rebalance=true", inventory=[extra]).ok()
    pods = [Pod("ovn-node1", "far", 120), Pod(NODE, "near", 121)]
    for host in ("ovn-node1", NODE, "ovn-outside"):
        for name, text in (("ask", ASK), ("datagram", DATAGRAM), ("hold", HOLD)):
            put(host, name, text)
    on(
        "ovn-outside",
        f"systemd-run --unit=peer --collect {put('ovn-outside', 'peer', PEER.format(port=8099, name='outside'))}",
    )
    for pod in pods:
        put(pod.host, "peer", PEER.format(port=8080, name=pod.name))
        on(pod.host, f"systemd-run --unit=peer --collect ip netns exec {pod.name} python3 /tmp/peer.py")
    yield extra, before, pods
    leave(pods)
    if (northbound(), [network(host) for host in HOSTS]) != before:  # the test of the removal has not come so far
        play("remove", *SUBNETS, "-e", f"ovn_remove_hosts={NODE}", "--tags", "gateway", inventory=[extra]).ok()
        play("site").ok()


def leave(pods):
    """All that the tests have made on the hosts and in the database by hand goes: servers, pods and node ports."""
    for host in ("ovn-outside", "ovn-node1", NODE):
        on(host, "systemctl stop peer", check=False)  # those in pods keep their links
    for pod in pods:
        pod.remove()
    for protocol in ("tcp", "udp"):
        for version in (4, 6):
            on("ovn-master", f"ovn-nbctl --if-exists lb-del by-hand-{protocol}-{version}")


@pytest.fixture(scope="module")
def balanced(shared):
    """Node ports 30080 on the shared address, TCP and UDP, made by hand as the watcher would make them.

    One pod of the service is here, the other on another host.
    """
    _extra, _before, pods = shared
    for protocol in ("tcp", "udp"):
        for version in (4, 6):
            backends = [f"[{pod.ip6}]:8080" if version == 6 else f"{pod.ip}:8080" for pod in pods]
            address = f"[{OWN[6]}]" if version == 6 else OWN[4]
            name = f"by-hand-{protocol}-{version}"
            on(
                "ovn-master",
                f"ovn-nbctl lb-add {name} {address}:30080 {','.join(backends)} {protocol}; ovn-nbctl add "
                "Load_Balancer_Group clusterLBGroup load_balancer $(ovn-nbctl --bare --columns=_uuid find "
                f"Load_Balancer name={name})",
            )
    wait(
        lambda: on(NODE, f"ovs-ofctl dump-flows breth0 {COOKIE}").count("tp_dst=30080") == 8,
        20,
        "the node ports' flows",
    )


def banner(address):
    """A command that prints how the SSH server at the address begins."""
    return f"exec 3<>/dev/tcp/{address}/22; head -c 7 <&3"


def our_flows():
    """How many flows the bridge has of ours."""
    found = re.search(r"flow_count=(\d+)", on(NODE, f"ovs-ofctl dump-aggregate breth0 {COOKIE}", check=False).stdout)
    return int(found[1]) if found else 0


def ways(pods):
    """name -> (what to do once, what the answer must match): every kind of traffic that meets on the NIC."""
    far, near = pods
    out = {}
    for version in (4, 6):
        pod = {4: (far.ip, near.ip), 6: (far.ip6, near.ip6)}[version]
        mine, there = OWN[version], OUTSIDE[version]
        out.update(
            {
                f"the host out, IPv{version}": (
                    lambda there=there: on(NODE, f"python3 /tmp/ask.py {there} 8099"),
                    f"^{re.escape(mine)} ",
                ),
                f"ssh in, IPv{version}": (lambda mine=mine: on("ovn-outside", banner(mine)), "^SSH-2.0"),
                f"the host's echo, IPv{version}": (lambda there=there: on(NODE, f"ping -c 1 -W 5 {there}"), "ttl="),
                f"a pod out, IPv{version}": (
                    lambda there=there: near.run(f"python3 /tmp/ask.py {there} 8099"),
                    r"^(10\.(44|55)\.0\.1[12]|fd(44|55)::1[12]) ",
                ),
                f"a pod's echo, IPv{version}": (lambda there=there: near.run(f"ping -c 1 -W 5 {there}"), "ttl="),
                f"Geneve, IPv{version}": (
                    lambda pod=pod: near.run(f"python3 /tmp/ask.py {pod[0]} 8080"),
                    f"^{re.escape(pod[1])} .* far$",
                ),
                f"a pod to its host, IPv{version}": (
                    lambda mine=mine: near.run(f"bash -c '{banner(mine)}'"),
                    "^SSH-2.0",
                ),
                f"another host's pod to the host, IPv{version}": (
                    lambda mine=mine: far.run(f"ping -c 1 -W 5 {mine}"),
                    "ttl=",
                ),
                f"a node port, IPv{version}": (
                    lambda mine=mine: on("ovn-outside", f"python3 /tmp/ask.py {mine} 30080"),
                    "(far|near)$",
                ),
                f"a node port by UDP, IPv{version}": (
                    lambda mine=mine: on("ovn-outside", f"python3 /tmp/datagram.py {mine} 30080 100"),
                    "^100$",
                ),
            }
        )
    return out


def goes(way):
    """Whether it works now."""
    do, pattern = way
    try:
        return re.search(pattern, do().strip(), re.M) is not None
    except AssertionError:
        return False


def test_site_and_verify(shared):
    """Protects: addresses come from the NIC; a second run changes nothing; verify passes with both kinds of gateway."""
    extra, _before, _pods = shared
    rows = on("ovn-master", f"ovn-nbctl get Logical_Router_Port rtoe-GR_{NODE} networks mac")
    assert (
        "10.44.0.12/24" in rows
        and "fd44::12/64" in rows
        and on(NODE, "cat /sys/class/net/eth0/address").strip() in rows
    )
    again, _verified = at_once(*(((name, *SUBNETS), {"inventory": [extra]}) for name in ("site", "verify")))
    assert set(again.changed.values()) == {0}


def test_w17_a_second_family_comes_to_a_running_overlay(shared):
    """Protects: all is written for a list of families (W17); the first family's subnets stay as they were."""
    _extra, (rows, _networks), _pods = shared
    subnet = subnet_of(NODE)
    assert any(f'"name": "{NODE}"' in row and subnet in row for table, row in rows if table == "Logical_Switch")
    here = on(NODE, f"ip -6 -o addr show dev k8s-{NODE} scope global").split()[3].split("/")[0]
    # Out through the gateways, by the host's own address in the overlay: the way of a pod's packet.
    on(NODE, f"ip -6 route replace fd00:203:113::1 via {here[:-1]}1 dev k8s-{NODE} src {here}")
    try:
        wait(lambda: on(NODE, "ping -6 -c 1 -W 2 fd00:203:113::1", check=False).returncode == 0, 30, "IPv6 egress")
    finally:
        on(NODE, "ip -6 route del fd00:203:113::1", check=False)


def test_everything_at_once(shared, balanced):
    """Protects: one NIC carries traffic of host, pods, tunnels and node ports at the same time, in both families."""
    _extra, _before, pods = shared
    all_ways = ways(pods)
    for name, way in all_ways.items():
        wait(lambda way=way: goes(way), 30, name)
    with ThreadPoolExecutor(8) as pool:
        rounds = {
            name: pool.submit(lambda way=way: [goes(way) for _round in range(4)]) for name, way in all_ways.items()
        }
        failed = {name: one.result() for name, one in rounds.items() if not all(one.result())}
    assert not failed
    for version in (4, 6):
        seen = {on("ovn-outside", f"python3 /tmp/ask.py {OWN[version]} 30080").split()[-1] for _one in range(24)}
        assert seen == {"far", "near"}


@pytest.fixture(scope="module")
def through_shared(shared):
    """All connections of the near pod to the outside leave through the shared NIC, by policies of an operator's own."""
    near = shared[2][1]
    networks = on("ovn-master", f"ovn-nbctl get Logical_Router_Port rtoj-GR_{NODE} networks")
    for version, source, pattern in ((4, near.ip, r"100\.64[\d.]+"), (6, near.ip6, r"fd98:[\da-f:]+")):
        match = f'ip{version}.src == {source} && outport == \\"rtoj-ovn_cluster_router\\"'
        hop = re.search(pattern, networks)[0]
        on("ovn-master", f'ovn-nbctl lr-policy-add ovn_cluster_router 50 "{match}" reroute {hop}')
    yield near
    on("ovn-master", "ovn-nbctl lr-policy-del ovn_cluster_router 50")


@pytest.mark.parametrize("version", [4, 6])
def test_pods_leave_through_both_gateways_each_with_its_address(shared, version):
    """Protects: SNAT to the host's own address, from ports that the host's kernel does not take.

    A pod's connections have one address; neighbouring pods leave through different gateways.
    """
    near, seen = shared[2][1], []
    neighbour = Pod(NODE, "neighbour", 122)
    try:
        for pod in (near, neighbour):
            pod.reaches(OUTSIDE[version])
            own = [pod.run(f"python3 /tmp/ask.py {OUTSIDE[version]} 8099").split() for _one in range(8)]
            assert len({one[0] for one in own}) == 1
            seen += own
    finally:
        neighbour.remove()
    assert {one[0] for one in seen} == {4: {"10.44.0.12", "10.55.0.11"}, 6: {"fd44::12", "fd55::11"}}[version]
    assert all(6082 <= int(one[1]) < 30000 for one in seen if one[0] == OWN[version])


def test_a_pod_and_the_host_from_the_same_port(through_shared):
    """Protects connections against each other: pod and host open one to the same place from the same port."""
    for port in range(40001, 40005):
        with ThreadPoolExecutor(2) as pool:
            answers = [
                one.result()
                for one in (
                    pool.submit(through_shared.run, f"python3 /tmp/hold.py {OUTSIDE[4]} 8099 {port}"),
                    pool.submit(on, NODE, f"python3 /tmp/hold.py {OUTSIDE[4]} 8099 {port}"),
                )
            ]
        pod, host = (answer.split() for answer in answers)
        assert pod[-1] == host[-1] == "whole" and host[:2] == [OWN[4], str(port)]
        assert pod[0] == OWN[4]


def test_tunnels_without_ports_are_the_hosts(shared):
    """Protects the host's own IPsec: of pods no ESP leaves with the host's address, and what comes in is the host's."""
    near = shared[2][1]
    for host in (NODE, "ovn-outside"):
        command = f"{put(host, 'hear', HEAR)} > /tmp/heard"
        put(host, "send", SEND)
        on(host, f"rm -f /tmp/heard; systemd-run --unit=hear --collect sh -c 'exec {command}'")

    def heard(host):
        return on(host, "cat /tmp/heard").splitlines()

    try:
        near.run(f"sh -c 'for one in $(seq 20); do python3 /tmp/send.py {OUTSIDE[4]} pod; done'")

        def exchanged():
            on(NODE, f"python3 /tmp/send.py {OUTSIDE[4]} host")
            on("ovn-outside", f"python3 /tmp/send.py {OWN[4]} peer")
            return f"{OWN[4]} host" in heard("ovn-outside") and f"{OUTSIDE[4]} peer" in heard(NODE)

        wait(exchanged, 20, "the tunnel of the host")
        assert f"{OWN[4]} pod" not in heard("ovn-outside")
    finally:
        for host in (NODE, "ovn-outside"):
            on(host, "systemctl stop hear", check=False)


@pytest.fixture(scope="module")
def narrow(shared):
    """Outside: fragments that fit the pods' MTU, and behind the router a network with an MTU of 1300; its addresses."""
    ways_to, numbers = (f"{OWN[4]} dev eth0", "10.55.0.11 dev eth1"), range(2, 8)
    on(
        "ovn-outside",
        "; ".join(
            (
                "ip link add narrow mtu 1300 type veth peer name narrow0",
                "ip link set narrow0 up",
                "ip link set narrow up",
                (
                    "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.eth0.proxy_arp=1 net.ipv6.conf.all.forwarding=1 "
                    "net.ipv6.conf.eth0.proxy_ndp=1"
                ),
                "ip route add 10.44.0.240/29 dev narrow",
                "ip route add fd44::f0/124 dev narrow",
                *(f"ip neigh add proxy fd44::f{number} dev eth0" for number in numbers),
                *(f"ip route add {way} mtu 1442" for way in ways_to),
            )
        ),
    )
    yield {4: [f"10.44.0.24{number}" for number in numbers], 6: [f"fd44::f{number}" for number in numbers]}
    on(
        "ovn-outside",
        "; ".join(
            (
                "ip link del narrow",
                "sysctl -qw net.ipv4.conf.eth0.proxy_arp=0 net.ipv6.conf.eth0.proxy_ndp=0",
                *(f"ip neigh del proxy fd44::f{number} dev eth0" for number in numbers),
                *(f"ip route del {way}" for way in ways_to),
            )
        ),
    )


@pytest.mark.parametrize(("who", "version"), [("host", 4), ("host", 6), ("pod", 4)])
def test_fragments(shared, narrow, who, version):
    """Protects datagrams larger than the MTU: nearly all of them, from ever new ports, come back whole.

    Only their first fragment names a port.
    """
    ask = shared[2][1].run if who == "pod" else lambda command, limit=60: on(NODE, command, limit=limit)
    one = f"python3 /tmp/datagram.py {OUTSIDE[version]} 8099 3000"
    wait(
        lambda: ask(one).strip() == "3000", 20, "a first answer"
    )  # neighbours are asked for now, and the path's MTU is known
    answers = ask(f"for one in $(seq 40); do {one}; done", limit=120).split()
    assert len(answers) == 40 and answers.count("3000") >= 38, answers


@pytest.mark.parametrize("version", [4, 6])
def test_errors_come_to_who_they_are_about(through_shared, narrow, version):
    """Protects ICMP errors: pod and host each hear that nobody listens, and that a path takes less."""
    for who in (through_shared.run, lambda command, check=True: on(NODE, command, check)):
        wait(
            lambda who=who: (
                who(f"python3 /tmp/datagram.py {OUTSIDE[version]} 9 10").strip() == "ConnectionRefusedError"
            ),
            20,
            "the refusal",
        )
        said = []
        for address in narrow[version]:
            command = f"ip route flush cache; ip -6 route flush cache; ping -c 1 -W 1 -M do -s 1350 {address} 2>&1"
            said.append(
                wait(
                    lambda who=who, command=command: re.search(
                        r"From (\S+) .*mtu ?= ?1300", who(command, check=False).stdout
                    ),
                    20,
                    address,
                )[1]
            )
            break
        assert said == [OUTSIDE[version]]  # the shared NIC's side of the router


def test_w23_flows_come_back(shared, record_property, capsys):
    """Protects against a bridge that stays without flows: they are back within a second.

    They are lost when somebody deletes them, and when ovs-vswitchd is killed.
    """
    count, unit = (
        our_flows(),
        "systemctl show --property ActiveState,WatchdogUSec,WatchdogTimestampMonotonic ovn-k8s-gateway-helper",
    )
    assert count > 30
    before = on(NODE, unit)
    assert (
        "ActiveState=active" in before and "WatchdogUSec=30s" in before
    )  # of Type=notify: the program has said that it is ready
    on(NODE, "ovs-ofctl add-flow breth0 cookie=0x5,table=7,priority=7,actions=drop")
    took = {}
    for what, act in (
        ("deletion", f"ovs-ofctl del-flows breth0 {COOKIE}"),
        (
            "death",
            (
                "kill -9 $(cat /run/openvswitch/ovs-vswitchd.pid); until ovs-ofctl dump-flows breth0 >&2; "
                "do sleep .01; done"
            ),
        ),
    ):
        for _one in range(3):  # on a busy machine not every time
            took[what] = int(on(NODE, BACK.format(act=act, cookie=COOKIE, count=count)))
            if took[what] < 1000:
                break
        assert took[what] < 1000, took
        assert what == "death" or "cookie=0x5" in on(NODE, "ovs-ofctl dump-flows breth0 table=7")
    with capsys.disabled():
        print("\nflows are back " + ", ".join(f"{one} ms after {what}" for what, one in took.items()))
    record_property("flows_back_milliseconds", took)
    after = wait(lambda: (now := on(NODE, unit)) != before and now, 10, "a word of the program to systemd's watchdog")
    assert "ActiveState=active" in after


def test_restart_of_open_vswitch(shared, balanced, record_property, capsys):
    """Protects: all traffic is back by itself after a restart of Open vSwitch on the shared host."""
    _extra, _before, pods = shared
    near = pods[1]
    count = our_flows()
    units = {
        "host": (NODE, f"ping -D -O -i 0.05 {OUTSIDE[4]}"),
        "in": ("ovn-outside", f"ping -D -O -i 0.05 {OWN[4]}"),
        "pod": (NODE, f"ip netns exec {near.name} ping -D -O -i 0.05 {OUTSIDE[4]}"),
    }
    for name, (host, command) in units.items():
        on(
            host,
            (
                f"rm -f /tmp/echo-{name}; systemd-run --unit=echo-{name} --collect sh -c 'exec {command} > "
                f"/tmp/echo-{name} 2>&1'"
            ),
        )
        wait(
            lambda host=host, name=name: "ttl=" in on(host, f"tail -n 3 /tmp/echo-{name}", check=False).stdout,
            20,
            "the first echo",
        )
    on(NODE, "systemd-run --wait --collect systemctl restart openvswitch-switch", limit=120)
    wait(lambda: our_flows() == count, 30, "the flows")
    for name, way in ways(pods).items():
        wait(lambda way=way: goes(way), 60, name)
    outages = {}
    for name, (host, _command) in units.items():
        on(host, f"systemctl stop echo-{name}", check=False)
        times = [
            float(stamp)
            for stamp in re.findall(r"^\[([\d.]+)\] \d+ bytes.*ttl=", on(host, f"cat /tmp/echo-{name}"), re.M)
        ]
        outages[name] = max(later - earlier for earlier, later in zip(times, times[1:]))
    with capsys.disabled():
        print(
            "\noutage when Open vSwitch restarts: "
            + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in outages.items())
        )
    record_property("outage_seconds", {name: round(seconds, 2) for name, seconds in outages.items()})


def test_verify_sees_a_helper_that_does_not_run_and_a_nic_left_over(shared):
    """Protects: verify looks at the program, and at a NIC that was shared before; the removal below gives it back."""
    extra, _before, _pods = shared
    on(NODE, "systemctl stop ovn-k8s-gateway-helper; python3 -c '" + SHARE.format(nic="eth1") + "'")
    failed = play("verify", *SUBNETS, inventory=[extra])
    assert failed.code == 2 and "ovn-k8s-gateway-helper.service does not run" in failed.output
    assert "Bridge breth1 is there, and is not the overlay's any more" in failed.output
    on(NODE, "systemctl start ovn-k8s-gateway-helper")
    wrong = on(
        NODE, "/usr/local/bin/ovn-k8s-gateway-helper --physical-bridge=breth9 --physical-interface=eth0", check=False
    )
    assert wrong.returncode == 1 and wrong.stderr.splitlines()[-1].startswith("physical-bridge breth9 does not exist")


def test_removal_leaves_the_host_as_it_was(shared):
    """Protects: unit, flows and mapping are removed; the bridge that the tunnels need keeps its addresses.

    One site run makes all as it was before; the second family goes too (W17).
    """
    extra, before, pods = shared
    leave(pods)
    wait(
        lambda: "30080" not in on(NODE, f"ovs-ofctl dump-flows breth0 {COOKIE}"), 20, "the end of the node ports' flows"
    )
    play("remove", *SUBNETS, "-e", f"ovn_remove_hosts={NODE}", "--tags", "gateway", inventory=[extra]).ok()
    assert our_flows() == 0 and "NORMAL" in on(NODE, "ovs-ofctl dump-flows breth0")
    assert "ovn-bridge-mappings" not in on(NODE, "ovs-vsctl get Open_vSwitch . external_ids")
    assert "could not be found" in on(NODE, "systemctl status ovn-k8s-gateway-helper 2>&1", check=False).stdout
    play("site").ok()
    assert (northbound(), [network(host) for host in HOSTS]) == before
