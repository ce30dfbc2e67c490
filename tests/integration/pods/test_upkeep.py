# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The second day of a pod: what somebody takes away from it while it runs comes back, or its events say what to do."""

from __future__ import annotations

import errno
import json
import stat
import subprocess
import time

import pytest
from announcements import BROADCAST, Announcement, Listener
from attached_pods import add
from database_server import wait_for
from node_server import answer, host_links, network, pod

PROMPT = 6.0  # seconds in which a pod has its network again


def ports_of(node, bridge):
    """The names of a bridge's ports."""
    (row,) = [row for row in node.database.rows("Bridge") if row["name"] == bridge]
    members = row["ports"][1] if row["ports"][0] == "set" else [row["ports"]]
    uuids = {member[1] for member in members}
    return {port["name"] for port in node.database.rows("Port") if port["_uuid"][1] in uuids}


def uuid_of(node, table, name):
    """A reference to a row."""
    return next(row["_uuid"] for row in node.database.rows(table) if row["name"] == name)


def take(node, port, bridge="br-int"):
    """The operation that takes a port from its bridge, as ovs-vsctl del-port does."""
    return {
        "op": "mutate",
        "table": "Bridge",
        "where": [["name", "==", bridge]],
        "mutations": [["ports", "delete", ["set", [uuid_of(node, "Port", port)]]]],
    }


def delete_port(node, port):
    """ovs-vsctl del-port br-int PORT."""
    node.database.transact(take(node, port))


def clear_interface(node, port):
    """ovs-vsctl clear Interface PORT external_ids."""
    clear = {
        "op": "update",
        "table": "Interface",
        "where": [["name", "==", port]],
        "row": {"external_ids": ["map", []]},
    }
    node.database.transact(clear)


def clear_both(node, port):
    """The keys of the port and its interface."""
    clear(node, port, "Port", "Interface")


def clear(node, port, *tables):
    """Take all keys from rows of this name."""
    nothing = {"external_ids": ["map", []]}
    where = [["name", "==", port]]
    node.database.transact(*({"op": "update", "table": table, "where": where, "row": nothing} for table in tables))


def move(node, port):
    """The port goes to another bridge in one transaction."""
    node.database.transact(
        {"op": "insert", "table": "Interface", "uuid-name": "i", "row": {"name": "br-x", "type": "internal"}},
        {"op": "insert", "table": "Port", "uuid-name": "p", "row": {"name": "br-x", "interfaces": ["named-uuid", "i"]}},
        take(node, port),
        {
            "op": "insert",
            "table": "Bridge",
            "uuid-name": "b",
            "row": {
                "name": "br-x",
                "datapath_type": "netdev",
                "ports": ["set", [["named-uuid", "p"], uuid_of(node, "Port", port)]],
            },
        },
        {
            "op": "mutate",
            "table": "Open_vSwitch",
            "where": [],
            "mutations": [["bridges", "insert", ["set", [["named-uuid", "b"]]]]],
        },
    )


def delete_link(_node, port):
    """Ip link delete PORT."""
    subprocess.run(["ip", "link", "delete", port], check=True, timeout=10)


def set_down(_node, port):
    """Ip link set PORT down."""
    subprocess.run(["ip", "link", "set", port, "down"], check=True, timeout=10)


def shrink(_node, port):
    """Ip link set PORT mtu 600, and its ARP the other way."""
    subprocess.run(["ip", "link", "set", port, "mtu", "600", "arp", "on"], check=True, timeout=10)


def reaches(one, address):
    """Whether a pod's request is answered in time: nobody listens at the port, and the other's kernel says so."""
    ask = f"import socket; s = socket.socket(); s.settimeout(1); print(s.connect_ex(({address!r}, 9)))"
    return one.run("/usr/bin/python3", "-c", ask).strip() == str(errno.ECONNREFUSED)


