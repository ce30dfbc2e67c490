# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what the inventory asks of the masters' databases: their options, their listeners, and the way between tcp
and ssl."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.filter.central_decision import central_decision
from ansible_collections.ovn.kubernetes.plugins.filter.central_options import central_options
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._central_findings import central_findings
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._inventory import Inventory
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._settings import Cluster as Common

from .central_hosts import ADDRESS, ALL, central, cluster, clustered, decision, member, targets
from .conftest import MASTER, NODE1, NODE2, host_facts

NONE = {"northbound": {}, "southbound": {}, "version": ""}


@pytest.fixture
def three():
    """Three masters, whose hosts have no databases."""
    return cluster(dict.fromkeys(ALL, NONE))


def test_options_of_one_master():
    """Protects one master: its programs use unix sockets, and a standalone database becomes a cluster of one."""
    made = cluster({MASTER: {**NONE, "northbound": {"model": "standalone"}}}, [MASTER])
    assert [step["action"] for step in decision(made)["steps"]] == ["convert", "bootstrap"]
    made = cluster({MASTER: member(MASTER, [MASTER])}, [MASTER])
    assert central_options(made.hostvars, made.groups, MASTER, ALL).split() == clustered("nb") + clustered("sb")


def test_options_beside_a_standalone_database():
    """Protects the rows of a database that is not converted yet, or could not be: with the options of a cluster ovn-ctl
    removes its file. Chassis find it where it was until then."""
    made = cluster({MASTER: {**NONE, "northbound": {"model": "standalone"}, "southbound": {"model": "standalone"}}})
    made.groups["ovn_masters"] = [MASTER]

    def options(database=""):
        return central_options(made.hostvars, made.groups, MASTER, ALL, database).split()

    assert options() == ["--db-sb-create-insecure-remote=yes"]
    assert options("northbound") == [*clustered("nb"), "--db-sb-create-insecure-remote=yes"]
    assert options("southbound") == clustered("sb")
    made.on(MASTER, ovn_encap_ip="fd44::11")
    assert options() == ["--db-sb-create-insecure-remote=yes", "--db-sb-addr=[::]"]


def test_options_of_three_masters(three):
    """Protects against a master whose ovn-ctl makes a second database: it can only join itself, which is refused."""
    assert central_options(three.hostvars, three.groups, NODE1, ALL).split() == [
        "--db-nb-cluster-local-addr=10.44.0.12",
        "--db-nb-cluster-local-proto=tcp",
        "--db-nb-cluster-remote-addr=10.44.0.12",
        "--db-nb-cluster-remote-proto=tcp",
        "--db-sb-cluster-local-addr=10.44.0.12",
        "--db-sb-cluster-local-proto=tcp",
        "--db-sb-cluster-remote-addr=10.44.0.12",
        "--db-sb-cluster-remote-proto=tcp",
        "--ovn-northd-nb-db=tcp:10.44.0.11:6641,tcp:10.44.0.12:6641,tcp:10.44.0.13:6641",
        "--ovn-northd-sb-db=tcp:10.44.0.11:16642,tcp:10.44.0.12:16642,tcp:10.44.0.13:16642",
    ]


def test_options_with_ssl():
    """Protects the two authorities: only the Southbound server trusts chassis."""
    made = cluster(dict.fromkeys(ALL, NONE), tls=True)
    options = central_options(made.hostvars, made.groups, NODE1, ALL)
    for text in (
        " --ovn-nb-db-ssl-ca-cert=/etc/ovn-kubernetes/tls/central-ca.crt",
        " --ovn-sb-db-ssl-ca-cert=/etc/ovn-kubernetes/tls/southbound-ca.crt",
        " --ovn-northd-ssl-ca-cert=/etc/ovn-kubernetes/tls/central-ca.crt",
        " --ovn-sb-db-ssl-key=/etc/ovn-kubernetes/tls/central.pem",
        "--ovn-northd-sb-db=ssl:10.44.0.11:16642,",
    ):
        assert text in options


def test_keys_stay_while_a_member_uses_ssl():
    """Protects the way back from ssl to tcp: who joins again must still speak with those that have not."""
    with_ssl = {host: member(host) for host in ALL}
    with_ssl[NODE2]["northbound"]["address"] = "ssl:10.44.0.13:6643"
    made = cluster(with_ssl)
    options = central_options(made.hostvars, made.groups, MASTER, ALL)
    assert "--ovn-nb-db-ssl-key=" in options
    assert "--ovn-sb-db-ssl-key=" not in options
    assert "--ovn-northd-ssl-key=" not in options


def test_what_ovn_ctl_starts_is_what_is_compared(three):
    """Protects against a restart in each run: the arguments that a right server has are those that are asked for."""
    asked = central(three).asked()
    assert asked.arguments["southbound"] == (
        "--ca-cert=db:OVN_Southbound,SSL,ca_cert",
        "--certificate=db:OVN_Southbound,SSL,certificate",
        "--private-key=db:OVN_Southbound,SSL,private_key",
    )


