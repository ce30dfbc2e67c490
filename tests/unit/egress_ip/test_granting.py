# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what the granter writes: an address is settled only for the node that nobody else answers beside."""

from __future__ import annotations

from types import SimpleNamespace

from ansible_collections.ovn.kubernetes.plugins.module_utils._egress_ip import rows
from ansible_collections.ovn.kubernetes.plugins.module_utils._egress_ip.granting import Granting
from ansible_collections.ovn.kubernetes.plugins.module_utils._egress_ip.lease import Granter, Held, Holder

A = "203.0.113.5"


class Rows:
    """A database in which each gateway has a router, and nothing else is."""

    def __init__(self):
        self.rows = {rows.ROUTER: {}}

    def named(self, table, name):
        """A row."""
        return SimpleNamespace(external_id=lambda key: "") if table == rows.ROUTER else None

    def owners(self, kind):
        """No objects."""
        return []

    def owned(self, owner, tables):
        """No rows."""
        return []


def told(granting, node):
    """What a router's row is to say of addresses."""
    ((row),) = granting.held_rows(node)
    return row.columns["external_ids"]["k8s.ovn.org/egress-ips"]


def test_a_look_counts_for_its_node_only():
    """Protects an address that gets another node in the moment in which it could be settled: it is not settled for that
    one, who would get it at once while the first one has a lease."""
    granting = Granting(Rows())
    granting.engine = SimpleNamespace(active=True, mark=lambda *key: None)
    now, holder = 50.0, Holder("n2", 2)
    granting.granter = Granter(0.0, {})
    granting.granter.proved(now)
    granting.granter.decided = {A: Held("n2", False)}
    holder.guards([A])
    holder.take_in(granting.granter.take_in(holder.ask(now), now), now)
    granting._looked, granting._assigned = now, {A: "n2"}
    granting._settle(now)
    assert told(granting, "n2") == A
    granting._assigned = {A: "n3"}  # before that is written
    assert told(granting, "n2") is None and told(granting, "n3") == f"{A}?"
    granting.granter.decided = {A: Held("n3", False)}
    assert told(granting, "n3") == f"{A}?"
    granting._looked = now + 10
    granting._settle(now + 10)
    assert told(granting, "n3") == f"{A}?"  # it does not guard the address yet


def test_who_begins_to_act_has_looked_at_nothing():
    """Protects a new term from what was seen in the one before."""
    granting = Granting(Rows())
    granting.engine = SimpleNamespace(active=True, mark=lambda *key: None)
    granting._free = frozenset({(A, "n1")})
    granting.begin(10.0)
    granting.granter.decided, granting._assigned = {A: Held("n1", False)}, {A: "n1"}
    granting.granter.alone_from = 0.0
    assert told(granting, "n1") == f"{A}?"