@pytest.mark.parametrize(
    "spoil",
    [delete_port, clear_interface, clear_both, move, delete_link, set_down, shrink],
    ids=lambda spoil: spoil.__name__,
)
def test_what_is_taken_from_a_pod_comes_back(ready, sandbox, spoil):
    """Protects a pod that runs: without its port, its keys or its link it was dead until somebody deleted it, and
    nothing said so.
    """
    one, two = sandbox("one"), sandbox("two")
    add(ready, one, "one", 3)
    port = add(ready, two, "two", 4)
    before = ready.pod_ports()[port]
    wait_for(lambda: reaches(one, "192.168.1.4"), "the pods to reach each other", PROMPT)
    spoil(ready, port)
    wait_for(lambda: "was broken and is repaired" in ready.text(), "the repair", PROMPT)
    wait_for(lambda: reaches(one, "192.168.1.4"), "the pod to be reached again", PROMPT)
    wait_for(lambda: ready.pod_ports().get(port) == before, "the port to be as it was", PROMPT)
    assert port in ports_of(ready, "br-int")
    ((name, reason, message),) = wait_for(lambda: ready.api.events, "the event")
    assert (name, reason) == ("two", "NetworkRepaired") and "eth0 was broken" in message
    assert json.loads(ready.http_get("/findings")[1]) == []
    for container, place, which in (("c-one", one, "one"), ("c-two", two, "two")):
        assert ready.cni("DEL", container=container, netns=place.path, name=which) == (0, None)
    assert ready.pod_ports() == {} and host_links() == [] and not list((ready.run / "cni-attachments").iterdir())


def test_all_ports_come_back_with_their_bridge(ready, sandbox):
    """Protects all pods of a node whose br-int is deleted: ovn-controller makes an empty one."""
    places = [sandbox(f"p{number}") for number in range(5)]
    ports = {add(ready, place, f"p{number}", 3 + number) for number, place in enumerate(places)}
    bridge = next(row for row in ready.database.rows("Bridge") if row["name"] == "br-int")
    ready.database.transact({"op": "update", "table": "Open_vSwitch", "where": [], "row": {"bridges": ["set", []]}})
    wait_for(lambda: ready.http_get("/readyz")[0] == 503, "the server to see that the bridge is gone")
    ready.database.transact(
        {"op": "insert", "table": "Interface", "uuid-name": "i", "row": {"name": "br-int", "type": "internal"}},
        {
            "op": "insert",
            "table": "Port",
            "uuid-name": "p",
            "row": {"name": "br-int", "interfaces": ["named-uuid", "i"]},
        },
        {
            "op": "insert",
            "table": "Bridge",
            "uuid-name": "b",
            "row": {"name": "br-int", "datapath_type": bridge["datapath_type"], "ports": ["named-uuid", "p"]},
        },
        {"op": "update", "table": "Open_vSwitch", "where": [], "row": {"bridges": ["named-uuid", "b"]}},
    )
    wait_for(lambda: ports <= ports_of(ready, "br-int"), "all ports", PROMPT)
    wait_for(lambda: reaches(places[0], "192.168.1.7"), "the pods to reach each other", PROMPT)


def test_what_was_taken_while_no_server_ran(ready, sandbox):
    """Protects pods from what happens in a restart of the server; the records are for root only."""
    port = add(ready, sandbox())
    folder = ready.run / "cni-attachments"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())] == [0o700, 0o600]
    ready.stop()
    (folder / "garbage").write_text("[1]")
    delete_port(ready, port)
    ready.start()
    wait_for(lambda: port in ready.pod_ports(), "the port", PROMPT)
    assert [path.name for path in folder.iterdir()] == [port] and "garbage can't be used" in ready.text()


def test_a_pod_that_can_not_be_repaired_stops_no_other(ready, sandbox):
    """Protects the other pods, and tells who has to do what: the event and the finding name the command."""
    one, two = sandbox("one"), sandbox("two")
    broken, port = add(ready, one, "one", 3), add(ready, two, "two", 4)
    # Another program's port has the name.
    foreign = {"k8s.ovn.org/owner-type": "Other", "k8s.ovn.org/name": "x", "k8s.ovn.org/id": "other:Other:x:port"}
    ready.database.transact(
        *(
            {
                "op": "update",
                "table": table,
                "where": [["name", "==", broken]],
                "row": {"external_ids": ["map", [list(item) for item in foreign.items()]]},
            }
            for table in ("Port", "Interface")
        )
    )
    delete_port(ready, port)
    wait_for(lambda: port in ready.pod_ports(), "the other pod's port", PROMPT)
    name, reason, message = wait_for(lambda: [event for event in ready.api.events if event[0] == "one"], "the event")[0]
    assert reason == "NetworkBroken" and "kubectl delete pod -n ns one" in message and name == "one"
    (finding,) = json.loads(ready.http_get("/findings")[1])
    assert finding["subject"] == "pod ns/one" and finding["mend"] == "kubectl delete pod -n ns one"
    assert "can't be repaired" in finding["wrong"] and finding["causes"] == "the pod has no network"
    delete_port(ready, broken)
    wait_for(lambda: broken in ready.pod_ports(), "the port, once its name is free", 2 * PROMPT)
    wait_for(lambda: json.loads(ready.http_get("/findings")[1]) == [], "the finding to go")


