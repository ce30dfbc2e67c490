# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects a host from another one that says it is it: a certificate is for a system-id that no other host is known to
have, whether the run asks that one or not."""

from __future__ import annotations

import authorities
import pytest

from ansible_collections.ovn.kubernetes.plugins.filter.chassis_problems import chassis_problems
from ansible_collections.ovn.kubernetes.plugins.plugin_utils import _certificate_plan, _identities
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._inventory import Inventory

MASTER, NODE1, NODE2 = "ovn-master", "ovn-node1", "ovn-node2"
RECORD = {MASTER: "id-m", NODE1: "id-1", NODE2: "id-2"}


@pytest.fixture
def seen(cluster):
    """Return a function: what the validation and the plan of certificates say in a run of some hosts, which say which
    system-ids they have, beside a record."""

    def see(says, record=RECORD, late=None):
        cluster.with_facts().everywhere(ovn_tls=True, ovn_tls_folder="/nowhere/ovn-tls")
        for host in (MASTER, NODE1, NODE2):
            more = {"central_databases": databases(record)} if host == MASTER else {}
            cluster.own(host, system_id=says.get(host, ""), certificates={"now": 1}, **more)
        gathered = [MASTER, *says]
        inventory = Inventory(cluster.hostvars, cluster.groups, gathered)
        planned = _certificate_plan.plan(inventory, identities=late)["problems"]
        said = cluster.problems(gathered=gathered)
        assert late or planned == said
        return planned

    return see


def databases(record):
    """What a master says of its databases: they have a record, or can't be read, or are none."""
    return {} if record == "none" else {"northbound": {"model": "clustered", "chassis": record}}


def test_hosts_are_who_they_were(seen):
    """Protects the usual run, with all hosts or some, and hosts that are new, installed anew, or in the inventory
    again."""
    assert seen({MASTER: "id-m", NODE1: "id-1", NODE2: "id-2"}) == []
    assert seen({NODE1: "id-1"}) == []
    assert seen({NODE1: "id-new"}) == []
    assert seen({NODE1: "id-1"}, {MASTER: "id-m"}) == []
    assert seen({NODE1: "id-1", NODE2: "id-2"}, {NODE1: "id-2", NODE2: "id-old"}) == []  # both have said so


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("other", "own"), [(NODE2, "id-2"), (MASTER, "id-m")])
def test_a_host_that_the_run_leaves_out(seen, late, other, own):
    """Protects hosts that are off, and masters: their names are on record, whether the host says its system-id with the
    facts or when its own part is done."""
    says, given = ({NODE1: ""}, {NODE1: own}) if late else ({NODE1: own}, None)
    (said,) = seen(says, late=given)
    assert said.startswith(
        f'{NODE1}: its system-id "{own}" is that of {other} in the databases: give the clone its own'
    )
    assert said.endswith(f"or, where {other} has another one by now, run this for it too")


def test_two_hosts_with_one_system_id(seen):
    """Protects the first one where both are asked, also where one says it late."""
    for says, late in (({NODE1: "id-2", NODE2: "id-2"}, None), ({NODE1: "", NODE2: "id-2"}, {NODE1: "id-2"})):
        said = seen(says, late=late)
        assert any('its system-id "id-2" is also that of ovn-node' in text for text in said), said


def test_a_system_id_on_record_for_two(seen):
    """Protects the owner where its system-id is on record for another host too: that is asked who it is, or gets
    nothing. Both together have said who they are."""
    twice = {**RECORD, NODE1: "id-2"}
    (said,) = seen({NODE1: "id-2"}, twice)
    assert said.startswith(f'{NODE1}: its system-id "id-2" is that of {NODE2} in the databases: give the clone its own')
    (said,) = seen({NODE1: "id-1"}, {**RECORD, "gone": "id-1"})
    assert f'{NODE1}: its system-id "id-1" is that of node gone in the databases' in said
    assert seen({NODE1: "id-1", NODE2: "id-2"}, twice) == []


@pytest.fixture
def returned(cluster):
    """Return a function: what is said of hosts whose own parts return system-ids, after their facts had these."""

    def say(facts, results, record=RECORD):
        cluster.with_facts()
        for host, own in facts.items():
            cluster.own(host, system_id=own)
        for host, own in results.items():
            cluster.on(host, node_result={"chassis": own})
        return chassis_problems(cluster.hostvars, cluster.groups, cluster.overlay(chassis=record), [*facts])

    return say


def test_results_that_are_what_was_checked(returned):
    """Protects the usual run, hosts whose own part has not run or has failed, new ones, renamed ones, and those that
    were installed anew, in an earlier run or in this one."""
    facts = {MASTER: "id-m", NODE1: "id-1", NODE2: "id-2"}
    assert returned(facts, facts) == []
    assert returned(facts, {NODE1: "id-1", NODE2: ""}) == []
    assert returned({**facts, NODE1: "id-new"}, {NODE1: "id-new"}) == []
    assert returned({**facts, NODE1: ""}, {NODE1: "id-new"}) == []
    assert returned(facts, facts, {MASTER: "id-m", "older": "id-1", NODE2: "id-2"}) == []
    assert returned({NODE1: ""}, {NODE1: "id-1"}) == []


