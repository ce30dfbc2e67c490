# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects against two granters: what one does that its database's cluster has left behind, in a cluster of three."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import time

import pytest
from database_server import PROGRAMS, Server, wait_for
from egress_ip_world import play
from northbound import Northbound

from ansible_collections.ovn.kubernetes.plugins.module_utils._egress_ip import lease
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import egress_leases

A = "10.55.0.100"


def appctl(server, *command):
    """What the server says."""
    program = [str(PROGRAMS / "bin" / "ovs-appctl"), "-t", str(server.directory / "ctl")]
    return subprocess.run([*program, *command], check=True, timeout=30, capture_output=True, text=True).stdout


def lead_for_long(server):
    """Let the leader believe for longer that it leads."""
    for timer in (2000, 4000, 8000):  # it takes twice as much at once
        appctl(server, "cluster/change-election-timer", server.database, str(timer))
        told = f"Election timer: {timer}"
        wait_for(lambda: told in appctl(server, "cluster/status", server.database), told)  # noqa: B023


def free_address():
    """An address for a member of a cluster."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"tcp:127.0.0.1:{one.getsockname()[1]}"


@pytest.fixture
def nb():
    """The member that leads."""
    first = free_address()
    server = Northbound(cluster=first)
    server.others = []
    try:
        server.others += [Server(cluster=free_address(), join=first) for _ in range(2)]
        for one in server.others:
            wait_for(one.connected, "a member to join")
        server.build(nodes=(1, 2, 3), gateways=(1, 2, 3), dual=True)
        yield server
    finally:
        for one in server.others:
            one.process.send_signal(signal.SIGCONT)
            one.remove()
        server.remove()


def test_nothing_proves_that_a_member_without_others_leads(nb, monkeypatch):
    """Protects against a granter whose database's other members are away: another one may lead there already. From that
    moment on it gets no proof any more, although its member answers for some time what only reads."""
    monkeypatch.setattr(egress_leases, "PROVE", 0.05)

    async def scene(world):
        world.egress_ip("one", [A], {"team": "x"})
        await world.until(lambda: world.held(), "the address")
        granter = world.server.granting.granter
        await asyncio.to_thread(lead_for_long, nb)
        for one in nb.others:
            one.process.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        await world.until(lambda: time.monotonic() - stopped > 3.0, "proofs")
        assert stopped - 1.0 < granter.authority - lease.PROOF <= stopped

    play(nb, scene)


def test_another_granter_waits_for_the_former_one(nb):
    """Protects what the former granter may still grant: another one renews what is settled at once, and moves nothing
    until the authority and the leases of the former one are over."""

    async def scene(world):
        world.egress_ip("one", [A], {"team": "x"})
        await world.until(lambda: world.held(), "the address")
        await world.until(lambda: all(one.settled for one in world.server.granting.granter.decided.values()), "it")
        first = world.held()[A]
        authority = world.server.granting.granter.authority
        await world.new_granter()
        await world.until(lambda: world.server.granting.granter is not None, "another granter")
        granter = world.server.granting.granter
        assert granter.alone_from >= authority + lease.HOLD
        await world.until(lambda: world.held() == {A: first}, "the same holder")
        world.label(*({1, 2, 3} - {first}))
        await world.until(lambda: world.held().get(A) not in (None, first), "another holder")
        assert time.monotonic() >= granter.alone_from

    play(nb, scene)
