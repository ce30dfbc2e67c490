# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The operations of the CNI specification beside ADD, and its error codes (W20)."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time

import pytest
from database_server import wait_for
from node_server import answer, host_links, network, pod


@pytest.fixture
def added(ready, sandbox):
    """A pod that has its interface: (the node, its namespace, the result of ADD)."""
    place = sandbox()
    ready.api.change("ADDED", pod("web", annotation=network(3)))
    code, result = ready.cni("ADD", netns=place.path)
    assert code == 0, result
    return ready, place, result


# DEL.


@pytest.mark.parametrize("netns", [True, False], ids=["with netns", "without netns"])
def test_w20_del_takes_all_away_and_may_be_repeated(added, netns):
    """Protects against the old link that stayed on the host; a runtime calls DEL twice, the second time without a
    namespace.
    """
    node, place, _result = added
    for path in (place.path if netns else "", ""):
        assert node.cni("DEL", netns=path) == (0, None)
        assert node.pod_ports() == {} and host_links() == [] and "eth0" not in place.run("ip", "link")


def test_del_of_an_unknown_container(ready):
    """Protects runtimes that clean up after an ADD that failed early: DEL of an unknown container succeeds."""
    assert ready.cni("DEL", container="nobody-knows-it") == (0, None)
    assert ready.cni("DEL", container="nobody-knows-it", netns="/no/such/path") == (0, None)


def test_del_without_the_pods_link(added):
    """Protects the deletion of a pod whose namespace was removed first: the port is removed all the same."""
    node, place, _result = added
    place.remove()
    assert node.cni("DEL", netns=place.path) == (0, None) and node.pod_ports() == {}


def test_del_of_one_leaves_the_others(added, sandbox):
    """Protects the other pods, and the other interfaces of the same pod."""
    node, place, _result = added
    node.api.change("ADDED", pod("two", annotation=network(4)))
    assert node.cni("ADD", container="c2", netns=sandbox("two").path, name="two")[0] == 0
    assert node.cni("ADD", netns=place.path, ifname="net1")[0] == 0
    assert node.cni("DEL", netns=place.path, ifname="net1")[0] == 0
    assert sorted(keys["iface-id"] for keys in node.pod_ports().values()) == ["ns_two", "ns_web"]


def test_del_overtakes_an_add(ready, sandbox):
    """Protects the end of a pod that was never ready: DEL need not wait until ADD gives up."""
    place = sandbox()
    ready.controller.silent = True
    ready.api.change("ADDED", pod("web", annotation=network(3)))
    add = ready.call("ADD", netns=place.path)
    wait_for(ready.pod_ports, "the port")
    assert ready.cni("DEL", netns=place.path) == (0, None)
    code, result = answer(add)
    assert (code, result["code"]) == (1, 11) and ready.pod_ports() == {} and host_links() == []


# CHECK.


def test_check_of_a_pod_without_faults(added):
    """Protects CHECK: it reports what is missing."""
    node, place, result = added
    assert node.cni("CHECK", netns=place.path, config={"prevResult": result}) == (0, None)


SPOILED = {
    "address": ("ip address del 192.168.1.3/24 dev eth0", "192.168.1.3/24"),
    "foreign address": ("ip address add 192.168.1.99/24 dev eth0", "192.168.1.99/24"),
    "route": ("ip route del default", "0.0.0.0/0"),
    "mtu": ("ip link set eth0 mtu 1300", "mtu 1400"),
    "mac": ("ip link set eth0 address 0a:58:00:00:00:01", "mac 0a:58:c0:a8:01:03"),
    "down": ("ip link set eth0 down", "eth0"),
    # Not deleted: the host's end would go with it, and the server makes such a pair again.
    "link": ("ip link set eth0 down; ip link set eth0 name eth9", "does not exist"),
}


@pytest.mark.parametrize("spoiled", SPOILED)
def test_w20_check_finds_what_was_changed_in_the_pod(added, spoiled):
    """Protects CHECK: each part of what ADD made is checked, and named."""
    node, place, result = added
    command, words = SPOILED[spoiled]
    place.run("sh", "-c", command)
    code, error = node.cni("CHECK", netns=place.path, config={"prevResult": result})
    assert (code, error["code"]) == (1, 101) and words in error["msg"], error


