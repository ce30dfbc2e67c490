# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What a pod gets: its link, its addresses and routes, its port in Open vSwitch, and the answer that the runtime reads
(W20).
"""

from __future__ import annotations

import json
import subprocess
import time

import pytest
from announcements import ALL_NODES, BROADCAST, Announcement, Listener
from database_server import wait_for
from node_server import Node, answer, network, pod

DUAL = {
    "default": {
        "ip_addresses": ["192.168.1.4/24", "fd10:128:0:1::4/64"],
        "mac_address": "0a:58:c0:a8:01:04",
        "gateway_ips": ["192.168.1.1", "fd10:128:0:1::1"],
        "routes": [{"dest": "10.96.0.0/16", "nextHop": "192.168.1.1"}],
    }
}


def node_ip(arguments):
    """The output of ip on the node."""
    return subprocess.run(
        ["ip", "-j", "-d", *arguments.split()], check=True, capture_output=True, text=True, timeout=10
    ).stdout


def test_w20_the_answer_is_a_result_of_the_specification(ready, sandbox):
    """Protects runtimes, which read the pod's addresses from the result: interfaces, ips, routes and dns of CNI
    1.0.0."""
    place = sandbox()
    ready.api.change("ADDED", pod("web", annotation=network(3)))
    code, result = ready.cni("ADD", netns=place.path)
    ((name, keys),) = ready.pod_ports().items()
    assert code == 0
    mac = json.loads(node_ip("link show dev " + name))[0]["address"]
    assert result == {
        "cniVersion": "1.0.0",
        "interfaces": [
            {"name": name, "mac": mac},
            {"name": "eth0", "mac": "0a:58:c0:a8:01:03", "sandbox": str(place.path)},
        ],
        "ips": [{"address": "192.168.1.3/24", "gateway": "192.168.1.1", "interface": 1}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "192.168.1.1"}],
        "dns": {},
    }
    assert {key: keys[key] for key in ("iface-id", "iface-id-ver", "attached_mac", "ip_address", "sandbox")} == {
        "iface-id": "ns_web",
        "iface-id-ver": "uid-1",
        "attached_mac": "0a:58:c0:a8:01:03",
        "ip_address": "192.168.1.3/24",
        "sandbox": "c1",
    }


def test_the_pod_has_what_its_annotation_says(ready, sandbox):
    """Protects the pod's own network: MAC, MTU, addresses of both families usable at once, default routes and the
    others; W20's second half.
    """
    place = sandbox()
    ready.api.change("ADDED", pod("web", **{"k8s.ovn.org/pod-networks": json.dumps(DUAL)}))
    code, result = ready.cni("ADD", netns=place.path, version="1.1.0")
    assert (
        code == 0
        and result["cniVersion"] == "1.1.0"
        and [interface["mtu"] for interface in result["interfaces"]] == [1400, 1400]
    )
    (link,) = place.ip("address show dev eth0")
    addresses = {(item["local"], item["prefixlen"]) for item in link["addr_info"] if item["scope"] == "global"}
    assert (link["address"], link["mtu"], "UP" in link["flags"]) == ("0a:58:c0:a8:01:04", 1400, True)
    assert addresses == {("192.168.1.4", 24), ("fd10:128:0:1::4", 64)}
    assert not any(item.get("tentative") for item in link["addr_info"] if item["scope"] == "global")
    routes = {
        (route["dst"], route.get("gateway")) for family in "46" for route in place.ip(f"-{family} route show dev eth0")
    }
    assert {("default", "192.168.1.1"), ("default", "fd10:128:0:1::1"), ("10.96.0.0/16", "192.168.1.1")} <= routes


def links_of_node():
    """The node's links, without what the kernel sets a moment later by itself (linkwatch)."""
    links = json.loads(node_ip("link show"))
    return [{key: value for key, value in link.items() if key not in ("flags", "operstate")} for link in links]


def test_w20_an_add_that_is_repeated_changes_nothing(ready, sandbox):
    """Protects runtimes that call again because a result was lost: same result, same rows, same links."""
    place = sandbox()
    ready.api.change("ADDED", pod("web", annotation=network(3)))
    first = ready.cni("ADD", netns=place.path)
    ports, links = ready.pod_ports(), links_of_node()
    assert first[0] == 0 and ready.cni("ADD", netns=place.path) == first
    assert ready.pod_ports() == ports and links_of_node() == links
    assert ready.database.file.read_text().count("ovn-k8s-node: ") == 1


