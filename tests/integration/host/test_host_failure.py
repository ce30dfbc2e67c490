# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects a host on which a change fails half-way: Open vSwitch, links, addresses and routes are as before.

Either the last step fails, which saves the settings, or the connection to the database is lost. Open vSwitch and
kernel are real.
"""

from __future__ import annotations

import json
import signal

import pytest
from kernel_links import pair, snapshot
from module_calls import call
from network_namespace import ip, ip_batch
from proxy import commits, proxies
from vswitch import Vswitch

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError, RollbackFailed
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb import connection as connection_module
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import host as host_module
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import part

CLUSTER = ["192.168.0.0/16"]


@pytest.fixture
def vswitch(monkeypatch):
    """A host with a NIC for tunnels and NICs for the external network, all with addresses."""
    pair("eth0")
    pair("eth1")
    pair("eth2")
    ip_batch(
        [
            "address add 10.44.0.12/24 dev eth0",
            "route add default via 10.44.0.1",
            "address add 10.55.0.12/24 dev eth1",
            "address add 10.56.0.12/24 dev eth2",
        ]
    )
    server = Vswitch()
    server.keep_here(monkeypatch.setattr)
    yield server
    server.remove()


def node(name="node1", **more):
    """Settings of the node's part."""
    return dict(
        {
            "name": name,
            "subnets": ["192.168.7.0/24"],
            "cluster_subnets": CLUSTER,
            "southbound": "tcp:10.44.0.11:6642",
            "datapath_type": "netdev",
        },
        **more,
    )


def gateway(nic):
    """Settings of the gateway's part."""
    return {"nic": nic, "datapath_type": "netdev"}


def host_state(vswitch):
    """Return the state of the host: rows, links with their kernel numbers, addresses, routes."""
    columns = ("name", "external_ids", "ports", "interfaces", "other_config", "ofport")
    tables = {
        table: {uuid: {key: value for key, value in row.items() if key in columns} for uuid, row in rows.items()}
        for table, rows in vswitch.everything().items()
        if table in ("Bridge", "Port", "Interface", "Open_vSwitch")
    }
    links = sorted((link["ifname"], link["ifindex"]) for link in json.loads(ip("-j link show")))
    return tables, links, snapshot(*(name for name, _index in links if name != "lo")), ip("-6 route")


def prevent_saving(vswitch):
    """Make it impossible to save settings: a file has the name of the directory."""
    vswitch.kept.rename(vswitch.directory / "away")
    vswitch.kept.write_text("not a directory")


def test_a_rename_that_fails_leaves_the_old_port(vswitch):
    """Protects the management port, its addresses and routes against a rename that can't be finished."""
    vswitch.host().node(node("node1"))
    before = host_state(vswitch)
    prevent_saving(vswitch)
    with pytest.raises(HostError, match="Not a directory"):
        vswitch.host().node(node("node9"))
    assert host_state(vswitch) == before


def test_a_rename_leaves_nothing_of_the_old_name(vswitch):
    """Protects a rename that works: the old port is deleted once the new one is complete."""
    vswitch.host().node(node("node1"))
    planned = [item.describe() for item in vswitch.host().node(node("node9")).plan]
    assert planned[-1].endswith(": delete")
    tables, links, shown, _routes = host_state(vswitch)
    assert "k8s-node1" not in str(tables) and "k8s-node1" not in dict(links)
    assert [entry["local"] for entry in shown["k8s-node9"]] == ["192.168.7.2"]
    assert "192.168.0.0/16 via 192.168.7.1 dev k8s-node9" in ip("route")
    assert vswitch.host().node(node("node9")).plan == []


def test_a_change_of_the_nic_that_fails_leaves_the_old_one(vswitch):
    """Protects the gateway's connection against a change of its NIC that can't be finished."""
    vswitch.host().gateway(gateway("eth1"))
    before = host_state(vswitch)
    prevent_saving(vswitch)
    with pytest.raises(HostError, match="Not a directory"):
        vswitch.host().gateway(gateway("eth2"))
    assert host_state(vswitch) == before


def test_a_removal_that_fails_leaves_everything(vswitch):
    """Protects against half a node: its settings could not be removed, so nothing is."""
    vswitch.host().node(node("node1"))
    before = host_state(vswitch)
    vswitch.kept.joinpath("node.json").unlink()
    vswitch.kept.joinpath("node.json").mkdir()
    with pytest.raises(HostError):
        vswitch.host().node(None)
    assert host_state(vswitch) == before


@pytest.fixture
def proxy(vswitch):
    """A function that starts a proxy in front of the database."""
    yield from proxies(vswitch)


class Cut:
    """End connections at the commits of a change (before one, or before its reply), or at its wait for ovs-vswitchd.

    :param at: which commits: 1 is the first.
    """

    def __init__(self, moment, *at):
        self.moment, self.at, self.count, self.waits = moment, at, 0, False

    def __call__(self, _number, request):
        waits, self.waits = self.waits, commits(request)
        self.count += self.waits
        if self.count not in self.at or not (waits if self.moment == "wait" else self.waits):
            return None
        return "before" if self.moment == "wait" else self.moment


@pytest.mark.parametrize(
    ("moment", "move"), [("before", False), ("after", False), ("wait", False), ("after", True), ("wait", True)]
)
def test_a_lost_connection_is_opened_again(vswitch, proxy, moment, move):
    """Protects a host whose database restarts during a change: all is done and reported, once."""
    one = proxy(Cut(moment, 1))
    result = host_module.Host(one.remote).node(node(), move)
    told = [item.describe() for item in result.plan]
    assert "Bridge br-int: insert" in told and len(told) == len(set(told))
    assert "192.168.0.0/16 via 192.168.7.1 dev k8s-node1" in ip("route") and (vswitch.kept / "node.json").exists()
    assert vswitch.host().node(node(), move).plan == []