def test_check_finds_what_was_changed_on_the_node(added):
    """Protects the host's half: the end of the pair, the port and its keys, the installed flows. The server may repair
    them before it is asked, but each time after a longer pause.
    """
    node, place, result = added
    outer = result["interfaces"][0]["name"]

    def complaint():
        code, error = node.cni("CHECK", netns=place.path, config={"prevResult": result})
        return error["msg"] if code else ""

    def set_link(state):
        subprocess.run(["ip", "link", "set", outer, state], check=True, timeout=10)

    def take_keys():
        mutation = ["external_ids", "delete", ["set", ["iface-id", "ovn-installed"]]]
        where = [["name", "==", outer]]
        node.database.transact({"op": "mutate", "table": "Interface", "where": where, "mutations": [mutation]})

    def names(change, *words):
        change()
        said = complaint()
        return all(word in said for word in words)

    wait_for(lambda: names(lambda: set_link("down"), f"link {outer} is down"), "CHECK to name the link")
    set_link("up")
    assert complaint() == ""
    node.controller.silent = True
    wait_for(lambda: names(take_keys, "iface-id", "did not install"), "CHECK to name the key")


def test_check_compares_with_the_result_of_add(added):
    """Protects runtimes that cache the result: a pod whose address has changed is reported."""
    node, place, result = added
    other = dict(result, ips=[dict(result["ips"][0], address="192.168.1.77/24")])
    code, error = node.cni("CHECK", netns=place.path, config={"prevResult": other})
    assert (code, error["code"]) == (1, 101) and "192.168.1.77/24" in error["msg"] and "192.168.1.3/24" in error["msg"]
    assert node.cni("CHECK", netns="/elsewhere", config={"prevResult": result})[1]["code"] == 101


def test_check_of_an_unknown_container(ready):
    """Protects the difference between a pod with a fault and one that does not exist (code 3)."""
    before = {"interfaces": [], "ips": []}
    assert ready.cni("CHECK", netns="/x", config={"prevResult": before})[1]["code"] == 3


# GC and STATUS.


def test_gc_removes_attachments_that_are_not_valid(added, sandbox):
    """Protects against ports that a runtime has forgotten (CNI 1.1.0), and the ports that it names."""
    node, _place, _result = added
    node.api.change("ADDED", pod("two", annotation=network(4)))
    two = sandbox("two")
    assert node.cni("ADD", container="c2", netns=two.path, name="two")[0] == 0
    valid = [{"containerID": "c2", "ifname": "eth0"}]
    for _time in range(2):
        assert node.cni(
            "GC", container=None, ifname=None, version="1.1.0", config={"cni.dev/valid-attachments": valid}
        ) == (0, None)
        assert [keys["iface-id"] for keys in node.pod_ports().values()] == ["ns_two"] and len(host_links()) == 1


def test_gc_of_a_network_leaves_those_of_others(added, sandbox):
    """Protects pods from the GC of a second network of the same plugin, as Multus makes them (CNI 1.1.0: a network's GC
    is about its own attachments), also after a restart; and what a release before has made, whose network nobody knows.
    """
    node, _place, _result = added
    for number, name in enumerate(("two", "three"), start=4):
        node.api.change("ADDED", pod(name, annotation=network(number)))
        code, result = node.cni(
            "ADD", container=f"c-{name}", netns=sandbox(name).path, name=name, config={"name": "other-net"}
        )
        assert code == 0, result

    def gc(name, *valid):
        config = {"name": name, "cni.dev/valid-attachments": [{"containerID": one, "ifname": "eth0"} for one in valid]}
        assert node.cni("GC", container=None, ifname=None, version="1.1.0", config=config) == (0, None)
        return sorted(keys["iface-id"] for keys in node.pod_ports().values())

    node.stop()
    node.start()
    assert gc("other-net", "c-two") == ["ns_two", "ns_web"]
    assert gc("nobody-knows-it") == ["ns_two", "ns_web"]
    node.stop()
    shutil.rmtree(node.run / "cni-attachments")
    (port,) = [port for port, keys in node.pod_ports().items() if keys["iface-id"] == "ns_web"]
    keys = ["set", ["k8s.ovn.org/network"]]
    node.database.transact(
        {
            "op": "mutate",
            "table": "Interface",
            "where": [["name", "==", port]],
            "mutations": [["external_ids", "delete", keys]],
        }
    )
    node.start()
    assert gc("ovn-kubernetes") == ["ns_two", "ns_web"]
    assert gc("other-net") == ["ns_web"]


