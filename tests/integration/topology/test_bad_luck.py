# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what users read when the database can't be used: one sentence, ``failed``, and nothing changed."""

from __future__ import annotations

import json
import os
import socket

import pytest
from database_server import PROGRAMS, Server, free_port, wait_for
from module_calls import call, call_at_once
from northbound import CLUSTER, Northbound, node_settings

NODE = dict(node_settings(1), part="northbound", cluster_ip_subnet=CLUSTER)


def sentence(remote, **options):
    """The message of a call that must fail."""
    result = call("ovn_minion_init", **dict(NODE, northbound=remote, timeout=2, **options))
    assert result.get("failed") and result["changed"] is False and result["plan"] == []
    assert "\n" not in result["msg"]
    return result["msg"]


def test_server_is_down(nb):
    """Protects against the plain case: the service was stopped, and its socket is gone."""
    nb.stop()
    assert sentence(nb.remote) == (
        f"can't use database OVN_Northbound at {nb.remote}: there is no such socket: "
        "the server is not installed or not running"
    )
    nb.start()
    assert nb.master()["changed"]


def test_server_has_died():
    """Protects against a socket that is left over from a server that was killed, and a port that nobody listens on."""
    remote = f"tcp:127.0.0.1:{free_port()}"
    assert sentence(remote) == (
        f"can't use database OVN_Northbound at {remote}: nobody listens there: start the server, or correct the remote"
    )


def test_server_does_not_answer():
    """Protects against a call that hangs: something accepts connections there and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        remote = f"tcp:127.0.0.1:{listener.getsockname()[1]}"
        said = sentence(remote)
    assert said.startswith(
        f"can't use database OVN_Northbound at {remote}: "
        f"the connection to OVN_Northbound at {remote} was lost before the reply came"
    )
    assert "timed out" in said.lower()


@pytest.mark.parametrize("remote", ["/var/run/ovn/ovnnb_db.sock", "unix", "http://127.0.0.1:6641", "tcp", ""])
def test_what_is_no_remote(remote):
    """Protects against a traceback out of the library for text that it does not know."""
    assert sentence(remote) == (
        f"can't use database OVN_Northbound at {remote}: not a remote: "
        "write unix:PATH, tcp:ADDRESS:PORT or ssl:ADDRESS:PORT"
    )


@pytest.mark.parametrize(
    "remote",
    [
        "tcp:127.0.0.1:x",
        "tcp:300.1.1.1:6641",
        "tcp:127.0.0.1",
        "tcp::",
        "unix:",
        "tcp:no-such-host.invalid:6641",
        "tcp:127.0.0.1:99999",
    ],
)
def test_a_remote_that_leads_nowhere(remote):
    """Protects against a traceback for addresses and ports that can't be."""
    assert sentence(remote).startswith(f"can't use database OVN_Northbound at {remote}: ")


def test_another_database_is_behind_the_socket():
    """Protects Open vSwitch's own database, whose socket lies beside."""
    server = Server("vswitch", "Open_vSwitch")
    try:
        before = server.everything()
        assert sentence(server.remote) == (
            f"can't use database OVN_Northbound at {server.remote}: "
            "it has no database OVN_Northbound, only Open_vSwitch"
        )
        assert server.everything() == before
    finally:
        server.remove()


def test_permission_denied(nb):
    """Protects users who forget ``become``: the socket is root's."""
    nb.master()
    nb.directory.chmod(0o755)
    nb.socket.chmod(0)
    before = nb.everything()
    # Ansible's coders are loaded late: from a checkout below /root the other user could not.
    prologue = (
        (
            "from ansible.module_utils.common import json; json.get_module_decoder('legacy', "
            "json.Direction.CONTROLLER_TO_MODULE)\n"
            "json.get_module_encoder('legacy', json.Direction.MODULE_TO_CONTROLLER)\n"
            "os.setgroups([]); os.setgid(65534); os.setuid(65534)"
        )
        if os.getuid() == 0
        else ""
    )
    (result,) = call_at_once([("ovn_minion_init", dict(NODE, northbound=nb.remote))], prologue)
    assert result["failed"] and result["changed"] is False
    assert (
        result["msg"]
        == f"can't use database OVN_Northbound at {nb.remote}: permission denied: run as root (ansible_become: true)"
    )
    assert nb.everything() == before


