# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the Southbound database: chassis that are named go with their tunnels, all others stay."""

from __future__ import annotations

import pytest
from database_server import Server
from module_calls import call


@pytest.fixture
def southbound():
    """A Southbound database with two chassis."""
    server = Server("ovn-sb", "OVN_Southbound")
    try:
        for number in (1, 2):
            encap = {"type": "geneve", "ip": f"10.0.0.{number}", "chassis_name": f"id-{number}"}
            chassis = {"name": f"id-{number}", "hostname": f"node{number}", "encaps": ["named-uuid", "e"]}
            server.transact(
                {"op": "insert", "table": "Encap", "uuid-name": "e", "row": encap},
                {"op": "insert", "table": "Chassis", "uuid-name": "c", "row": chassis},
                {
                    "op": "insert",
                    "table": "Chassis_Private",
                    "row": {"name": f"id-{number}", "chassis": ["named-uuid", "c"]},
                },
            )
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
