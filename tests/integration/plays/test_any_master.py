# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects plays while one of several masters is away: another one does what one has to do for all, and the play says
so."""

from __future__ import annotations

import pytest
import yaml
from stand_in_plays import ROOT

from .conftest import BOTH

COMMON = ROOT / "roles" / "common"
EVERYONE = "ovn_masters:ovn_nodes:ovn_gateways"
AWAY = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
SAYS = {
    "name": "Say which master it is",
    "ansible.builtin.ping": {"data": "{{ common_master }}|{{ common_masters_away | join }}"},
    "delegate_to": "{{ common_master }}",
    "run_once": True,
}


def gathering():
    """Return the role's own tasks that gather facts, without those that judge them."""
    tasks = yaml.safe_load((COMMON / "tasks" / "facts.yml").read_text(encoding="utf-8"))
    return [{**task, "ovn.kubernetes.ovn_facts": {}} for task in tasks if "ovn.kubernetes.ovn_facts" in task]


def master_of(plays, *arguments):
    """Return the master that a run uses after it has gathered facts, and what it says of others."""
    every = {"hosts": EVERYONE, "gather_facts": False, "vars_files": [str(COMMON / "vars" / "main.yml")]}
    _code, said, calls = plays.run(plays.play({**every, "tasks": gathering()}, {**every, "tasks": [SAYS]}), *arguments)
    pings = [(host, sent["data"].split("|")) for host, name, sent in calls if name == "ping"]
    assert len(pings) == 1, said
    ((host, (master, away)),) = pings
    assert host == master
    return master, away


@BOTH
@pytest.mark.parametrize("limit", [(), ("--limit", "ovn-node2")], ids=["all", "limit"])
def test_the_first_master_that_is_there(plays, limit):
    """Protects all change while the first master is dead, also when it is not among the hosts of the play."""
    plays.groups["ovn_masters"] = ["ovn-master", "ovn-node1", "ovn-node2"]
    assert master_of(plays, *limit) == ("ovn-master", "")
    plays.hosts["ovn-master"].update(AWAY)
    master, away = master_of(plays, *limit)
    assert master == "ovn-node1"
    assert away.startswith("ovn-master: the play does not reach this master. ovn-node1 does what one master")
    plays.hosts["ovn-node1"].update(AWAY)
    master, away = master_of(plays, *limit)
    assert master == "ovn-node2" and away.startswith("ovn-master, ovn-node1: the play does not reach these masters.")