def test_listeners():
    """Protects what is open: for chassis by their role, for masters without, and nothing that nobody needs."""
    one, three = cluster({}, [MASTER]), cluster({})
    assert targets(one) == {"northbound": [], "southbound": [("ptcp:6642", "")]}
    assert targets(three) == {
        "northbound": [("ptcp:6641", "")],
        "southbound": [("ptcp:16642", ""), ("ptcp:6642", "")],
    }
    assert targets(cluster({}, [MASTER], tls=True)) == {
        "northbound": [],
        "southbound": [("pssl:16642", ""), ("pssl:6642", "ovn-controller")],
    }
    assert targets(cluster({}, tls=True)) == {
        "northbound": [("pssl:6641", "")],
        "southbound": [("pssl:16642", ""), ("pssl:6642", "ovn-controller")],
    }


@pytest.mark.parametrize(
    "still",
    [
        {"listeners": [{"target": "ptcp:6642", "role": "", "probe": 1, "ours": True}]},
        {"model": "standalone", "arguments": ["--remote=ptcp:6642:0.0.0.0"]},
    ],
    ids=["a row", "an option of ovn-ctl"],
)
def test_the_way_from_tcp_to_ssl(still):
    """Protects chassis that were not reached: tcp stays open until nobody uses it, and ssl has another port as long."""
    on_the_way = {
        "northbound": [("pssl:6641", "")],
        "southbound": [("pssl:16642", ""), ("ptcp:6642", ""), ("pssl:16652", "ovn-controller")],
    }
    used = cluster(
        {
            **{host: member(host) for host in ALL},
            MASTER: member(MASTER, **still, users={"6642": ["10.44.0.13", "10.9.9.9"]}),
        },
        tls=True,
    )
    assert targets(used) == targets(used, finish=True) == on_the_way
    assert decision(used)["users"] == ["10.9.9.9", NODE2]
    remote = Common(Inventory(used.hostvars, used.groups, ALL), foreseen=True).southbound_remote
    assert remote.startswith("ssl:10.44.0.11:6642,")
    assert remote.endswith(",ssl:10.44.0.13:16652")
    unused = cluster({**{host: member(host) for host in ALL}, MASTER: member(MASTER, **still)}, tls=True)
    assert targets(unused) == on_the_way
    assert targets(unused, finish=True)["southbound"] == [("pssl:16642", ""), ("pssl:6642", "ovn-controller")]
    assert decision(unused, finish=True)["switching"] is False


def listening(*found):
    """Rows of a Southbound server that listens so."""
    return {"listeners": [{"target": one, "role": "", "probe": 1, "ours": True} for one in found]}


OF_OVN_CTL = {"model": "standalone", "listeners": [], "arguments": ["--remote=ptcp:6642:0.0.0.0"]}


@pytest.mark.parametrize(
    ("tls", "southbound", "awaits", "remote"),
    [
        (True, OF_OVN_CTL, True, "tcp:10.44.0.11:6642"),
        (True, listening("ptcp:6642:[::]"), True, "tcp:10.44.0.11:6642"),
        (False, listening("pssl:16642", "pssl:6642"), True, "ssl:10.44.0.11:6642"),
        (True, listening("ptcp:6642", "pssl:16652"), False, "ssl:10.44.0.11:6642,ssl:10.44.0.11:16652"),
        (False, listening("pssl:6642", "ptcp:16652:[::]"), False, "tcp:10.44.0.11:6642,tcp:10.44.0.11:16652"),
        (True, listening("pssl:6642"), False, "ssl:10.44.0.11:6642"),
        (True, {**OF_OVN_CTL, "running": False}, False, "ssl:10.44.0.11:6642"),
        (True, listening("ptcp:66420"), False, "ssl:10.44.0.11:6642"),
        (True, listening(), False, "ssl:10.44.0.11:6642"),
    ],
)
@pytest.mark.parametrize("limited", [(), ALL], ids=["all", "without masters"])
def test_hosts_stay_with_the_protocol_that_masters_listen_for(tls, southbound, awaits, remote, limited):
    """Protects the Southbound database of hosts in a run that leaves the masters as they are, by --limit or --tags:
    they change to another protocol when the masters listen for it, and not before."""
    made = cluster({**dict.fromkeys(ALL, NONE), MASTER: member(MASTER, [MASTER], **southbound)}, [MASTER], tls)
    assert Common(Inventory(made.hostvars, made.groups, ALL)).southbound_remote == remote
    assert decision(made, limited=limited)["awaits_masters"] is awaits