def test_gc_removes_what_has_only_a_record(added):
    """Protects against a port that was just taken away: what ADD has kept would make it again."""
    node, _netns, _result = added
    (port,) = node.pod_ports()
    node.daemons["ovs-vswitchd"].stop()
    wait_for(lambda: node.http_get("/readyz")[0] == 503, "the server to see it, which repairs nothing then")
    node.database.transact(
        {
            "op": "mutate",
            "table": "Bridge",
            "where": [["name", "==", "br-int"]],
            "mutations": [
                ["ports", "delete", ["set", [r["_uuid"] for r in node.database.rows("Port") if r["name"] == port]]]
            ],
        }
    )
    config = {"cni.dev/valid-attachments": []}
    assert node.cni("GC", container=None, ifname=None, version="1.1.0", config=config) == (0, None)
    assert not list((node.run / "cni-attachments").iterdir()) and host_links() == []


def test_status_follows_readiness(ready):
    """Protects a node from being Ready when no pod can start: STATUS fails with code 50 and the reason once that has
    lasted, and recovers by itself.
    """
    assert ready.cni("STATUS", container=None, ifname=None, version="1.1.0") == (0, None)
    ready.remove_flows()
    wait_for(lambda: ready.cni("STATUS", container=None, ifname=None, version="1.1.0")[0], "STATUS to fail")
    _code, error = ready.cni("STATUS", container=None, ifname=None, version="1.1.0")
    assert error["code"] == 50 and "ovn-controller" in error["msg"]
    assert ready.http_get("/readyz")[0] == 503 and ready.http_get("/healthz")[0] == 200
    ready.controller.silent = False
    wait_for(lambda: ready.cni("STATUS", container=None, ifname=None, version="1.1.0")[0] == 0, "STATUS to recover")
    assert ready.http_get("/readyz")[0] == 200


# VERSION and errors.


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0", "0.2.0", "9.0.0"])
def test_w20_version_is_answered_always(node, version):
    """Protects runtimes, which call VERSION first: also without a server, and whatever version the configuration
    names."""
    for running in (False, True):
        if running:
            node.start()
        code, result = node.cni("VERSION", container=None, ifname=None, netns=None, version=version)
        assert code == 0 and result["supportedVersions"] == ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]


DEEP = "[" * 150 + "]" * 150

