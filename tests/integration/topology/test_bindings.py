# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the overlay from a chassis that claims ports of others, which OVN lets each chassis do: both databases and
ovn-northd are real."""

from __future__ import annotations

import asyncio
import urllib.request

import pytest
from database_server import free_port, wait_for
from northbound import gateway_settings, node_settings
from northd import Northd, register
from preloaded import start_anew

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.tasks import end
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.access import Access
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs.binding_watch import Looks
from ansible_collections.ovn.kubernetes.plugins.module_utils._verify import central, checks
from ansible_collections.ovn.kubernetes.plugins.module_utils._verify.facts import Expected, Passing

POD = "default_web"
CLAIMED = {  # port -> the node that it belongs to
    "k8s-node1": 1,
    "rtoj-GR_node1": 1,
    "rtoe-GR_node1": 1,
    POD: 1,
}


@pytest.fixture
def northd(nb):
    """Two nodes, of which the first one is a gateway, a pod on it, and their chassis."""
    made = Northd(nb)
    try:
        for number in (1, 2):
            register(made.southbound, f"id-{number}", f"node{number}", f"10.0.0.{number}")
        nb.master(nodes=[node_settings(1), node_settings(2)], gateways=[gateway_settings(1)])
        made.pod(POD, 1, "192.168.1.9")
        made.nbctl("lsp-set-options", POD, "requested-chassis=id-1")
        made.sync()
        yield made
    finally:
        made.remove()


def bind(northd, port, system_id, column="chassis"):
    """Let a chassis claim a port, or with ``None`` let it go."""
    (chassis,) = northd.southbound.rows("Chassis", ["name", "==", system_id]) if system_id else (None,)
    value = ["uuid", chassis["_uuid"][1]] if chassis else ["set", []]
    where = [["logical_port", "==", port]]
    northd.southbound.transact({"op": "update", "table": "Port_Binding", "where": where, "row": {column: value}})


def looks(nb, northd, scenario):
    """Run ``scenario(looks, settled)`` beside the copies of the databases, as the program has them; ``settled()``
    waits until they have what was done last."""

    async def main():
        made = Looks(Access(nb.remote, None), Access(northd.southbound.remote, None))
        tasks = [asyncio.create_task(replica.run()) for replica in made.replicas]

        async def settled():
            for replica in made.replicas:
                await asyncio.wait_for(replica.ready.wait(), 20)
                await replica.transact([{"op": "comment", "comment": "what came before is here now"}])

        try:
            await scenario(made, settled)
        finally:
            await end(tasks)

    asyncio.run(main())


def findings(nb, northd):
    """What verify says."""
    found, unknown = central.misplaced_ports(nb.remote, northd.southbound.remote)
    return [one.wrong for one in checks.bindings(Expected(), Passing(misplaced=found, unknown_bindings=unknown))]


@pytest.mark.parametrize("port", CLAIMED)
def test_a_claimed_port_raises_an_alarm(nb, northd, caplog, port):
    """Protects pods, hosts and gateways: whose port it is follows from rows that no chassis may write. Where it belongs
    it raises none, and one look is none either: a pod that moves shows for a moment."""
    for one in CLAIMED:
        bind(northd, one, "id-1")
    text = f"port {port} is bound to chassis id-2 (node2), and belongs to id-1"

    async def scenario(watch, settled):
        assert watch.look() is None  # nothing is known yet
        await settled()
        assert [watch.look(), watch.look()] == [0, 0] and findings(nb, northd) == []
        bind(northd, port, "id-2")
        await settled()
        assert [watch.look(), watch.look(), watch.look()] == [0, 1, 1] and findings(nb, northd) == [text]
        bind(northd, port, "id-1")
        await settled()
        assert watch.look() == 0

    looks(nb, northd, scenario)
    assert [record.getMessage().partition(":")[0] for record in caplog.records if record.levelname == "ERROR"] == [text]
    assert "each port is at its own chassis again" in caplog.text


def test_who_owns_a_port_may_change(nb, northd):
    """Protects against alarms that stay: a node's host with another system-id, and a port that is deleted."""
    bind(northd, "k8s-node1", "id-2")
    bind(northd, POD, "id-2")

    async def scenario(watch, settled):
        await settled()
        assert [watch.look(), watch.look()] == [0, 2]
        nb.master(nodes=[node_settings(1, chassis="id-2"), node_settings(2, chassis="id-1")])
        northd.nbctl("lsp-del", POD)
        northd.sync()
        await settled()
        assert watch.look() == 0

    looks(nb, northd, scenario)


def test_the_program_of_the_masters_has_the_metric(nb, northd, tmp_path):
    """Protects the alarm: the program that runs on each master looks, and serves the number."""
    bind(northd, POD, "id-2")
    port = free_port()
    remotes = ["--northbound", nb.remote, "--southbound", northd.southbound.remote]
    with (tmp_path / "log").open("w") as stream:
        process = start_anew("egress_program:main", [*remotes, "--listen", f"127.0.0.1:{port}"], stream)

    def value():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
                lines = page.read().decode().splitlines()
        except OSError:
            return None
        return next((line.split()[1] for line in lines if line.startswith("ovn_k8s_egress_ports_elsewhere ")), None)

    try:
        wait_for(lambda: value() == "1.0", "the alarm")
        assert f"port {POD} is bound to chassis id-2 (node2)" in (tmp_path / "log").read_text()
    finally:
        process.kill()
        process.wait(10)


def test_a_port_that_is_bound_twice(nb, northd):
    """Protects a pod's packets from being copied: a second chassis that nobody has asked for counts, with or without a
    first one."""
    for first in ("id-1", None):
        bind(northd, POD, first)
        bind(northd, POD, "id-2", "additional_chassis")
        assert findings(nb, northd) == [f"port {POD} is bound to chassis id-2 (node2), and belongs to id-1"]


def test_a_port_of_somebody_else(nb, northd):
    """Protects against false alarms: a port of which nothing says where it belongs may be anywhere, and so may one
    whose chassis is not registered."""
    northd.nbctl("lsp-add", "node1", "foreign")
    northd.nbctl("lsp-add", "node1", "early", "--", "lsp-set-options", "early", "requested-chassis=id-9")
    northd.sync()
    for port in ("foreign", "early"):
        bind(northd, port, "id-2")
    assert findings(nb, northd) == []


def test_a_database_that_does_not_answer(nb, northd):
    """Protects against silence: verify says that it does not know, and the metric has no value."""

    async def scenario(watch, settled):
        await settled()
        assert watch.look() == 0
        northd.southbound.stop()
        while watch.look() is not None:
            await asyncio.sleep(0.01)

    looks(nb, northd, scenario)
    (text,) = findings(nb, northd)
    assert text.startswith("it can't be seen whether each port is at its own chassis: ")