INSTALLED = {"package_schema": "7.0.0"}
STOPPED = {"model": "clustered", "status": "member", "cluster_id": "c", "server_id": "0000-0"}


@pytest.mark.parametrize(
    ("databases", "is_bare"),
    [
        ({}, True),
        (NONE, True),
        ({**NONE, "northbound": STOPPED, "southbound": STOPPED}, True),
        ({**NONE, "northbound": INSTALLED, "southbound": INSTALLED}, False),
        (member(NODE2, [NODE2]), False),
    ],
    ids=["nothing", "a run that ended before the packages", "files of a package that was removed", "package", "member"],
)
def test_bare_masters_are_named(databases, is_bare):
    """Protects the order of an installation: options, packages, and then the databases; also where an earlier run has
    not got its packages, or somebody has removed them."""
    made = cluster({MASTER: {**NONE, "northbound": INSTALLED}, NODE1: None, NODE2: databases}, [MASTER, NODE2])
    assert decision(made)["bare"] == ([NODE2] if is_bare else [])


def test_a_host_that_was_a_master():
    """Protects the way out: it leaves, and only then the rest of a master goes."""
    facts = {host: member(host) for host in ALL}
    made = cluster(facts, [MASTER])
    found = decision(made)
    assert (found["former"], found["retired"]) == ([NODE1, NODE2], [])
    assert {step["action"] for step in found["steps"]} == {"leave"}
    own = {"central": True, "central_databases": NONE}
    made.on(NODE2, ansible_facts={**host_facts(ADDRESS[NODE2]), "ovn_kubernetes": own})
    assert decision(made)["retired"] == [NODE2]


@pytest.mark.parametrize(
    ("masters", "reached", "saved", "limited", "refused"),
    [
        ([NODE1], [NODE1, NODE2], ADDRESS[MASTER], (), True),
        ([NODE1], ALL, ADDRESS[MASTER], [MASTER, NODE2], True),
        ([NODE1], ALL, ADDRESS[MASTER], (), False),
        ([NODE1], [NODE1, NODE2], "", (), False),
        ([MASTER], [MASTER, NODE2], ADDRESS[MASTER], (), False),
        ([MASTER], [MASTER, NODE2], "10.66.0.11", (), False),
    ],
    ids=["was not reached", "is left out", "has lost them", "a first run", "is it still", "has another address"],
)
def test_no_new_cluster_beside_that_of_a_host_that_was_not_asked(masters, reached, saved, limited, refused):
    """Protects all rows, and pods' flows, where a master moves: hosts say where they have found the databases, and an
    empty cluster would take the place of those that nobody has asked. A first run needs not all hosts, nor does a
    master whose disk is new."""
    made = cluster({}, masters)
    made.groups["ovn_nodes"] = ALL
    for host in ALL:
        own = {"databases": [saved] if saved else [], "central_databases": NONE}
        made.on(host, ansible_facts={**host_facts(ADDRESS[host]), "ovn_kubernetes": own})
    found = central_decision(made.hostvars, made.groups, reached, limited=limited)
    assert [step["action"] for step in found["steps"]] == ([] if refused else ["bootstrap"] * 2)
    assert len(found["refusals"]) == (1 if refused else 0)  # and not for each database
    for text in found["refusals"]:
        assert text.startswith(f"hosts look for the databases at {saved}, where no host is that was asked, and ")


def test_a_run_for_other_hosts_changes_no_master(three):
    """Protects --limit to nodes: it is no reason to refuse a run, and masters stay as they are."""
    found = decision(three, limited=ALL)
    assert (found["steps"], found["refusals"]) == ([], [])


def lost(host, last=7, term=0):
    """A member that has no leader any more."""
    alone = member(host)
    for key in ("northbound", "southbound"):
        alone[key].update(leader="unknown", role="candidate", last=last, last_term=term)
    return alone


def test_recovery():
    """Protects what is made anew: from the named master's state alone, the others' files are set aside."""
    made = cluster({MASTER: lost(MASTER), NODE1: NONE, NODE2: lost(NODE2)})
    found = decision(made, recover_from=MASTER)
    assert [(step["action"], step["host"]) for step in found["steps"]] == [
        ("set_aside", NODE2),
        ("readdress", MASTER),
        ("set_aside", NODE2),
        ("readdress", MASTER),
    ]


