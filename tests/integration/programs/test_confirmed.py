# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the host on which minion-init moves the tunnels' NIC: the move stays when those still answer who answered
before, else it is taken back."""

from __future__ import annotations

import signal

import pytest
from network_namespace import ip

from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.neighbours import neighbour_answers
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.journal import host_journal

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
    assert "eth0: the change was taken back, and the host has what it had before" in complained and SILENT in complained
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