def test_pods_talk_through_open_vswitch(ready, sandbox):
    """Protects traffic in the userspace datapath: without finished checksums in the pod every TCP connection would
    hang, ping or not.
    """
    one, two = sandbox("one"), sandbox("two")
    for number, (place, name) in enumerate(((one, "one"), (two, "two")), start=3):
        ready.api.change("ADDED", pod(name, annotation=network(number)))
        code, result = ready.cni("ADD", container=name, netns=place.path, name=name)
        assert code == 0, result
    serve = (
        "import socket; s=socket.create_server(('0.0.0.0', 80)); print(1, flush=True); c,_=s.accept(); "
        "c.sendall(b'x'*100000); c.close()"
    )
    fetch = (
        "import socket; c=socket.create_connection(('192.168.1.3', 80), 5); c.settimeout(5); "
        "print(sum(len(d) for d in iter(lambda: c.recv(65536), b'')))"
    )
    server = subprocess.Popen(["nsenter", f"--net={one.path}", "/usr/bin/python3", "-c", serve], stdout=subprocess.PIPE)
    try:
        server.stdout.readline()
        assert two.run("/usr/bin/python3", "-c", fetch).strip() == "100000"
    finally:
        server.kill()
        server.wait(timeout=10)


@pytest.mark.parametrize(("datapath", "quiet"), [("netdev", True), ("system", False)])
def test_the_host_sends_no_arp_on_pods_links_with_the_userspace_datapath(tmp_path, namespace, sandbox, datapath, quiet):
    """Protects policies: in the userspace datapath the host's end of the pair would answer the pod's ARP itself.

    One switch, and only there.
    """
    node = Node(tmp_path / "other", datapath, vswitchd=False)
    try:
        node.start()
        place = sandbox()
        node.api.change("ADDED", pod("web", annotation=network(3)))
        code, result = node.cni("ADD", netns=place.path)
        assert code == 0, result
        (link,) = json.loads(node_ip("address show dev " + result["interfaces"][0]["name"]))
        assert (("NOARP" in link["flags"]), link["addr_info"], "UP" in link["flags"], link["mtu"]) == (
            quiet,
            [],
            True,
            1400,
        )
        offloads = place.run("/usr/bin/python3", "-c", OFFLOAD).strip()
        assert offloads == ("0" if quiet else "1")
    finally:
        node.remove()


OFFLOAD = """
import array, fcntl, socket, struct
data = array.array("B", struct.pack("II", 0x16, 0))
control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fcntl.ioctl(control.fileno(), 0x8946, struct.pack("16sP16x", b"eth0", data.buffer_info()[0]))
print(struct.unpack("II", data.tobytes())[1])
"""


def test_w20_add_waits_for_the_annotation_without_requests(ready, sandbox):
    """Protects against the old loop of 30 requests and 31 forks: the open watch tells of the pod."""
    place = sandbox()
    ready.api.change("ADDED", pod("web"))
    process = ready.call("ADD", netns=place.path)
    wait_for(ready.has_request, "ADD to reach the server")
    requests = ready.api.pod_requests
    assert process.poll() is None and not ready.pod_ports()
    ready.api.change("MODIFIED", pod("web", annotation=network(3)))
    assert answer(process)[0] == 0 and ready.api.pod_requests == requests


def test_w20_add_waits_for_the_flows(ready, sandbox):
    """Protects a pod's first packets: ADD ends when ovn-controller has installed the flows, not before."""
    place = sandbox()
    ready.controller.silent = True
    ready.api.change("ADDED", pod("web", annotation=network(3)))
    process = ready.call("ADD", netns=place.path)
    wait_for(ready.pod_ports, "the port")
    assert process.poll() is None
    ready.controller.silent = False
    assert answer(process)[0] == 0


@pytest.mark.parametrize("end", ["deleted", "recreated"])
def test_an_add_ends_with_its_pod(ready, sandbox, end):
    """Protects the runtime's time-outs, and W19: a pod that is deleted, or created again under its name, gets no
    interface of the old one.
    """
    place = sandbox()
    ready.controller.silent = True
    ready.api.change("ADDED", pod("web", annotation=network(3)))
    process = ready.call("ADD", netns=place.path)
    wait_for(ready.pod_ports, "the port")
    ready.api.change("DELETED", pod("web", annotation=network(3)))
    if end == "recreated":
        ready.api.change("ADDED", pod("web", uid="uid-2", annotation=network(4)))
    code, result = answer(process)
    assert (code, result["code"]) == (1, 11) and "pod ns/web was deleted or created again" in result["msg"]
    assert not ready.pod_ports() and "veth" not in node_ip("link show type veth")


