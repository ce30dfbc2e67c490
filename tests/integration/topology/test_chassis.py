# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the Southbound database: chassis that are named go with their tunnels, all others stay."""

from __future__ import annotations

import preloaded
import pytest
from database_server import Server, wait_for
from module_calls import call
from northbound import node_settings
from northd import register

from ansible_collections.ovn.kubernetes.plugins.module_utils._programs.stale_chassis import StaleChassis


@pytest.fixture
def southbound():
    """A Southbound database with two chassis."""
    server = Server("ovn-sb", "OVN_Southbound")
    try:
        for number in (1, 2):
            register(server, f"id-{number}", f"node{number}", f"10.0.0.{number}")
        yield server
    finally:
        server.remove()


def test_a_chassis_goes_and_others_stay(southbound):
    """Protects idempotence, check mode, and the tunnel address, which is free then."""

    def delete(check=False):
        return call("ovn_chassis", check, True, southbound=southbound.remote, system_ids=["id-2", "id-9"])

    def left():
        tables = ("Chassis", "Chassis_Private", "Encap")
        return [sorted(row.get("name") or row["ip"] for row in southbound.rows(table)) for table in tables]

    assert delete(check=True)["changed"] and left()[0] == ["id-1", "id-2"]
    assert [one["text"] for one in delete()["plan"]] == ["Chassis id-2: delete", "Chassis_Private id-2: delete"]
    assert left() == [["id-1"], ["id-1"], ["10.0.0.1"]]
    assert not delete()["changed"]


@pytest.mark.parametrize("addresses", [["10.0.0.2"], ["fd00::2"], ["10.0.0.2", "10.0.0.12"]], ids=str)
def test_the_chassis_of_before_goes_by_itself(nb, southbound, addresses):
    """Protects a host that was installed anew, which could not register for ever: its node gets another system-id, and
    the chassis that has its tunnel address goes, without a run of a playbook. The other chassis stay, also one that
    claims to be that host.
    """
    for number in (1, 2):
        assert call("ovn_chassis", southbound=southbound.remote, system_ids=[f"id-{number}"])["changed"]
    register(southbound, "id-1", "node2", "10.0.0.1")
    register(southbound, "id-2", "node2", *addresses)
    nb.build(gateways=(1,))
    program = StaleChassis(nb.remote, southbound.remote, lambda: True)
    program.look()
    assert names_of(southbound) == ["id-1", "id-2"]
    with pytest.raises(AssertionError, match="identical values"):
        register(southbound, "id-2-new", "node2", *addresses)
    assert nb.node(2, chassis="id-2-new")["changed"] and not nb.node(2, chassis="id-2-new")["changed"]
    program.look()
    assert names_of(southbound) == names_of(southbound, "Chassis_Private") == ["id-1"]
    assert [row["ip"] for row in southbound.rows("Encap")] == ["10.0.0.1"]
    register(southbound, "id-2-new", "node2", *addresses)
    program.look()
    program.close()
    assert names_of(southbound) == ["id-1", "id-2-new"]


def test_who_has_a_nodes_address_and_is_no_node_goes(nb, southbound):
    """Protects a host whose earlier system-ids nobody knows: the inventory says whose address it is. A moment passes
    before, and a chassis that comes back again and again is deleted less often.
    """
    now = [0.0]
    nodes = [dict(node_settings(number), encap_ip=f"10.0.0.{number + 10}") for number in (1, 2)]
    nb.master(nodes=nodes)
    program = StaleChassis(nb.remote, southbound.remote, lambda: True, lambda: now[0])

    def look_at(seconds):
        now[0] = seconds
        program.look()
        return names_of(southbound)

    register(southbound, "before", "anything", "10.0.0.12")
    register(southbound, "stranger", "elsewhere", "10.0.0.99")
    assert look_at(0) == ["before", "id-1", "id-2", "stranger"] == look_at(9)
    assert look_at(10) == ["id-1", "id-2", "stranger"]
    for again, pause in ((10, 10), (20, 20), (40, 40)):
        register(southbound, "before", "anything", "10.0.0.12")
        assert "before" in look_at(again + pause - 1) and "before" not in look_at(again + pause)
    program.close()


def test_the_program_of_the_masters_deletes_it(nb, southbound, tmp_path):
    """Protects what runs beside the check of gateways: it acts where the lock is, and an outage of the Southbound
    database ends neither of them.
    """
    nb.master(nodes=[node_settings(1), node_settings(2)])
    southbound.stop()
    log = tmp_path / "log"
    with log.open("w") as stream:
        program = preloaded.start(
            "egress_program:main", ["--northbound", nb.remote, "--southbound", southbound.remote], stream
        )
    try:
        wait_for(lambda: "stale chassis can't be looked for" in log.read_text(), "the outage to be said")
        southbound.start()
        nb.node(2, chassis="id-2-new")
        wait_for(lambda: names_of(southbound) == ["id-1"], "the chassis to go")
        said = "chassis id-2 is deleted: node node2 is another one now"
        wait_for(lambda: said in log.read_text(), "the deletion to be said")
        assert program.poll() is None
    finally:
        program.kill()
        program.wait(timeout=10)


def names_of(server, table="Chassis"):
    """The chassis that are registered."""
    return sorted(row["name"] for row in server.rows(table))
