# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects plays while one of several masters is away: another one does what one has to do for all, and the play says
so."""

from __future__ import annotations

import pytest
import yaml
from stand_in_plays import FACTS, ROOT, databases

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


def member(number):
    """What a master says of its databases, of which three masters have members and the second one leads."""
    found = databases(f"10.44.0.1{number}", listeners=())
    for key, port in (("northbound", 6643), ("southbound", 6644)):
        members = [{"id": f"{one}" * 4, "address": f"tcp:10.44.0.1{one}:{port}"} for one in (1, 2, 3)]
        state = {"role": "leader", "leader": "self"} if number == 2 else {"role": "follower", "leader": "2222"}
        found[key].update(server_id=f"{number}" * 8 + "-0", members=members, **state)
    return found


def test_steps_while_a_master_is_away_that_the_play_leaves_out(plays):
    """Protects what is left of three masters: a run that is limited to two of them changes their databases, and does
    not end with the third one, which it asks beside them and can't reach."""
    plays.groups["ovn_masters"] = ["ovn-master", "ovn-node1", "ovn-node2"]
    plays.hosts["ovn-master"].update(AWAY)
    for number, host in ((2, "ovn-node1"), (3, "ovn-node2")):
        own = {**FACTS["ovn_kubernetes"], "central": True, "central_databases": member(number)}
        plays.facts(host, ovn_kubernetes=own)
    plays.variables["ovn_mtu"] = 1400
    site = plays.play({"import_playbook": "ovn.kubernetes.site"})
    code, said, calls = plays.run(site, "--check", "--limit", "ovn-node1:ovn-node2")
    assert code == 0, said
    done = [(host, sent["action"], sent["database"]) for host, name, sent in calls if name == "ovn_central"]
    assert done == [("ovn-node1", "listen", "northbound"), ("ovn-node1", "listen", "southbound")]