@pytest.mark.parametrize("now", ["id-2", "id-9", ["id-2"]])
def test_a_host_that_says_another_system_id_later(returned, now):
    """Protects the record: a host's facts were checked, and its result is what would be on record of it."""
    (said,) = returned({MASTER: "id-m", NODE1: "id-1", NODE2: "id-2"}, {NODE1: now}, {})
    assert said.startswith(f'{NODE1}: its system-id was "id-1" when its facts were gathered, and is "')
    assert "run this again" in said


def test_a_first_system_id_that_is_another_hosts(returned):
    """Protects hosts from one that had no system-id in its facts: of this run, whose own part has failed, and those
    that the run leaves out."""
    (said,) = returned({MASTER: "id-m", NODE1: "", NODE2: "id-2"}, {NODE1: "id-2"}, {})
    assert 'its system-id "id-2" is also that of ovn-node' in said
    (said,) = returned({MASTER: "id-m", NODE1: ""}, {NODE1: "id-2"})
    assert said.startswith(f'{NODE1}: its system-id "id-2" is that of {NODE2} in the databases: give the clone its own')


def test_a_host_that_is_gone(seen):
    """Protects the rows of a host that the inventory has no more, from one that is there under its own name."""
    (said,) = seen({NODE1: "id-3"}, {**RECORD, "gone": "id-3"})
    assert said.startswith(
        f'{NODE1}: its system-id "id-3" is that of node gone in the databases, and this host is another node there: '
    )
    assert said.endswith(
        "; where gone is gone for good, first ansible-playbook ovn.kubernetes.remove -e ovn_remove_hosts=gone"
    )


def test_a_host_with_a_new_name(cluster, seen):
    """Protects renames: no host of the inventory has the old name, and nothing is on record under the new one. Where a
    host's name is not known, the old name may be its own."""
    renamed = {MASTER: "id-m", "older": "id-1"}
    assert seen({NODE1: "id-1"}, renamed) == []
    cluster.on(NODE2, ovn_node_name="{{ ansible_facts.nodename }}")
    cluster.hostvars[NODE2].pop("ansible_facts", None)
    (said,) = seen({NODE1: "id-1"}, renamed)
    assert f"is that of node older in the databases, which {NODE2} may be: give the clone its own" in said
    assert said.endswith("; if it is older under a new name, run this for all hosts")


@pytest.mark.parametrize("text", ["id-2\0x", "id 2", "id-2\n", "íd-2"])
def test_names_that_are_read_in_two_ways(seen, text):
    """Protects names from text that OVS reads as another one: it ends a name at the first NUL."""
    for says, late in (({NODE1: text}, None), ({NODE1: ""}, {NODE1: text})):
        (said,) = seen(says, late=late)
        assert said.endswith(" can't be a name in a certificate: give it one without spaces, in ASCII")


def record_of(cluster, *gathered, **own):
    for host, facts in own.items():
        cluster.own(host.replace("_", "-"), **facts)
    return _identities.record(Inventory(cluster.hostvars, cluster.groups, gathered))


def test_nothing_on_record(cluster):
    """Protects against a record that nobody has read: it is not an empty one, as on the first run."""
    cluster.with_facts()
    read, down, none = databases(RECORD), databases(None), databases("none")
    assert record_of(cluster, MASTER, ovn_master={"central_databases": read}) == RECORD
    assert record_of(cluster, MASTER, ovn_master={"central_databases": none}) == {}
    assert record_of(cluster, MASTER, ovn_master={"central_databases": down}) is None
    assert record_of(cluster, NODE1, ovn_master={"central_databases": read}) is None
    # What another host than a master says of its databases is no record; that it had been one is no first run.
    assert (
        record_of(cluster, MASTER, NODE1, ovn_master={"central_databases": none}, ovn_node1={"central": True}) is None
    )
    cluster.own(NODE1, central_databases=databases({"x": "id-x"}), central=True)
    assert record_of(cluster, MASTER, NODE1, ovn_master={"central_databases": read}) == RECORD


@pytest.fixture
def pairs(cluster, tmp_path):
    """The two CAs, which are there, and all hosts have facts."""
    made = {role: authorities.authority(role) for role in ("central", "chassis")}
    for role, pair in made.items():
        (tmp_path / f"{role}-ca.crt").write_text(pair.certificate)
        key = tmp_path / f"{role}-ca.key"
        key.write_text(pair.key)
        key.chmod(0o600)
    cluster.with_facts().everywhere(ovn_tls=True, ovn_tls_folder=str(tmp_path))
    return made