def test_an_add_that_gives_up_reports_what_it_waited_for(node, sandbox):
    """Protects operators: no annotation, no flows, no such pod, each has its own error; nothing is left behind."""
    node.start(patience=1.5)
    place = sandbox()
    code, result = node.cni("ADD", netns=place.path)
    assert (code, result["code"]) == (1, 11) and "pod ns/web is not known on this node" in result["msg"]
    node.api.change("ADDED", pod("web"))
    assert "has no annotation ovn" in node.cni("ADD", netns=place.path)[1]["msg"]
    assert "has UID uid-1 and not uid-9" in node.cni("ADD", netns=place.path, uid="uid-9")[1]["msg"]
    node.controller.silent = True
    node.api.change("MODIFIED", pod("web", annotation=network(3)))
    assert "did not install the flows of logical port ns_web" in node.cni("ADD", netns=place.path)[1]["msg"]
    assert not node.pod_ports() and "veth" not in node_ip("link show type veth")


def test_a_pod_created_with_an_annotation(ready, sandbox):
    """Protects restored and copied pods from the address of another: ADD waits for the annotation that is the pod's
    own, whatever the other says.
    """
    place, broken = sandbox(), sandbox("broken")
    ready.api.change("ADDED", pod("web", annotation=network(3), written_for="uid-of-another"))
    ready.api.change("ADDED", pod("broken", annotation="3", written_for="uid-of-another"))
    calls = [ready.call("ADD", netns=place.path), ready.call("ADD", container="c2", netns=broken.path, name="broken")]
    wait_for(ready.has_request, "ADD to reach the server")
    ready.api.change("MODIFIED", pod("web", annotation=network(4)))
    ready.api.change("MODIFIED", pod("broken", annotation=network(5)))
    assert [answer(call)[1]["ips"][0]["address"] for call in calls] == ["192.168.1.4/24", "192.168.1.5/24"]


def test_a_pod_that_is_given_another_network_meanwhile(ready, sandbox):
    """Protects pods from an address that they have lost: the ADD is undone, and the next one uses the new address."""
    place = sandbox()
    ready.controller.silent = True
    ready.api.change("ADDED", pod("web", annotation=network(3)))
    call = ready.call("ADD", netns=place.path)
    wait_for(ready.pod_ports, "the port")
    ready.api.change("MODIFIED", pod("web", annotation=network(4)))
    ready.api.change("ADDED", pod("mark", annotation="{}"))
    wait_for(lambda: "ovnkube_node_pods 2" in ready.http_get("/metrics")[1], "the server to know of it")
    ready.controller.silent = False
    code, result = answer(call)
    assert (code, result["code"]) == (1, 11) and "192.168.1.4/24" in result["msg"] and not ready.pod_ports()
    code, result = ready.cni("ADD", netns=place.path)
    assert code == 0 and result["ips"][0]["address"] == "192.168.1.4/24"


def test_a_static_pod(ready, sandbox):
    """Protects pods from manifests on the host: kubelet and runtime know them by the manifest's hash, the API server's
    copy has a UID of its own. The copy may be deleted and made anew while the pod runs.
    """
    place = sandbox()

    def copy(uid, written_for):
        mirror = {"kubernetes.io/config.mirror": "hash"}
        return pod("web", uid=uid, annotation=network(3), written_for=written_for, **mirror)

    ready.api.change("ADDED", copy("uid-of-copy", "hash"))
    code, result = ready.cni("ADD", netns=place.path, uid="hash")
    assert code == 0, result
    before = ready.pod_ports()
    assert [keys["iface-id-ver"] for keys in before.values()] == ["hash"]
    assert ready.cni("CHECK", netns=place.path, uid="hash", config={"prevResult": result}) == (0, None)
    ready.api.change("DELETED", copy("uid-of-copy", "hash"))
    ready.api.change("ADDED", copy("uid-of-next-copy", "hash"))
    wait_for(
        lambda: ready.cni("CHECK", netns=place.path, uid="hash", config={"prevResult": result}) == (0, None),
        "the next copy to be taken for the same pod",
    )
    assert ready.pod_ports() == before and json.loads(ready.http_get("/findings")[1]) == []


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ("no json", "annotation ovn can't be used"),
        ("{}", "annotation ovn lacks ip_address"),
        (dict(network(), ip_address="192.168.1.300/24"), "192.168.1.300/24"),
        (dict(network(), ip_address="192.168.1.3"), "lacks its prefix length"),
        (dict(network(), mac_address="zz"), "zz is no MAC"),
        ("[]", "annotation ovn can't be used"),
    ],
)
def test_w1_a_malformed_annotation_stops_its_own_pod_only(ready, sandbox, annotation, words):
    """Protects the other pods (W1, F1), and names the fault, the annotation and the pod."""
    place = sandbox()
    ready.api.change("ADDED", pod("odd", annotation=annotation))
    code, result = ready.cni("ADD", container="odd", netns=place.path, name="odd")
    assert (code, result["code"]) == (1, 102) and words in result["msg"] and "pod ns/odd" in result["msg"]
    ready.api.change("ADDED", pod("web", annotation=network(3)))
    assert ready.cni("ADD", netns=place.path)[0] == 0


