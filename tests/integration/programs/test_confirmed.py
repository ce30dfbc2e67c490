# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the host on which minion-init moves the tunnels' NIC: the move stays when those still answer who answered
before, else it is rolled back."""

from __future__ import annotations

import json
import signal
import types

import pytest
from network_namespace import ip

from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible.argument_spec import NICS_TO_BRIDGE, OVN_HOST
from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible.host import converge_host
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.retry import wait_until
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.neighbours import neighbour_answers
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic import checkpoint
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.journal import host_journal
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import host, node_network, own_facts

from .conftest import ROUTER
from .test_overlay import COMPLETE, MASTER, MINION

SILENT = f"the router {ROUTER} of the default route answered before and did not any more"


@pytest.mark.parametrize("command", [MASTER, MINION])
def test_it_stays_when_router_and_database_answer(bare, command):
    """Protects the command as users of the original tool type it: it completes by itself, and a second run needs no
    check."""
    bare.nb.master()
    bare.set(**{"ovn-nb": bare.nb.tcp})
    status, said, complained = bare.run(command)
    assert (
        (status, complained) == (0, "")
        and said.endswith(COMPLETE)
        and "10.44.0.12/24, 1 route: move from eth0 to breth0" in said
    )
    assert host_journal().read().state == "confirmed" and "10.44.0.12/24" in ip("address show dev breth0")
    bare.router(f"address del {ROUTER}/24 dev eth0p")
    assert bare.run(command) == (0, COMPLETE, "")


def test_a_router_that_does_not_answer_afterwards(bare):
    """Protects a host that could not be reached any more: it gets back what it had, the overlay is not begun, and the
    command names the peer that did not answer."""
    bare.nb.master()
    before = bare.seen()
    bare.before_moves = lambda: bare.router(f"address del {ROUTER}/24 dev eth0p")
    status, said, complained = bare.run(MINION, "--timeout=5")
    assert (status, said) == (1, "") and complained.count("\n") == 1
    assert (
        "eth0: the change was rolled back, and the host has what it had before" in complained and SILENT in complained
    )
    assert bare.seen() == before and host_journal().read().state == "undone"


def test_a_database_that_does_not_answer_afterwards(bare):
    """Protects against a host that reaches its router only: the database has to answer too, over a new connection."""
    bare.nb.master()
    bare.set(**{"ovn-nb": bare.nb.tcp})
    before = bare.seen()
    bare.before_moves = lambda: bare.nb.process.send_signal(signal.SIGSTOP)
    try:
        status, _said, complained = bare.run(MINION, "--timeout=5")
    finally:
        bare.nb.process.send_signal(signal.SIGCONT)
    assert (
        status == 1 and f"the Northbound database at {bare.nb.tcp} answered before and did not any more" in complained
    )
    assert bare.seen() == before


def test_a_peer_that_did_not_answer_before_is_not_checked(bare):
    """Protects a host whose router never answers: the command completes, and says that it could not check."""
    bare.nb.master()
    bare.router(f"address del {ROUTER}/24 dev eth0p")
    status, said, complained = bare.run(MINION)
    assert status == 0 and said.endswith(COMPLETE)
    assert complained == (
        "ovn-k8s-overlay minion-init: note: nothing answers this host that could show whether it can still be reached "
        "after the move of eth0: look at it\n"
    )


def test_yes_checks_nothing(bare):
    """Protects scripts that check the host themselves."""
    bare.nb.master()
    bare.before_moves = lambda: bare.router(f"address del {ROUTER}/24 dev eth0p")
    status, said, complained = bare.run(MINION, "--yes")
    assert (status, complained) == (0, "") and said.endswith(COMPLETE)


def test_a_neighbour_has_to_answer_again(bare):
    """Protects the check itself: the kernel's cached entry of a neighbour is no answer, and a permanent entry needs
    none."""
    bare.router("address add fd44::1/64 dev eth0p nodad")
    ip("address add fd44::12/64 dev eth0 nodad")
    for neighbour in (ROUTER, "fd44::1"):
        assert neighbour_answers("eth0", neighbour, 2) and neighbour_answers("eth0", neighbour, 2)
    bare.router("address flush dev eth0p")
    for neighbour in (ROUTER, "fd44::1", "192.0.2.1"):
        assert not neighbour_answers("eth0", neighbour, 0.5)
    assert not neighbour_answers("nosuch", ROUTER, 0.5)
    ip(f"neigh replace {ROUTER} dev eth0 lladdr 02:00:00:00:00:01 nud permanent")
    assert neighbour_answers("eth0", ROUTER, 0.5)


NODE = {
    "name": "kube-minion1",
    "subnets": ["192.168.2.0/24"],
    "cluster_subnets": ["192.168.0.0/16"],
    "southbound": "tcp:10.44.0.11:6642",
    "encap_ip": "10.44.0.12",
    "datapath_type": "netdev",
    "routes": ["10.96.0.0/16"],
}


def deferred(bare, **more):
    """What the host part of a node leaves to the controller; the change that gets it begins."""
    local = host.Host(bare.remote)
    network = local.node({**NODE, **more}, move_underlay=False, defer=True).facts.get("network")
    if network:
        network = json.loads(json.dumps(network))
        checkpoint.begin(lambda: local.plan_network(network), [network["link"]], "id", 5, bare.remote)
        assert wait_until(lambda: checkpoint.look("id").awaits_confirmation, 20, checkpoint.JOURNAL_PAUSE)
    return network


def routes():
    return [line.split(" proto")[0].strip() for line in ip("-4 route").splitlines() if "k8s-" in line]


def test_what_may_cut_a_host_off_is_rolled_back_unless_it_is_confirmed(bare):
    """Protects ways that nobody knows of, such as a VPN's other end: the default route leads to the pods' network too.

    Nothing of it is saved for a boot before the confirmation.
    """
    network = deferred(bare)
    assert network["addresses"] == ["192.168.2.2/24"]
    assert [one["destination"] for one in network["routes"]] == ["192.168.0.0/16", "10.96.0.0/16"]
    link = network["link"]
    assert routes()[-1] == f"192.168.2.0/24 dev {link}" and len(routes()) == 3
    assert not (bare.kept / "node.json").exists()
    assert wait_until(lambda: checkpoint.look("id").is_final, 30, checkpoint.JOURNAL_PAUSE)
    assert checkpoint.look("id").state == "undone" and routes() == []
    assert not (bare.kept / "node.json").exists()
    assert deferred(bare) == network
    assert checkpoint.confirm("id", 20).is_confirmed and len(routes()) == 3
    assert deferred(bare) is None
    assert json.loads((bare.kept / "node.json").read_text())["routes"] == ["10.96.0.0/16"]


def test_what_was_confirmed_is_repaired_at_once(bare, monkeypatch):
    """Protects repairs and the unchanged case from more calls: only what is new needs a confirmation."""
    assert deferred(bare) and checkpoint.confirm("id", 20).is_confirmed
    assert deferred(bare) is None
    monkeypatch.setattr(own_facts.saved_networks, "__defaults__", (str(bare.kept / "node.json"),))
    ip("route delete 192.168.0.0/16")
    with monkeypatch.context() as here:
        here.setattr(node_network, "new_ways", None)  # the host's routes, which may be very many, are not read again
        assert deferred(bare) is None and any(line.startswith("192.168.0.0/16 via 192.168.2.1") for line in routes())
    network = deferred(bare, routes=["10.96.0.0/16", "100.64.0.0/16"])
    assert network["addresses"] == [] and network["routes"] == [{"destination": "100.64.0.0/16", "via": "192.168.2.1"}]
    assert len(routes()) == 4


def test_a_host_without_another_way_has_nothing_to_lose(bare):
    """Protects hosts without a wider route: nothing can be cut off, and one call is all."""
    ip("route delete default")
    assert deferred(bare) is None and len(routes()) == 3


def test_the_module_of_the_roles_ends_before_what_must_be_confirmed(bare):
    """Protects the order of a host's parts: what comes after the node waits for the confirmation, and comes with the
    next call, which changes nothing more of the node."""
    node = {
        "node_name": NODE["name"],
        "cluster_ip_subnet": NODE["cluster_subnets"],
        "minion_switch_subnet": NODE["subnets"],
        **{name: NODE[name] for name in ("southbound", "encap_ip", "datapath_type", "routes")},
        "former_nodes": [],
    }
    params = {name: option.get("default") for name, option in OVN_HOST["argument_spec"].items()}
    params.update(node=node, open_vswitch=bare.remote, _defer=True)

    def run():
        module = types.SimpleNamespace(params=params, check_mode=False)
        results = list(converge_host(module, lambda _command: (0, "", ""), []))
        facts = {name: value for result in results for name, value in result.facts.items()}
        return facts, [operation.describe() for result in results for operation in result.plan]

    facts, plan = run()
    moves = [move for move in facts["moves"] if "_network" in move]
    assert facts["waits"] and "network" not in facts and len(moves) == 1 and plan
    assert set(moves[0]) - {"_network"} <= set(NICS_TO_BRIDGE["argument_spec"]) and routes() == []
    network = json.loads(json.dumps(moves[0]["_network"]))
    checkpoint.begin(lambda: host.Host(bare.remote).plan_network(network), moves[0]["nics"], "id", 30, bare.remote)
    assert wait_until(lambda: checkpoint.look("id").awaits_confirmation, 20, checkpoint.JOURNAL_PAUSE)
    assert checkpoint.confirm("id", 20).is_confirmed and len(routes()) == 3
    facts, plan = run()
    assert not [move for move in facts["moves"] if "_network" in move]
    assert plan == [f"file {bare.kept}/node.json: add"]
    assert run()[1] == []