@pytest.mark.parametrize("moment", ["before", "after", "wait"])
def test_a_connection_that_is_lost_again_leaves_everything(vswitch, proxy, moment):
    """Protects against half a node: rows are rolled back over a new connection, and the error names the cause."""
    settings = node(mtu=1400)
    if moment == "wait":
        vswitch.host().node(node())  # so that the change is one of rows and links that stay
    before = host_state(vswitch)
    one = proxy(Cut(moment, 1, 2))
    result = call(
        "ovn_minion_init",
        part="host",
        open_vswitch=one.remote,
        node_name="node1",
        minion_switch_subnet=settings["subnets"],
        mtu=1400,
        cluster_ip_subnet=CLUSTER,
        southbound=settings["southbound"],
        datapath_type="netdev",
        move_underlay=False,
    )
    assert result["failed"] and not result["changed"]
    assert result["msg"].startswith(f"the connection to Open_vSwitch at {one.remote} was lost before the reply came")
    assert host_state(vswitch) == before


@pytest.mark.parametrize(
    ("move", "cause", "left"),
    [
        (
            False,
            "the connection to Open_vSwitch at {} was lost before the reply came",
            "; what was done before could not be rolled back: ",
        ),
        (True, "can't use database Open_vSwitch at {}: there is no such socket", "; not all could be rolled back: "),
    ],
)
def test_the_error_names_what_could_not_be_rolled_back(vswitch, proxy, monkeypatch, move, cause, left):
    """Protects against "unchanged" where the host was changed. The error has the cause, what stays, and what to do."""
    monkeypatch.setattr(connection_module, "REOPEN_TIME", 0.2)
    made = []

    def cut(_number, request):
        if not commits(request):
            return None
        made[0].listener.close()
        (vswitch.directory / "proxy").unlink()
        return "after"

    made.append(proxy(cut))
    if move:  # as ovn-k8s-overlay does it
        with pytest.raises(RollbackFailed) as told:
            host_module.Host(made[0].remote).node(node(), move)
        message = str(told.value)
    else:
        result = call(
            "ovn_minion_init",
            part="host",
            open_vswitch=made[0].remote,
            node_name="node1",
            minion_switch_subnet=["192.168.7.0/24"],
            cluster_ip_subnet=CLUSTER,
            southbound="tcp:10.44.0.11:6642",
            datapath_type="netdev",
        )
        assert result["failed"] and result["changed"]
        message = result["msg"]
    assert "\n" not in message
    first, then = message.split(left)
    assert first.startswith(cause.format(made[0].remote))
    assert then.startswith(f"can't use database Open_vSwitch at {made[0].remote}: there is no such socket")
    assert then.endswith(": run it again when that is mended")
    (vswitch.directory / "proxy").symlink_to(vswitch.socket)
    assert vswitch.host().node(node(), move).plan and vswitch.host().node(node(), move).plan == []


@pytest.mark.parametrize("moment", ["before", "after", "wait"])
def test_a_removal_whose_last_reply_is_lost(vswitch, proxy, moment):
    """Protects the NIC's addresses: the bridge may be deleted already, so the change goes on instead of back."""
    before = host_state(vswitch)[1:]
    vswitch.host().gateway(gateway("eth1"))
    one = proxy(Cut(moment, 2))
    told = [item.describe() for item in host_module.Host(one.remote).gateway(None).plan]
    assert told.count("Bridge breth1: delete") == 1 and "eth1" in str(told)
    assert host_state(vswitch)[1:] == before
    assert vswitch.host().gateway(None).plan == []


def test_a_removal_that_ovs_vswitchd_does_not_apply(vswitch, proxy, monkeypatch):
    """Protects against "unchanged" where all rows are deleted, and only the bridge itself is left."""
    vswitch.host().gateway(gateway("eth1"))
    commit = []

    def hang(_number, request):
        if commits(request):
            commit.append(request)
            if len(commit) == 2:  # what goes, goes last
                vswitch.daemon.send_signal(signal.SIGSTOP)

    one = proxy(hang)
    monkeypatch.setattr(
        part, "Connection", lambda remote, database: connection_module.Connection(remote, database, timeout=1.0)
    )
    result = call("ovn_gateway", part="host", state="absent", open_vswitch=one.remote, node_name="node1")
    vswitch.daemon.send_signal(signal.SIGCONT)
    assert result["failed"] and result["changed"], result
    assert result["msg"].startswith("ovs-vswitchd did not take over the change in time: ") and result["msg"].endswith(
        "is not rolled back"
    )


def test_a_removal_whose_last_part_can_not_be_done(vswitch, proxy):
    """Protects against "unchanged" for a gateway that is almost removed. The next run finishes it."""
    before = host_state(vswitch)[1:]
    vswitch.host().gateway(gateway("eth1"))
    one = proxy(Cut("before", 2, 3))
    result = call("ovn_gateway", part="host", state="absent", open_vswitch=one.remote, node_name="node1")
    assert result["failed"] and result["changed"]
    assert result["msg"].endswith("; the change was made but for its last part: run it again, which goes on from there")
    # The NIC is configured again once it is out of its bridge.
    left = [item.describe() for item in vswitch.host().gateway(None).plan]
    assert any("to eth1" in text for text in left[left.index("Bridge breth1: delete") :])
    assert host_state(vswitch)[1:] == before