def test_neighbours_are_told(ready, sandbox):
    """Protects an address that moves to another MAC: its neighbours learn it when the flows are installed.

    The settings of the pod are those of any new namespace afterwards.
    """
    listener, place = sandbox("listener"), sandbox("pod")
    ready.api.change("ADDED", pod("listener", annotation=network(9)))
    assert ready.cni("ADD", container="l", netns=listener.path, name="listener")[0] == 0
    mac, ipv4, ipv6 = "0a:58:c0:a8:01:04", "192.168.1.4", "fd10:128:0:1::4"
    with Listener("eth0", listener.path) as listening:
        ready.api.change("ADDED", pod("web", **{"k8s.ovn.org/pod-networks": json.dumps(DUAL)}))
        assert ready.cni("ADD", netns=place.path)[0] == 0
        heard = listening.hear({ipv4, ipv6})
    assert {Announcement(BROADCAST, mac, ipv4), Announcement(ALL_NODES, mac, ipv6)} <= heard
    settings = ("net.ipv4.conf.eth0.arp_notify", "net.ipv6.conf.eth0.ndisc_notify")
    assert place.run("sysctl", "-n", *settings).split() == ["0", "0"]


def test_an_add_behind_another_plugin(ready, sandbox):
    """Protects chains of plugins: the result of the plugin before stays, and our addresses name our interface."""
    place = sandbox()
    ready.api.change("ADDED", pod("web", annotation=network(3)))
    before = {
        "cniVersion": "1.0.0",
        "interfaces": [{"name": "dummy0"}],
        "ips": [{"address": "10.9.9.9/32", "interface": 0}],
        "dns": {"nameservers": ["10.96.0.10"]},
    }
    code, result = ready.cni("ADD", netns=place.path, config={"prevResult": before})
    assert code == 0 and [interface["name"] for interface in result["interfaces"]][::2] == ["dummy0", "eth0"]
    assert [(ip["address"], ip["interface"]) for ip in result["ips"]] == [("10.9.9.9/32", 0), ("192.168.1.3/24", 2)]
    assert result["dns"] == before["dns"]


def test_a_second_add_of_another_link_is_beside_the_first(ready, sandbox):
    """Protects attachments: container and interface together name one."""
    place = sandbox()
    ready.api.change("ADDED", pod("web", annotation=network(3)))
    assert [ready.cni("ADD", netns=place.path, ifname=name)[0] for name in ("eth0", "net1")] == [0, 0]
    assert len(ready.pod_ports()) == 2


def test_many_at_once(ready, sandbox):
    """Protects bursts: each pod gets its own interface, none waits for the slowest, and none is left incomplete."""
    places = [sandbox(f"p{number}") for number in range(24)]
    started = time.monotonic()
    calls = []
    for number, place in enumerate(places, start=10):
        calls.append(ready.call("ADD", container=f"c{number}", netns=place.path, name=f"p{number}"))
        ready.api.change("ADDED", pod(f"p{number}", annotation=network(number)))
    results = [answer(process) for process in calls]
    assert [code for code, _result in results] == [0] * len(places), time.monotonic() - started
    assert sorted(result["ips"][0]["address"] for _code, result in results) == sorted(
        network(number)["ip_address"] for number in range(10, 34)
    )
    assert len(ready.pod_ports()) == len(places)


def test_a_static_pod_that_an_earlier_release_attached(ready, sandbox):
    """Protects a static pod over an update: its port and its record have the UID of its copy, and get the other one."""
    place = sandbox()
    mirror = {"kubernetes.io/config.mirror": "hash"}
    ready.api.change("ADDED", pod("web", uid="uid-of-copy", annotation=network(3)))
    assert ready.cni("ADD", netns=place.path, uid="uid-of-copy")[0] == 0
    assert [keys["iface-id-ver"] for keys in ready.pod_ports().values()] == ["uid-of-copy"]
    ready.api.change("MODIFIED", pod("web", uid="uid-of-copy", annotation=network(3), written_for="hash", **mirror))
    ready.stop()
    ready.start()
    wait_for(
        lambda: [keys["iface-id-ver"] for keys in ready.pod_ports().values()] == ["hash"], "the port to have the UID"
    )