def test_a_sandbox_that_is_gone_is_said(ready, sandbox):
    """Protects a pod whose network namespace went without a DEL: nothing can be repaired, and the pod's events say what
    to do.
    """
    place = sandbox()
    add(ready, place)
    place.remove()
    ((name, reason, message),) = wait_for(lambda: ready.api.events, "the event")
    assert (name, reason) == ("web", "NetworkBroken") and "kubectl delete pod -n ns web" in message
    wait_for(lambda: not ready.pod_ports() and not list((ready.run / "cni-attachments").iterdir()), "all to go")


def test_a_pod_that_was_deleted_is_not_repaired(ready, sandbox):
    """Protects the end of a pod: what its runtime is about to delete is not made again."""
    port = add(ready, sandbox("one"), "one", 3)
    other = add(ready, sandbox("two"), "two", 4)
    ready.api.change("DELETED", pod("one"))
    delete_port(ready, port)
    delete_port(ready, other)
    wait_for(lambda: other in ready.pod_ports(), "the other's port", PROMPT)
    assert port not in ready.pod_ports()


def test_a_static_pod_whose_copy_comes_back_is_repaired(ready, sandbox):
    """Protects a static pod that lost its port while its copy at the API server was away, so that it seemed deleted."""
    mirror = {"kubernetes.io/config.mirror": "static"}
    ready.api.change("ADDED", pod("web", annotation=network(3), **mirror))
    assert ready.cni("ADD", netns=sandbox().path, uid="static")[0] == 0
    (port,) = ready.pod_ports()
    other = add(ready, sandbox("two"), "two", 4)
    ready.api.change("DELETED", pod("web", **mirror))
    delete_port(ready, port)
    delete_port(ready, other)
    wait_for(lambda: other in ready.pod_ports(), "the other's port", PROMPT)
    assert port not in ready.pod_ports()
    ready.api.change("ADDED", pod("web", uid="next", annotation=network(3), written_for="static", **mirror))
    wait_for(lambda: port in ready.pod_ports(), "the port", PROMPT)


def test_a_pod_that_breaks_again_and_again_is_repaired_less_often(ready, sandbox):
    """Protects the host from a program that takes away what is repaired: the pause grows."""
    port, times = add(ready, sandbox()), []
    for _time in range(4):
        delete_port(ready, port)
        wait_for(lambda: port in ready.pod_ports(), "the port", 2 * PROMPT)
        times.append(time.monotonic())
    assert times[3] - times[2] > 1.5 > times[1] - times[0], "the third pause is 2 s, the first 0.5 s"


def forget(node):
    """What ADD has kept is lost while no server runs, as when the server's release before kept nothing."""
    node.stop()
    for path in (node.run / "cni-attachments").iterdir():
        path.unlink()


def test_pods_without_a_record(ready, sandbox):
    """Protects pods that an earlier release attached: they were never repaired, and when their link was deleted their
    port was removed too.
    """
    port = add(ready, sandbox())
    before = ready.pod_ports()[port]
    forget(ready)
    ready.start()
    wait_for(lambda: list((ready.run / "cni-attachments").iterdir()), "the record", PROMPT)
    delete_port(ready, port)
    wait_for(lambda: ready.pod_ports().get(port) == before, "the port", PROMPT)
    wait_for(lambda: ready.text().count("was broken and is repaired") == 1, "the first repair to end", PROMPT)
    forget(ready)
    delete_link(ready, port)
    ready.start()
    wait_for(lambda: port in host_links() and ready.pod_ports().get(port) == before, "the link", 2 * PROMPT)
    wait_for(lambda: ready.text().count("was broken and is repaired") == 2, "the second repair to end", PROMPT)


def test_the_port_goes_to_the_newest_sandbox_also_without_a_record(ready, sandbox):
    """Protects a pod that an earlier release attached from two ports that ovn-controller would bind."""
    old, new = sandbox("old"), sandbox("new")
    add(ready, old, container="c-old")
    forget(ready)
    ready.start()
    wait_for(lambda: list((ready.run / "cni-attachments").iterdir()), "the record", PROMPT)
    code, result = ready.cni("ADD", container="c-new", netns=new.path)
    assert code == 0, result
    assert [keys["sandbox"] for keys in ready.pod_ports().values()] == ["c-new"]


