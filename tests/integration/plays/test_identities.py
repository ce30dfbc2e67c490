# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the record of system-ids, by which certificates are issued: what a host's own part returns is what was
checked, by the site play and by a user's own."""

from __future__ import annotations

import pytest

from .conftest import BOTH, role

SITE = {"import_playbook": "ovn.kubernetes.site"}
TWO_PLAYS = (role("node", "ovn_masters:ovn_nodes"), role("master", "ovn_masters"))
HOSTS = ("ovn-master", "ovn-node1", "ovn-node2")


@pytest.fixture
def written(plays):
    """Return a function: what a run says of hosts with these system-ids in their facts and in their results, and the
    chassis that are written: host to system-id."""

    def run(facts, results, *parts):
        for host, before, now in zip(HOSTS, facts, results):
            found = plays.answers.get(f"ovn_facts {host}", plays.answers["ovn_facts"])["ansible_facts"]
            plays.facts(host, ovn_kubernetes={**found["ansible_ovn_kubernetes"], "system_id": before})
            plays.answers[f"ovn_host {host}"] = {**plays.answers["ovn_host"], "chassis": now}
        code, said, calls = plays.run(plays.play(*parts))
        rows = [call["nodes"] for _host, module, call in calls if module == "ovn_master_init"]
        said = said.replace('\\"', '"')  # as an older core shows it
        return code, said, [{node["node_name"]: node.get("chassis") for node in nodes} for nodes in rows]

    return run


@pytest.mark.parametrize("parts", [(SITE,), TWO_PLAYS], ids=["site", "own"])
def test_honest_hosts(written, parts):
    """Protects hosts that are who they were, and one that has got its system-id in this run."""
    code, said, rows = written(("id-m", "id-1", ""), ("id-m", "id-1", "id-2"), *parts)
    assert code == 0, said
    assert rows and rows[0] == {"ovn-master": "id-m", "ovn-node1": "id-1", "ovn-node2": "id-2"}


@BOTH
@pytest.mark.parametrize(
    ("parts", "before", "sentence"),
    [
        ((SITE,), "id-2", 'ovn-node2: its system-id was "id-2" when its facts were gathered, and is "id-1" now'),
        (TWO_PLAYS, "", 'ovn-node2: its system-id "id-1" is also that of ovn-node1'),
    ],
    ids=["site", "own"],
)
def test_a_host_that_says_it_is_another_one_later(written, parts, before, sentence):
    """Protects a host whose own part returned nothing: no row says that another one has its system-id."""
    code, said, rows = written(("id-m", "id-1", before), ("id-m", "", "id-1"), *parts)
    assert code == 2 and sentence in said, said
    assert rows == []