@pytest.mark.usefixtures("pairs")
def test_chassis_wait_for_the_record(cluster):
    """Protects names while the databases are down: masters get what they need to run, and chassis wait for that."""
    for record, chassis in ((None, False), (RECORD, True), ("none", True)):
        for host in (MASTER, NODE1, NODE2):
            more = {"central_databases": databases(record)} if host == MASTER else {}
            cluster.own(host, system_id=RECORD[host], certificates={"now": 1}, **more)
        inventory = Inventory(cluster.hostvars, cluster.groups, [MASTER, NODE1, NODE2])
        found = _certificate_plan.plan(inventory)
        roles = {host: [one["role"] for one in orders] for host, orders in found["issue"].items()}
        both = {MASTER: ["central", "chassis"], NODE1: ["chassis"], NODE2: ["chassis"]}
        assert roles == (both if chassis else {MASTER: ["central"]}) and found["needed"]
        assert any("no master's Northbound database could be read" in text for text in found["kept"]) is not chassis
        late = _certificate_plan.plan(inventory, identities={NODE1: "id-1"})
        assert late["needed"] and (late["issue"] == {}) is not chassis


def southbound(*targets, running=True, **more):
    """What a master says of a Southbound server that listens so."""
    listeners = [{"target": one, "role": "", "probe": 1, "ours": True} for one in targets]
    return {"model": "clustered", "running": running, "listeners": listeners, **more}


TCP = southbound("ptcp:6642")
OF_OVN_CTL = southbound(model="standalone", arguments=["--remote=ptcp:6642:0.0.0.0"])
ON_THE_WAY = southbound("pssl:16642", "ptcp:6642", "pssl:16652")
SSL = southbound("pssl:16642", "pssl:6642")
DOWN = southbound("ptcp:6642", running=False)
NO_ANSWER = {"model": "clustered", "running": True, "listeners": None, "problem": "no answer"}


@pytest.mark.parametrize(
    ("servers", "record", "own", "certificate", "stops"),
    [
        (TCP, None, {"node": "n"}, {}, True),
        (OF_OVN_CTL, None, {"node": "n"}, {}, True),
        (TCP, None, {"southbound_before": "tcp:10.44.0.11:6642"}, {}, True),
        (ON_THE_WAY, None, {"node": "n"}, {}, True),
        (DOWN, None, {"node": "n"}, {}, True),
        (NO_ANSWER, None, {"node": "n"}, {}, True),
        (TCP, None, {"node": "n"}, {"fits": False}, True),
        (TCP, None, {"node": "n"}, {"begin": -9, "end": -1}, True),
        (TCP, RECORD, {"node": "n"}, {}, False),
        (SSL, None, {"node": "n"}, {}, False),
        (TCP, None, {}, {}, False),
        (TCP, None, {"node": "n"}, {"end": 1}, False),
    ],
    ids=[
        "tcp",
        "tcp of ovn-ctl",
        "another program's network",
        "between tcp and ssl",
        "the Southbound server is down",
        "the Southbound server does not answer",
        "a certificate without its key",
        "an expired certificate",
        "the record is there",
        "ssl already",
        "new hosts",
        "certificates that end soon",
    ],
)
def test_no_host_goes_to_ssl_without_a_certificate(cluster, pairs, servers, record, own, certificate, stops):
    """Protects the Southbound database of hosts that use tcp: while no record can be read they get no certificates, and
    the masters must not change to ssl. Masters have their certificates before the run ends; who has ssl already, or is
    new, waits."""
    for host in (MASTER, NODE1, NODE2):
        central = {"central_databases": {**databases(record), "southbound": servers}} if host == MASTER else {}
        found = {"now": 1}
        if certificate:
            validity = {name: value for name, value in certificate.items() if name != "fits"}
            pair = authorities.issue(pairs["chassis"], RECORD[host], **validity)
            found["chassis"] = {
                "certificate": pair.certificate,
                "fits": certificate.get("fits", True),
                "exposed": False,
            }
        cluster.own(host, system_id=RECORD[host], certificates=found, **own, **central)
    inventory = Inventory(cluster.hostvars, cluster.groups, [MASTER, NODE1, NODE2])
    made = _certificate_plan.plan(inventory)
    assert made["problems"] == [] and made["needed"] and made["issue"][MASTER][0]["role"] == "central"
    if not stops:
        assert made["stops"] == []
        return
    (said,) = made["stops"]
    assert said.startswith(f"{MASTER}, {NODE1} and {NODE2}: without a certificate they would lose the Southbound")
    assert "start its server, or wait until it answers, and run the site play again" in said and made["kept"] == []
    late = _certificate_plan.plan(inventory, identities={NODE1: "id-1"})
    assert late["stops"] == [] and any("could be read" in text for text in late["kept"])