def sandboxes(node):
    """The sandboxes that have ports."""
    return sorted(keys["sandbox"] for keys in node.pod_ports().values())


def bring_back(node, ports, interfaces, uid):
    """Make the port of c-old again, in one transaction."""
    (interface,) = [row for row in interfaces if dict(row["external_ids"][1]).get("sandbox") == "c-old"]
    (port,) = [row for row in ports if row["name"] == interface["name"]]
    keys = dict(dict(interface["external_ids"][1]), **{"iface-id-ver": uid})
    row = {"name": port["name"], "external_ids": ["map", list(map(list, keys.items()))]}
    node.database.transact(
        {"op": "insert", "table": "Interface", "uuid-name": "i", "row": row},
        {
            "op": "insert",
            "table": "Port",
            "uuid-name": "p",
            "row": {"name": port["name"], "external_ids": port["external_ids"], "interfaces": ["named-uuid", "i"]},
        },
        {
            "op": "mutate",
            "table": "Bridge",
            "where": [["name", "==", "br-int"]],
            "mutations": [["ports", "insert", ["set", [["named-uuid", "p"]]]]],
        },
    )


def test_an_older_add_does_not_take_the_port_back(ready, sandbox):
    """Protects a pod's newest sandbox from the ADD of an older one that was slower: it fails, and takes nothing."""
    old, new = sandbox("old"), sandbox("new")
    ready.api.change("ADDED", pod("web", annotation=network(3)))
    ready.controller.silent = True
    first = ready.call("ADD", container="c-old", netns=old.path)
    wait_for(ready.pod_ports, "the first ADD to wait for its flows")
    second = ready.call("ADD", container="c-new", netns=new.path)
    code, result = answer(first)
    assert (code, result["code"]) == (1, 11) and "newer sandbox" in result["msg"]
    wait_for(lambda: sandboxes(ready) == ["c-new"], "the second ADD to wait for its flows")
    ready.controller.silent = False
    assert answer(second)[0] == 0
    assert sandboxes(ready) == ["c-new"]
    assert ready.cni("DEL", container="c-old", netns=old.path) == (0, None) and sandboxes(ready) == ["c-new"]


def test_older_sandboxes_lose_their_ports_before_the_newest_gets_one(ready, sandbox):
    """Protects the newest sandbox from an older one with the same iface-id, which ovn-controller bound in its place:
    also for the moment in which the new one waits for its flows, of any of its links, and without a record.
    """
    old, new = sandbox("old"), sandbox("new")
    add(ready, old, container="c-old")
    assert ready.cni("ADD", container="c-old", netns=old.path, ifname="net1")[0] == 0
    for path in (ready.run / "cni-attachments").iterdir():
        path.unlink()
    ready.controller.silent = True
    call = ready.call("ADD", container="c-new", netns=new.path)
    wait_for(lambda: "c-new" in sandboxes(ready), "the new port")
    assert sandboxes(ready) == ["c-new"]
    ready.controller.silent = False
    assert answer(call)[0] == 0
    log = ready.database.file.read_text()
    assert log.index("ovn-k8s-node: newer sandbox of ns/web") < log.rindex("ovn-k8s-node: ADD ns/web")


@pytest.mark.parametrize("running", [True, False], ids=["running", "at the start"])
@pytest.mark.parametrize("renamed", [True, False], ids=["another uid", "same uid"])
def test_the_sweep_leaves_the_port_of_the_newest_sandbox(ready, sandbox, running, renamed):
    """Protects a pod whose two sandboxes have a port: an ADD was interrupted, or a release before has made both. The
    pod's UID decides, else which pair is newer.
    """
    old, new = sandbox("old"), sandbox("new")
    add(ready, old, container="c-old")
    ports = ready.database.rows("Port"), ready.database.rows("Interface")
    assert ready.cni("ADD", container="c-new", netns=new.path)[0] == 0
    assert sandboxes(ready) == ["c-new"]
    if not running:
        ready.stop()
    bring_back(ready, *ports, uid="uid-0" if renamed else "uid-1")
    wait_for(lambda: len(sandboxes(ready)) == 2 or running, "both ports")
    if not running:
        ready.start()
    wait_for(lambda: ready.database.file.read_text().count("newer sandbox of ns/web") == 2, "the sweep", PROMPT)
    assert sandboxes(ready) == ["c-new"]
    assert ready.cni("DEL", container="c-old", netns=old.path) == (0, None) and sandboxes(ready) == ["c-new"]
    assert [keys["iface-id"] for keys in ready.pod_ports().values()] == ["ns_web"]