ERRORS = {
    "unsupported version": ({"command": "ADD", "netns": "/n", "version": "0.2.0"}, 1, "0.2.0"),
    "CHECK before 0.4.0": ({"command": "CHECK", "netns": "/n", "version": "0.3.1"}, 1, "CHECK"),
    "STATUS before 1.1.0": ({"command": "STATUS", "version": "1.0.0"}, 1, "STATUS"),
    "GC before 1.1.0": ({"command": "GC", "version": "1.0.0"}, 1, "GC"),
    "no container": ({"command": "ADD", "netns": "/n", "container": None}, 4, "CNI_CONTAINERID"),
    "no interface": ({"command": "DEL", "ifname": None}, 4, "CNI_IFNAME"),
    "no namespace": ({"command": "ADD", "netns": None}, 4, "CNI_NETNS"),
    "no command": ({"command": "ADD", "environment": {"CNI_COMMAND": None}}, 4, "CNI_COMMAND"),
    "an unknown command": ({"command": "PING"}, 4, "CNI_COMMAND"),
    "an older version": ({"command": "DEL", "ifname": None, "version": "0.3.1"}, 4, "CNI_IFNAME"),
    "no pod": (
        {"command": "ADD", "netns": "/n", "environment": {"CNI_ARGS": "IgnoreUnknown=1"}},
        4,
        "K8S_POD_NAMESPACE, K8S_POD_NAME",
    ),
    "args that are none": ({"command": "ADD", "netns": "/n", "environment": {"CNI_ARGS": "nonsense"}}, 4, "CNI_ARGS"),
    "a path as container": ({"command": "DEL", "container": "../x"}, 4, "CNI_CONTAINERID"),
    "a link's name that is too long": ({"command": "DEL", "ifname": "x" * 16}, 4, "CNI_IFNAME"),
    "no JSON": ({"command": "ADD", "netns": "/n", "stdin": "{"}, 6, "not JSON"),
    "no object": ({"command": "ADD", "netns": "/n", "stdin": "[]"}, 6, "not a JSON object"),
    "no name": ({"command": "ADD", "netns": "/n", "config": {"name": ""}}, 7, "name"),
    "no text as name": ({"command": "ADD", "netns": "/n", "config": {"name": 5}}, 7, "name"),
    "a name that is a path": ({"command": "ADD", "netns": "/n", "config": {"name": "../x"}}, 7, "../x"),
    "no text as version": ({"command": "ADD", "netns": "/n", "config": {"cniVersion": ["1.0.0"]}}, 1, "1.0.0"),
    "nested too deeply": ({"command": "ADD", "netns": "/n", "stdin": DEEP}, 6, "in each other"),
    "nested too deeply for Python": ({"command": "DEL", "stdin": "[" * 100_000}, 6, "in each other"),
    "a zero byte": ({"command": "ADD", "netns": "/n", "stdin": '{"name": "\0"}'}, 6, "not JSON"),
    "no number of JSON": ({"command": "ADD", "netns": "/n", "stdin": '{"cniVersion": NaN}'}, 6, "not JSON"),
    "prevResult that is none": ({"command": "ADD", "netns": "/n", "config": {"prevResult": [1]}}, 7, "prevResult"),
    "ips that are none": ({"command": "ADD", "netns": "/n", "config": {"prevResult": {"ips": 1}}}, 7, "ips"),
    "a configuration that is too large": (
        {"command": "ADD", "netns": "/n", "config": {"x": "y" * (1 << 20)}},
        7,
        "less than 1048576 bytes",
    ),
    "variables that are too large": (
        {"command": "ADD", "netns": "/n", "environment": {f"CNI_{number}": "x" * 100_000 for number in range(12)}},
        7,
        "less than 1048576 bytes",
    ),
    "a container's ID that is no file's name": ({"command": "DEL", "container": "x" * 101}, 4, "CNI_CONTAINERID"),
    "a pod's name that can't be one": (
        {"command": "ADD", "netns": "/n", "name": "x" * 10_000},
        4,
        "K8S_POD_NAME 'xxx",
    ),
    "CHECK without prevResult": ({"command": "CHECK", "netns": "/n"}, 7, "prevResult"),
    "GC without attachments": ({"command": "GC", "version": "1.1.0"}, 7, "valid-attachments"),
}


def test_w20_errors_are_those_of_the_specification(ready):
    """Protects the readers of errors: the specification's code, the request's version, one sentence, at once."""
    for case, (arguments, code, words) in ERRORS.items():
        began = time.monotonic()
        status, error = ready.cni(**arguments)
        assert (status, error["code"]) == (1, code) and words in error["msg"], (case, error)
        assert time.monotonic() - began < 5 and len(error["msg"]) < 300, (case, error)
        if code not in (1, 6):
            assert error["cniVersion"] == arguments.get("version", "1.0.0"), case


def test_a_request_that_is_too_large_is_answered(ready, sandbox):
    """Protects whoever else speaks to the socket: the server says what it does not take, and not "does not answer"."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(5)
        link.connect(str(ready.run / "cni.sock"))
        link.sendall(b"%d\n" % (1 << 21))
        code, _sign, text = link.makefile("rb").read().partition(b"\n")
    assert code == b"1" and "less than 1048576 bytes" in json.loads(text)["msg"]
    large = {"x": "y" * (1 << 20)}
    assert ready.cni("VERSION", container=None, ifname=None, netns=None, config=large)[0] == 0
    ready.api.change("ADDED", pod("web", annotation=network(3)))
    code, result = ready.cni("ADD", netns=sandbox().path, config={"prevResult": {"ips": None, "interfaces": None}})
    assert code == 0 and len(result["ips"]) == 1, result


def test_a_namespace_that_does_not_exist(ready):
    """Protects the error for a namespace that was removed before ADD."""
    ready.api.change("ADDED", pod("web", annotation=network(3)))
    code, error = ready.cni("ADD", netns="/no/such/netns")
    assert (code, error["code"]) == (1, 100) and "/no/such/netns" in error["msg"] and ready.pod_ports() == {}
