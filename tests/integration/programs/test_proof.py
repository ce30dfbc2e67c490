# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects hosts that a task reaches without a network (connection local, podman, chroot; a controller on the host
itself): what the task confirms is proven by peers, since its own connection proves nothing."""

from __future__ import annotations

import os
import types

import pytest
from database_server import wait_for
from network_namespace import ip

from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible.nics import change_nics
from ansible_collections.ovn.kubernetes.plugins.module_utils._host import ssh
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic import reachability
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.journal import boot_time, host_journal

from .conftest import ROUTER

SILENT = f"the router {ROUTER} of the default route answered before and did not any more"


@pytest.fixture
def phase(bare):
    """Run a phase of the module as a task with the connection local does; return its facts."""

    def run(name):
        params = {
            "nics": ["eth0"],
            "state": "present",
            "used_by": "request",
            "rollback_timeout": 5,
            "datapath_type": None,
            "open_vswitch": bare.remote,
            "_phase": name,
            "_change_id": "one",
        }
        (result,) = change_nics(types.SimpleNamespace(params=params, check_mode=False))
        return result.facts

    return run


@pytest.fixture(autouse=True)
def local(monkeypatch):
    """No SSH server has started these tests, whoever runs them."""
    monkeypatch.setattr(reachability, "session_age", lambda: None)


def begin(phase):
    """Begin the move, and wait until all is done."""
    phase("begin")
    wait_for(lambda: phase("look")["outcome"] == "applied", "the move")


def test_it_stays_when_the_router_answers(bare, phase):
    """Protects a host that configures itself: the move is confirmed at once."""
    begin(phase)
    assert phase("confirm")["outcome"] == "confirmed" and "10.44.0.12/24" in ip("address show dev breth0")


def test_a_router_that_does_not_answer_any_more(bare, phase):
    """Protects against a move that cuts the host off and is confirmed by itself."""
    bare.before_moves = lambda: bare.router(f"address del {ROUTER}/24 dev eth0p")
    begin(phase)
    seen = phase("confirm")
    assert (seen["outcome"], seen["unproven"]) == ("applied", SILENT)
    wait_for(lambda: phase("look")["outcome"] == "undone", "the way back")
    assert "10.44.0.12/24" in ip("address show dev eth0") and "breth0" not in ip("link")


@pytest.mark.parametrize("entry", ["none", "permanent"])
def test_nothing_that_answers_proves_nothing(bare, phase, entry):
    """Protects a host whose router never answers, or is never asked: nobody confirms for it, unless a person does."""
    bare.router(f"address del {ROUTER}/24 dev eth0p")
    if entry == "permanent":
        ip(f"neigh replace {ROUTER} dev eth0 lladdr 02:00:00:00:00:01 nud permanent")
    begin(phase)
    seen = phase("confirm")
    assert seen["outcome"] == "applied" and seen["unproven"].startswith("nothing answered before the change")
    host_journal().confirm("one")  # ovn-k8s-util confirm
    wait_for(lambda: phase("look")["outcome"] == "confirmed", "the confirmation")


CLIENT = "10.44.0.77"


@pytest.mark.parametrize(
    ("age", "client", "proven"),
    [
        (1.0, CLIENT, True),
        (9.0, CLIENT, False),
        (1.0, "10.44.0.12", False),
        (1.0, "127.0.0.1", False),
        (None, CLIENT, False),
    ],
    ids=["new", "older than the change", "from itself", "from the loopback", "no SSH server"],
)
def test_which_ssh_session_is_a_proof(bare, monkeypatch, age, client, proven):
    """Protects against old connections that are shared (ControlMaster of ssh_config(5)), sessions of a controller on
    the host itself, and variables of a session that has ended."""
    monkeypatch.setattr(reachability, "session_age", lambda: age)
    monkeypatch.setattr(reachability, "session_peer", lambda: client)
    assert (reachability.why_unproven({}, boot_time() - 5, boot_time()) is None) == proven


def test_a_controller_in_a_container_of_the_host_proves_nothing(bare, monkeypatch):
    """Protects a host that runs its own controller: the way to a container does not leave the host."""
    ip("link add inside0 type bridge")
    ip("address add 10.88.0.1/24 dev inside0")
    ip("link set inside0 up")
    ip("link add port0 type veth peer name port1")
    ip("link set port0 master inside0 up")
    monkeypatch.setattr(reachability, "session_age", lambda: 1.0)
    monkeypatch.setattr(reachability, "session_peer", lambda: "10.88.0.5")
    assert reachability.why_unproven({}, boot_time() - 5, boot_time()) == reachability.NO_PROOF


def test_ssh_clients_have_to_answer_again(bare, monkeypatch):
    """Protects the administrator's own session, also where the client is no router, or is behind another one."""
    bare.router("address add 10.44.0.77/24 dev eth0p")
    monkeypatch.setattr(reachability, "ssh_clients", lambda: [CLIENT, "192.0.2.9", "10.44.0.12"])
    peers = reachability.answering_peers()
    assert peers == {f"the router {ROUTER} of the default route": ROUTER, f"the SSH client {CLIENT}": CLIENT}
    assert reachability.why_unproven(peers, None, boot_time()) is None
    bare.router("address del 10.44.0.77/24 dev eth0p")
    told = reachability.why_unproven(peers, None, boot_time())
    assert told == f"the SSH client {CLIENT} answered before and did not any more"


def seen_below(name):
    """Return the age of the session that a grandchild sees whose parent has this name, as a text."""
    reader, writer = os.pipe()
    server = os.fork()
    if not server:
        with open("/proc/self/comm", "w", encoding="ascii") as comm:
            comm.write(name)
        if not os.fork():
            os.write(writer, str(ssh.session_age()).encode())
            os._exit(0)
        os.wait()
        os._exit(0)
    os.waitpid(server, 0)
    os.close(writer)
    with open(reader, "rb") as answer:
        return answer.read().decode()


@pytest.mark.parametrize("name", ["sshd", "sshd-session", "dropbear"])
def test_the_age_of_a_session(name):
    """Protects against another process's age, and a clock of another kind: the server was started just now."""
    assert 0 <= float(seen_below(name)) < 30


def test_a_task_without_an_ssh_server(monkeypatch):
    """Protects the answer "none" where nobody above is an SSH server."""
    monkeypatch.setattr(ssh, "SSH_SERVERS", ("sshd-of-nobody",))
    assert seen_below("sshd") == "None"