def test_pods_are_repaired_while_the_api_server_is_away(ready, sandbox):
    """Protects pods of a node whose server starts during an outage of the API server: the records say enough."""
    port = add(ready, sandbox())
    ready.stop()
    ready.api.set_away(True)
    delete_port(ready, port)
    ready.start(wait=False)
    wait_for(lambda: port in ready.pod_ports(), "the port", 2 * PROMPT)
    ready.api.set_away(False)


def test_pods_are_not_blamed_for_a_daemon(ready, sandbox):
    """Protects the reader of a pod's events: while a daemon is down nothing is repaired, and no pod is blamed."""
    port = add(ready, sandbox())
    ready.daemons["ovs-vswitchd"].stop()
    wait_for(lambda: ready.http_get("/readyz")[0] == 503, "the server to see it")
    delete_port(ready, port)
    with pytest.raises(AssertionError):
        wait_for(lambda: port in ready.pod_ports(), "nothing", 1)
    other = sandbox("other")
    ready.daemons["ovs-vswitchd"].start()
    wait_for(lambda: port in ready.pod_ports(), "the port", PROMPT)
    assert add(ready, other, "other", 4)
    assert [reason for _name, reason, _message in ready.api.events] == ["NetworkRepaired"]


def test_the_newest_sandbox_has_the_port(ready, sandbox):
    """Protects a pod whose pause process died: the kubelet makes a second sandbox before the first is deleted, and
    ovn-controller would bind either.
    """
    old, new = sandbox("old"), sandbox("new")
    add(ready, old, container="c-old")
    code, result = ready.cni("ADD", container="c-new", netns=new.path)
    assert code == 0, result
    assert [keys["sandbox"] for keys in ready.pod_ports().values()] == ["c-new"]
    assert ready.cni("DEL", container="c-old", netns=old.path) == (0, None)
    assert [keys["sandbox"] for keys in ready.pod_ports().values()] == ["c-new"]


def test_a_repair_leaves_what_the_pod_has_changed_in_itself(ready, sandbox):
    """Protects a VPN in a pod, which has replaced the default route: a repair of the port reset it. And the neighbours
    that a pod has configured, which the kernel forgets where it announces the pod's addresses.
    """
    place = sandbox()
    port = add(ready, place)
    place.run("ip", "route", "replace", "default", "via", "192.168.1.77")
    place.run("ip", "neigh", "add", "192.168.1.88", "lladdr", "02:00:00:00:00:88", "dev", "eth0")
    set_down(ready, port)
    delete_port(ready, port)
    wait_for(lambda: port in ready.pod_ports(), "the port", PROMPT)
    wait_for(lambda: [reason for _name, reason, _message in ready.api.events] == ["NetworkRepaired"], "the event")
    assert "192.168.1.77" in place.run("ip", "route", "show", "default")
    assert "02:00:00:00:00:88" in place.run("ip", "neigh", "show", "192.168.1.88")


def test_a_pod_s_new_link_is_announced(ready, sandbox):
    """Protects a pod whose link was removed: neighbours that had given it up ask again at once."""
    one, two = sandbox("one"), sandbox("two")
    add(ready, one, "one", 3)
    port = add(ready, two, "two", 4)
    with Listener("eth0", one.path) as listening:
        delete_link(ready, port)
        assert Announcement(BROADCAST, "0a:58:c0:a8:01:04", "192.168.1.4") in listening.hear({"192.168.1.4"})


def test_a_port_without_keys_goes_with_its_pod(ready, sandbox):
    """Protects br-int from a port that stays for ever: its keys were taken just before DEL."""
    place = sandbox()
    port = add(ready, place)
    ready.daemons["ovs-vswitchd"].stop()
    wait_for(lambda: ready.http_get("/readyz")[0] == 503, "the server to see it, which repairs nothing then")
    clear_both(ready, port)
    assert ready.cni("DEL", container="c-web", netns=place.path) == (0, None)
    assert port not in {row["name"] for table in ("Port", "Interface") for row in ready.database.rows(table)}
