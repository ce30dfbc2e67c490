# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the one table of flow priorities: the flows and docs/gateways.md follow it."""

from __future__ import annotations

import pathlib
import re

from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import flow_table
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.flows import (
    ServiceEndpoint,
    SharedNic,
    Tunnel,
    flows,
)

PAGE = pathlib.Path(__file__).resolve().parents[3] / "docs" / "gateways.md"
SHARED = SharedNic(
    1,
    2,
    "52:54:00:00:00:01",
    ("10.44.0.12",),
    (Tunnel("10.44.0.12", 6081),),
    (ServiceEndpoint("10.44.0.12", "tcp", 80, True),),
    drops_invalid=True,
    hosts=("10.44.0.11",),
)


def test_the_page_has_the_tables_of_the_code():
    """Protects readers of docs/gateways.md: run tests/tools/flow-tables after a change of the table."""
    assert flow_table.markdown_tables() in PAGE.read_text(encoding="utf-8")


def test_every_flow_is_of_a_kind_that_is_documented_and_every_kind_is_used():
    """Protects against a priority that is written beside the table."""
    used = set()
    for line in flows(SHARED):
        table, priority = re.fullmatch(r"cookie=0x6f766e6b,(?:table=(\d+),)?priority=(\d+),.*", line).groups()
        used.add((int(table or 0), int(priority)))
    assert used == {(kind.table, kind.priority) for kind in flow_table.KINDS}


def test_no_two_kinds_have_one_priority():
    """Protects the order in which flows match: two kinds of one priority would have none."""
    places = [(kind.table, kind.priority) for kind in flow_table.KINDS]
    assert len(set(places)) == len(places) and places == sorted(places, key=lambda place: (place[0], -place[1]))