@pytest.mark.parametrize("module", ["ovn_master_init", "ovn_minion_init", "ovn_gateway"])
def test_library_is_missing_on_the_host(nb, module):
    """Protects hosts on which python3-openvswitch is not installed: the sentence names the package."""
    prologue = (
        "[sys.modules.pop(name) for name in list(sys.modules) if name.split('.')[0] == 'ovs']; "
        "sys.modules['ovs'] = None"
    )
    options = dict(NODE, northbound=nb.remote)
    if module == "ovn_master_init":
        options = {"part": "northbound", "cluster_ip_subnet": CLUSTER, "northbound": nb.remote}
    if module == "ovn_gateway":
        options = {"part": "northbound", "node_name": "x", "state": "absent", "northbound": nb.remote}
    (result,) = call_at_once([(module, options)], prologue)
    assert result["failed"] and result["changed"] is False
    assert result["msg"] == (
        "the Python library 'ovs' is missing on this host: "
        "install python3-openvswitch (EL9: python3-openvswitch of the NFV SIG)"
    )


def test_tls_is_all_or_nothing(nb):
    """Protects against a connection that is less safe than it looks: key, certificate and CA, all or none."""
    assert nb.refused("ovn_minion_init", **node_settings(1, certificate="/etc/x.pem")).startswith(
        "parameters are required together: private_key, certificate, ca_cert"
    )


@pytest.fixture
def cluster():
    """The two members of a real RAFT cluster, the leader first."""
    ports = [f"tcp:127.0.0.1:{free_port()}" for _member in range(2)]
    members = [Northbound(cluster=ports[0])]
    try:
        members.append(Northbound(cluster=ports[1], join=ports[0]))
        wait_for(lambda: all(member.connected() for member in members), "the members to find each other")
        yield members
    finally:
        for member in members:
            member.remove()


def test_a_follower_alone_is_refused(cluster):
    """Protects against a change that is sent to the wrong member: the sentence says what to write instead."""
    leader, follower = cluster
    assert sentence(follower.remote) == (
        f"can't use database OVN_Northbound at {follower.remote}: it is not the leader of its cluster: name all members"
    )
    assert leader.content() == {}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_leader_is_found_in_a_list(cluster, order):
    """Protects the list of members, in any order, with spaces, and over any kind of connection."""
    remotes = [cluster[0].tcp, cluster[1].remote]
    remote = ", ".join(remotes[index] for index in order)
    assert cluster[0].master(northbound=remote)["changed"]
    assert cluster[0].node(1, northbound=remote)["changed"]
    assert not cluster[0].node(1, northbound=remote)["changed"]


def test_a_member_that_is_down_does_not_matter(cluster):
    """Protects the list against ending at the first member that does not answer."""
    nowhere = f"tcp:127.0.0.1:{free_port()}"
    assert cluster[0].master(northbound=f"{nowhere},{cluster[1].remote},{cluster[0].remote}")["changed"]


def test_a_cluster_without_majority(cluster):
    """Protects against waiting for ever for a commit that can't come; each member's reason is named."""
    leader, follower = cluster
    leader.stop()
    gone = wait_for(
        lambda: "lost its cluster" in (said := sentence(f"{leader.remote},{follower.remote}")) and said,
        "the member to notice",
    )
    assert gone == (
        f"can't use database OVN_Northbound at {leader.remote}: there is no such socket: "
        "the server is not installed or not running; "
        f"{follower.remote}: it has lost its cluster: a majority of the members must run"
    )


def test_a_database_that_is_too_old(tmp_path):
    """Protects users of an OVN before 22.03, which has no groups of load balancers: the error names the oldest one."""
    schema = json.loads((PROGRAMS / "schema" / "ovn-nb.ovsschema").read_text())
    del schema["tables"]["Load_Balancer_Group"]
    for table in schema["tables"].values():
        table["columns"].pop("load_balancer_group", None)
    (tmp_path / "old.ovsschema").write_text(json.dumps(schema))
    server = Northbound(str(tmp_path / "old"))
    try:
        assert (
            "the server does not know the request: OVN 22.03 and Open vSwitch 2.17 are the oldest that have it"
            in server.refused("ovn_master_init")
        )
    finally:
        server.remove()
