# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A change that commit c128c27 left on a host is brought to its end by this version, in a real kernel.

The fixtures are those of tests/unit/nic/test_earlier_version.py.
"""

from __future__ import annotations

import json
import pathlib

import pytest
from kernel_links import bound_rules, pair, snapshot
from network_namespace import ip, ip_batch

from ansible_collections.ovn.kubernetes.plugins.module_utils._nic import executor
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic import journal as journals
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.journal import Journal

FIXTURES = pathlib.Path(__file__).parents[2] / "unit" / "nic" / "fixtures"
# What eth0 had when it was moved.
SETUP = """
address add 10.44.0.12/24 dev eth0
address add 10.44.0.13/24 dev eth0 label eth0:1
address add fd44::12/64 nodad dev eth0
route add default via 10.44.0.254
route add 198.51.100.0/24 via 10.44.0.1 dev eth0 metric 50 table 100 src 10.44.0.12 mtu 1400
-6 route add default via fd44::1 dev eth0 metric 100
rule add priority 500 iif eth0 lookup 100
-6 rule add priority 501 oif eth0 lookup 101
"""
# Acts that this test's host has no programs or files for.
ELSEWHERE = ("HandoverStep", "ResolverStep", "FileStep", "SysctlStep", "DropStep", "OffloadStep")


@pytest.mark.parametrize("state", ["applied", "applying", "undoing"])
@pytest.mark.parametrize("manager", ["networkd", "network_manager", "network_manager_leased", "ifupdown", "nobody"])
def test_the_nic_has_back_what_it_had(tmp_path, monkeypatch, manager, state):
    """Protects a host whose collection was upgraded in the middle of a change: eth0 gets its addresses, routes and
    rules back."""
    pair("eth0")
    pair("breth0")
    ip_batch(SETUP.strip().splitlines())
    expected = snapshot("eth0", "breth0"), bound_rules("eth0", "breth0")
    acts = [
        act
        for act in json.loads((FIXTURES / f"{manager}.json").read_text())["move"]
        if "step" in act and act["step"]["is"] not in ELSEWHERE
    ]
    change = json.loads((FIXTURES / "states.json").read_text())[state]
    journal = Journal(str(tmp_path))
    for index in range(len(acts)):
        journal.mark(index)
    monkeypatch.setattr(journals, "this_boot", lambda: change["boot"])
    with journal.held():
        planned = {**change, "state": "planned", "acts": acts}
        pathlib.Path(journal.path).write_text(json.dumps(planned))
        executor.apply(journal)
        assert "10.44.0.12/24" in ip("address show dev breth0") and "10.44.0.12" not in ip("address show dev eth0")
        pathlib.Path(journal.path).write_text(json.dumps({**change, "acts": acts}))
        executor.finish_or_roll_back(journal)
    assert journal.current().state == "undone"
    ip("link set breth0 promisc off")
    assert (snapshot("eth0", "breth0"), bound_rules("eth0", "breth0")) == expected