@pytest.mark.parametrize(
    ("states", "host", "text"),
    [
        ({}, "", "say from whose last state"),
        ({}, "elsewhere", "is not in ovn_masters"),
        ({MASTER: None}, MASTER, "was not reached"),
        ({NODE1: lost(NODE1, last=9)}, MASTER, f"{NODE1} has a later state of OVN_Northbound than {MASTER}"),
        (
            {NODE1: lost(NODE1, 9)},
            MASTER,
            "(entry 9 of its log, not 7; of which terms they are is not known, and an entry of a later term counts",
        ),
        (
            {MASTER: lost(MASTER, 9, 2), NODE1: lost(NODE1, 8, 3)},
            MASTER,
            f"{NODE1} has a later state of OVN_Northbound than {MASTER} (the last entry of its log is 8 of term 3, and "
            f"not 9 of term 2): give -e ovn_recover_from={NODE1}",
        ),
        ({MASTER: NONE}, MASTER, "has no clustered OVN_Northbound"),
        ({MASTER: member(MASTER)}, MASTER, "both databases have a leader"),
    ],
)
def test_no_recovery(states, host, text):
    """Protects data: a recovery is refused where it is not needed, and where another master has more."""
    made = cluster({**{one: lost(one) for one in ALL}, **states})
    found = decision(made, recover_from=host)
    assert found["steps"] == []
    assert text in found["refusals"][0]


def test_verify_names_what_a_site_run_would_do():
    """Protects who looks: a missing member, one that nobody knows, tcp that was left over."""
    states = {**{host: member(host) for host in ALL}, NODE2: NONE}
    found = central_findings(Inventory(cluster(states).hostvars, cluster(states).groups, ALL), ALL)
    assert [(one.host, one.wrong) for one in found] == [
        (
            MASTER,
            "the cluster of OVN_Northbound has the member 2222, which no master is: ovn-node2 has lost its database",
        ),
        (
            MASTER,
            "the cluster of OVN_Southbound has the member 2222, which no master is: ovn-node2 has lost its database",
        ),
    ]
    row = {"target": "ptcp:6642", "role": "", "probe": 1, "ours": True}
    left = member(MASTER, listeners=[row], users={"6642": ["10.44.0.13"]})
    made = cluster({**{host: member(host) for host in ALL}, MASTER: left}, tls=True)
    found = central_findings(Inventory(made.hostvars, made.groups, ALL), ALL)
    assert found[-1].wrong == f"the Southbound database still listens for chassis by plain tcp, which {NODE2} use"
    well = cluster({host: member(host) for host in ALL})
    assert central_findings(Inventory(well.hostvars, well.groups, ALL), ALL) == []


def test_verify_says_once_that_a_master_is_missing():
    """Protects the table from the same row for each of the two databases, beside that of the master itself."""
    made = cluster({MASTER: None, NODE1: NONE, NODE2: NONE}, [MASTER])
    inventory = Inventory(made.hostvars, made.groups, [NODE1, NODE2])
    (found,) = central_findings(inventory, ALL)
    assert found.host == "" and found.wrong.startswith(f"{MASTER} was not reached, and may have databases that")


@pytest.mark.parametrize(("masters", "severity"), [([MASTER], "warning"), (ALL, "error")])
def test_verify_before_a_standalone_database_is_converted(masters, severity):
    """Protects against an alarm after an upgrade of the collection alone, where one master works as before."""
    standalone = {"model": "standalone", "running": True, "empty": False}
    found = {**dict.fromkeys(ALL, NONE), MASTER: {**NONE, "northbound": standalone, "southbound": standalone}}
    made = cluster(found, masters)
    findings = central_findings(Inventory(made.hostvars, made.groups, ALL), ALL)
    assert [(one.host, one.severity) for one in findings] == [(MASTER, severity)] * 2
    assert "the next run of ovn.kubernetes.site makes it a cluster of one member" in findings[0].wrong


@pytest.mark.parametrize("is_ours", [False, True], ids=["left over", "of a master that moves"])
def test_files_of_databases_on_other_hosts(is_ours):
    """Protects a new master against the rows of an overlay that was removed, and of another OVN: its files stay on a
    host that is a node now. A master that moves to another host takes its rows along."""
    stopped = {**NONE, "northbound": {"model": "standalone"}, "southbound": {"model": "standalone"}}
    made = cluster({MASTER: {**NONE, "northbound": INSTALLED}, NODE1: stopped, NODE2: {}}, [MASTER])
    made.hostvars[NODE1]["ansible_facts"]["ovn_kubernetes"]["central"] = is_ours
    found = decision(made)
    assert found["former"] == ([NODE1] if is_ours else [])
    assert {(step["host"], step["action"]) for step in found["steps"]} == {
        (NODE1, "convert") if is_ours else (MASTER, "bootstrap")
    }


@pytest.mark.parametrize(("leader", "found"), [("1111", [NODE1]), ("unknown", [])])
def test_hosts_that_are_cut_off(leader, found):
    """Protects hosts that have not heard of a new cluster: they are named where the databases have a leader again, and
    not while nobody could be connected."""
    hosts = cluster({host: member(host, leader=leader, role="follower") for host in ALL})
    hosts.hostvars[NODE1]["ansible_facts"]["ovn_kubernetes"]["cut_off"] = ["ovn-controller"]
    assert decision(hosts)["cut_off"] == found
