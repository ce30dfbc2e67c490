# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what the plays do with the databases of masters: on which host which step, in which order, and when none."""

from __future__ import annotations

import json

import pytest
from stand_in_plays import HOST, LISTENING, databases

from .conftest import BOTH, role

SITE = {"import_playbook": "ovn.kubernetes.site"}
RECOVER = {"import_playbook": "ovn.kubernetes.recover"}
SWITCHING = [
    {"target": "pssl:6642", "role": "ovn-controller", "probe": 10000, "ours": True},
    {"target": "ptcp:16652", "role": "", "probe": 10000, "ours": True},
]

CENTRAL_ROW = {"target": "ptcp:16642", "role": "", "probe": 60000, "ours": True}
RELAY_UNIT = "ovn-k8s-southbound-relay.service"

MEMBERS = [{"id": f"{number}" * 4, "address": f"tcp:10.44.0.1{number}:6643"} for number in range(3)]
LOST = {"leader": "unknown", "role": "candidate", "members": MEMBERS}


def own(**facts):
    return {"system_id": "", "node": "", "subnets": [], "problem": "", "in_use": [], "gateway": False, **facts}


def steps(calls):
    """The steps that were done: host and what was done."""
    found = [(host, options) for host, module, options in calls if module == "ovn_central"]
    return [(host, options["action"], options.get("database")) for host, options in found]


@BOTH
def test_a_cluster_that_is_right(plays):
    """Protects an unchanged run: no step, and its options of ovn-ctl make no database."""
    plays.facts("ovn-master", ovn_kubernetes=own(central=True, central_databases=databases(listeners=LISTENING)))
    code, said, calls = plays.run(plays.play(SITE))
    assert code == 0, said
    assert steps(calls) == []
    (options,) = [
        options
        for host, module, options in calls
        if module == "ovn_host"
        and options.get("packages")
        and host == "ovn-master"
        and "ovn-central" in options["packages"]
    ]
    (block,) = [file["block"] for file in options["files"] if file.get("block")]
    assert "--db-nb-cluster-remote-addr=10.44.0.11" in block


@BOTH
def test_a_step_in_check_mode(plays):
    """Protects the way from a decision to the module, with the files from which the server is started; check mode goes
    one round."""
    plays.facts("ovn-master", ovn_kubernetes=own(central=True, central_databases=databases(listeners=())))
    code, said, calls = plays.run(plays.play(SITE), "--check")
    assert code == 0, said
    assert steps(calls) == [("ovn-master", "listen", "southbound")]
    modules = [module for _host, module, options in calls if module == "ovn_central" or options.get("central_ports")]
    assert modules[:2] == ["ovn_host", "ovn_central"], "the ports are opened before members speak with each other"
    (options,) = [options for _host, module, options in calls if module == "ovn_central"]
    assert [one["target"] for one in options["listeners"]] == ["ptcp:6642"]
    assert any("--db-sb-cluster-local-addr=10.44.0.11" in (file.get("block") or "") for file in options["files"])


def relay_units(calls):
    """What was asked of the relay's unit, in its order."""
    found = [unit for _host, module, options in calls if module == "ovn_host" for unit in options.get("services") or ()]
    return [unit for unit in found if unit["name"] == RELAY_UNIT]


@BOTH
def test_relays_are_switched_on(plays):
    """Protects the order: the relay's unit is started, then it is told where to listen, and the database listens for
    chassis until then."""
    found = {**databases(listeners=LISTENING), "relay": {}}
    plays.facts("ovn-master", ovn_kubernetes=own(central=True, central_databases=found))
    code, said, calls = plays.run(plays.play(SITE), "--check", "-e", "ovn_southbound_relays=true")
    assert code == 0, said
    assert steps(calls) == [("ovn-master", "start", "relay")]
    modules = [
        module for _host, module, options in calls if module == "ovn_central" or relay_units([(_host, module, options)])
    ]
    assert modules == ["ovn_host", "ovn_central", "ovn_host"]
    (first, *_others) = [options for _host, module, options in calls if relay_units([(_host, module, options)])]
    (schema,) = [file["content"] for file in first["files"] if file["path"].endswith("/southbound-relay.ovsschema")]
    assert json.loads(schema)["name"] == "OVN_Kubernetes_Relay"
    for unit in relay_units(calls):
        assert "/southbound-relay.db relay:OVN_Southbound:tcp:10.44.0.11:16642\n" in unit["unit"]


@BOTH
def test_relays_that_are_right(plays):
    """Protects an unchanged run with relays: no step, and nothing is removed."""
    relay = {"model": "relay", "running": True, "connected": True, "listeners": LISTENING}
    found = {**databases(listeners=[CENTRAL_ROW]), "relay": relay}
    plays.facts("ovn-master", ovn_kubernetes=own(central=True, central_databases=found))
    code, said, calls = plays.run(plays.play(SITE), "-e", "ovn_southbound_relays=true")
    assert code == 0, said
    assert steps(calls) == []
    (unit,) = relay_units(calls)
    assert unit.get("state") != "absent"


@BOTH
def test_relays_that_start_again(plays):
    """Protects chassis: with a new package or unit no relay starts again before the one before it serves, and the next
    one stays as it is where one does not come back."""
    plays.groups["ovn_masters"] = ["ovn-master", "ovn-node1", "ovn-node2"]
    relay = {"model": "relay", "running": True, "connected": True, "listeners": LISTENING}
    found = {**databases(listeners=[CENTRAL_ROW]), "relay": relay}
    for host in plays.groups["ovn_masters"]:
        plays.facts(host, ovn_kubernetes=own(central=True, central_databases=found))
    again = [{"kind": "unit", "unit": RELAY_UNIT, "operation": "restart"}]
    for host in ("ovn-master", "ovn-node2"):
        plays.answers[f"ovn_host {host}"] = {**HOST, "plan": again}
    run_central = {
        "hosts": "ovn_masters",
        "gather_facts": False,
        "tasks": [
            {"ansible.builtin.import_role": {"name": "ovn.kubernetes.common", "tasks_from": "facts"}},
            {"ansible.builtin.import_role": {"name": "ovn.kubernetes.master", "tasks_from": "central"}},
        ],
    }
    arguments = ("-e", "ovn_southbound_relays=true")
    code, said, calls = plays.run(plays.play(run_central), *arguments)
    assert code == 0, said
    relays = [
        (host, module)
        for host, module, options in calls
        if module == "ovn_central" or relay_units([(host, module, options)])
    ]
    looks, done = relays[:3], relays[3:]
    assert sorted(looks) == [(host, "ovn_host") for host in sorted(plays.groups["ovn_masters"])]
    assert done == [(host, one) for host in ("ovn-master", "ovn-node2") for one in ("ovn_host", "ovn_central")]
    plays.answers["ovn_central"] = {"failed": True, "msg": "it has no leader"}
    code, said, calls = plays.run(plays.play(run_central), *arguments)
    assert code == 2 and [host for host, module, _options in calls if module == "ovn_central"] == ["ovn-master"], said


def test_relays_are_switched_off(plays):
    """Protects chassis: the database asks for their port before the relay leaves it; then unit and file go."""
    relay = {"model": "relay", "running": True, "connected": True, "listeners": LISTENING}
    found = {**databases(listeners=[CENTRAL_ROW]), "relay": relay}
    plays.facts("ovn-master", ovn_kubernetes=own(central=True, central_databases=found))
    code, said, calls = plays.run(plays.play(SITE), "--check")
    assert code == 0, said
    assert steps(calls) == [("ovn-master", "listen", "southbound")]
    modules = [
        module for _host, module, options in calls if module == "ovn_central" or relay_units([(_host, module, options)])
    ]
    assert modules == ["ovn_central", "ovn_host"]
    assert [unit["state"] for unit in relay_units(calls)] == ["absent"]
    files = [file for _host, module, options in calls if module == "ovn_host" for file in options.get("files") or ()]
    assert [file["path"] for file in files if file.get("absent") and "relay" in file["path"]] == [
        "/var/lib/ovn-kubernetes/southbound-relay.db",
        "/var/lib/ovn-kubernetes/.southbound-relay.db.~lock~",
        "/etc/ovn-kubernetes/southbound-relay.ovsschema",
    ]


@BOTH
def test_a_master_of_an_earlier_version_lacks_packages(plays):
    """Protects databases that load the table of ports at their start: nft is installed before a step restarts them."""
    plays.facts("ovn-master", ovn_kubernetes=own(central=True, central_databases=databases(listeners=())))
    plays.answers["ovn_host ovn-master"] = {"missing": ["nftables"], "waits": True}
    plays.answers["apt"] = {}
    code, said, calls = plays.run(plays.play(SITE), "--check")
    assert code == 0, said
    first = [(module, options) for host, module, options in calls if host == "ovn-master" and module != "ovn_facts"][:3]
    assert [module for module, _options in first] == ["ovn_host", "apt", "ovn_central"]
    assert "nftables" in first[0][1]["packages"]
    assert first[0][1]["files"] == [], "its options are written by the step that restarts it"
    assert "nftables" in first[1][1]["name"]


@BOTH
def test_new_masters_in_batches(plays):
    """Protects databases against a change that can't be finished: a batch would let masters join that it has given no
    packages, and that the ports of the others are closed to."""
    plays.groups["ovn_masters"] = ["ovn-master", "ovn-node1", "ovn-node2"]
    plays.hosts["ovn-node1"] = {"ovn_encap_ip": "10.44.0.12"}
    plays.groups["ovn_gateways"] = []
    found = databases()
    for state in (found["northbound"], found["southbound"]):
        state["package_schema"] = "7.0.0"
    plays.facts("ovn-master", ovn_kubernetes=own(central=True, central_databases=found))
    for host in ("ovn-node1", "ovn-node2"):
        plays.facts(host, ovn_kubernetes=own(central_databases={}))
    code, said, calls = plays.run(plays.play(role("master", "ovn_masters", serial=1)))
    assert code != 0
    assert "ovn-node1, ovn-node2 are new masters that this play does not change now" in said
    assert {module for _host, module, _options in calls} == {"ovn_facts"}


def test_relays_in_batches(plays):
    """Protects chassis against a change that can't be finished: a step of one batch would start relays whose units come
    with another one."""
    plays.groups["ovn_masters"] = ["ovn-master", "ovn-node1", "ovn-node2"]
    plays.hosts["ovn-node1"] = {"ovn_encap_ip": "10.44.0.12"}
    plays.groups["ovn_gateways"] = []
    for host in plays.groups["ovn_masters"]:
        plays.facts(host, ovn_kubernetes=own(central=True, central_databases=databases(listeners=LISTENING)))
    code, said, calls = plays.run(
        plays.play(role("master", "ovn_masters", serial=1)), "-e", "ovn_southbound_relays=true"
    )
    assert code != 0
    assert "ovn-node1, ovn-node2 have no relay yet, and this play does not change those masters now" in said
    assert {module for _host, module, _options in calls} == {"ovn_facts"}


def test_the_northbound_cluster_alone_is_made_anew(plays):
    """Protects chassis of relays, and who is connected to the other database: only who uses this one is told."""
    found = {**databases(listeners=LISTENING), "northbound": databases("10.44.0.99")["northbound"]}
    plays.facts("ovn-master", ovn_kubernetes=own(central=True, central_databases=found, system_id="id-1"))
    code, said, calls = plays.run(plays.play(SITE), "--check")
    assert code == 0, said
    assert steps(calls) == [("ovn-master", "readdress", "northbound"), ("ovn-master", "reset", "northbound")]


@BOTH
def test_a_cluster_that_is_made_anew(plays):
    """Protects chassis: at another address, or with another protocol, one master has a new cluster, whose log begins
    anew; they take it for old news until they are told to forget the one of before."""
    found = databases("10.44.0.99")
    plays.facts("ovn-master", ovn_kubernetes=own(central=True, central_databases=found, system_id="id-1"))
    plays.facts("ovn-node1", ovn_kubernetes=own(system_id="id-2"))
    code, said, calls = plays.run(plays.play(SITE), "--check")
    assert code == 0, said
    done = steps(calls)
    assert done[:2] == [("ovn-master", "readdress", "northbound"), ("ovn-master", "readdress", "southbound")]
    assert sorted(done[2:]) == [("ovn-master", "reset", None), ("ovn-node1", "reset", None)], "node2 is no chassis yet"


@BOTH
def test_hosts_that_were_not_told(plays):
    """Protects chassis whose run ended between a new cluster and what they are told then, or that were not reached: the
    next run tells them, before it goes on. Those that are connected are left alone."""
    plays.facts("ovn-node1", ovn_kubernetes=own(system_id="id-2", cut_off=["ovn-controller"]))
    code, said, calls = plays.run(plays.play(SITE), "--check")
    assert code == 0, said
    assert steps(calls) == [("ovn-node1", "reset", None)]
    (options,) = [options for _host, module, options in calls if module == "ovn_central"]
    assert options["cut_off"] is True
    code, said, calls = plays.run(plays.play(role("node", "ovn_nodes")), "--check")
    assert code == 0, said
    assert steps(calls) == [("ovn-node1", "reset", None)]


@BOTH
def test_the_last_part_of_the_way_to_the_other_protocol(plays):
    """Protects chassis: the listener that they have left is closed at the end, after all hosts were converged."""
    plays.facts("ovn-master", ovn_kubernetes=own(central=True, central_databases=databases(listeners=SWITCHING)))
    code, said, calls = plays.run(plays.play(SITE))
    assert code == 0, said
    assert steps(calls) == [("ovn-master", "listen", "southbound")]
    modules = [module for _host, module, _options in calls]
    assert "ovn_host" in modules[: modules.index("ovn_central")]
    assert southbounds(calls) == {"tcp:10.44.0.11:6642,tcp:10.44.0.11:16652"}


def southbounds(calls):
    """Where hosts are told that the Southbound database is."""
    return {
        options["node"]["southbound"]
        for _host, module, options in calls
        if module == "ovn_host" and options.get("node")
    }


@BOTH
@pytest.mark.parametrize("arguments", [("--tags", "node"), ("--limit", "ovn-node2")], ids=["tags", "limit"])
def test_a_run_that_leaves_masters_with_the_other_protocol(plays, arguments):
    """Protects hosts after an upgrade, or a change of ovn_tls: a run that does not change the masters first leaves them
    where the Southbound database listens, says so, and closes nothing."""
    found = databases(listeners=SWITCHING[:1])
    plays.facts("ovn-master", ovn_kubernetes=own(central=True, central_databases=found))
    code, said, calls = plays.run(plays.play(SITE), *arguments)
    assert code == 0, said
    assert southbounds(calls) == {"ssl:10.44.0.11:6642"}
    assert steps(calls) == []
    assert said.count("The masters listen for hosts by ssl alone, and this run has not changed that") == 1


def test_a_user_s_own_play_for_hosts_alone_says_once_that_they_stay(plays):
    """Protects who changes ovn_tls and runs the node role alone: hosts stay with the other protocol, and it says so
    once, however many batches and plays there are."""
    found = databases(listeners=SWITCHING[:1])
    plays.facts("ovn-master", ovn_kubernetes=own(central=True, central_databases=found))
    code, said, calls = plays.run(plays.play(role("node", "ovn_nodes", serial=1), role("gateway", "ovn_gateways")))
    assert code == 0, said
    assert southbounds(calls) == {"ssl:10.44.0.11:6642"}
    assert said.count("The masters listen for hosts by ssl alone, and this run has not changed that") == 1


@BOTH
def test_check_mode_of_a_user_s_own_plays_follows_the_masters(plays):
    """Protects what it shows of hosts whose play comes after that of the masters, as it does in a site run."""
    found = databases(listeners=SWITCHING[:1])
    plays.facts("ovn-master", ovn_kubernetes=own(central=True, central_databases=found))
    own_plays = plays.play(role("master", "ovn_masters"), role("node", "ovn_nodes"))
    code, said, calls = plays.run(own_plays, "--check")
    assert code == 0, said
    assert southbounds(calls) == {"tcp:10.44.0.11:6642,tcp:10.44.0.11:16652"}
    assert "The masters listen for hosts" not in said


@BOTH
def test_hosts_in_check_mode_follow_the_masters_to_the_other_protocol(plays):
    """Protects what a whole run shows beforehand: hosts change too, as they will when the masters' steps are done."""
    found = databases(listeners=SWITCHING[:1])
    plays.facts("ovn-master", ovn_kubernetes=own(central=True, central_databases=found))
    code, said, calls = plays.run(plays.play(SITE), "--check")
    assert code == 0, said
    assert southbounds(calls) == {"tcp:10.44.0.11:6642,tcp:10.44.0.11:16652"}
    assert steps(calls) == [("ovn-master", "listen", "southbound")]
    assert "The masters listen for hosts" not in said


@BOTH
def test_chassis_that_still_use_the_other_protocol(plays):
    """Protects hosts that were not reached: they are named, and stay connected."""
    found = databases(listeners=SWITCHING)
    found["southbound"]["users"] = {"6642": ["10.44.0.13"]}
    plays.facts("ovn-master", ovn_kubernetes=own(central=True, central_databases=found))
    code, said, calls = plays.run(plays.play(SITE))
    assert code == 0, said
    assert steps(calls) == []
    assert "ovn-node2 is still connected to the Southbound database by ssl" in said


@BOTH
def test_a_host_that_was_a_master(plays):
    """Protects a host that has left the cluster: the rest of a master goes, and no row."""
    plays.facts("ovn-master", ovn_kubernetes=own(central=True, central_databases=databases(listeners=LISTENING)))
    none = {"northbound": {}, "southbound": {}, "version": ""}
    plays.facts("ovn-node1", ovn_kubernetes=own(central=True, central_databases=none))
    code, said, calls = plays.run(plays.play(SITE))
    assert code == 0, said
    assert [host for host, module, _options in calls if module == "ping"] == ["ovn-node1"]


@BOTH
def test_recovery_needs_a_name(plays):
    """Protects data: without the name of a master nothing is made anew."""
    plays.facts("ovn-master", ovn_kubernetes=own(central=True, central_databases=databases(**LOST)))
    code, said, calls = plays.run(plays.play(RECOVER))
    assert code != 0
    assert "-e ovn_recover_from=MASTER" in said
    assert steps(calls) == []


@BOTH
def test_recovery(plays):
    """Protects the order: the clusters are made anew, then all daemons forget how far the old ones were."""
    plays.facts("ovn-master", ovn_kubernetes=own(central=True, central_databases=databases(**LOST)))
    code, said, calls = plays.run(plays.play(RECOVER), "-e", "ovn_recover_from=ovn-master")
    assert code != 0, "the stand-in still says that the majority is lost"
    assert "has lost its majority" in said
    done = steps(calls)
    assert done[:2] == [("ovn-master", "readdress", "northbound"), ("ovn-master", "readdress", "southbound")]
    assert sorted(done[2:]) == [(host, "reset", None) for host in ("ovn-master", "ovn-node1", "ovn-node2")]


@BOTH
def test_a_recovery_in_check_mode(plays):
    """Protects who looks before a recovery: its steps are shown, and the site run that can't be is left out."""
    plays.facts("ovn-master", ovn_kubernetes=own(central=True, central_databases=databases(**LOST)))
    code, said, calls = plays.run(plays.play(RECOVER), "-e", "ovn_recover_from=ovn-master", "--check")
    assert code == 0, said
    assert steps(calls)[:2] == [("ovn-master", "readdress", "northbound"), ("ovn-master", "readdress", "southbound")]
    assert "The clusters are not made anew in check mode" in said
    assert {module for _host, module, _options in calls} == {"ovn_facts", "ovn_central"}


@BOTH
def test_a_recovery_ends_at_the_first_step_that_fails(plays):
    """Protects against two clusters: where another master's database could not be set aside, no cluster is made anew,
    and nothing else is done."""
    plays.groups["ovn_masters"] = ["ovn-master", "ovn-node1", "ovn-node2"]
    for host in plays.groups["ovn_masters"]:
        plays.facts(host, ovn_kubernetes=own(central=True, central_databases=databases(**LOST)))
    plays.answers["ovn_central ovn-node1"] = {"failed": True, "msg": "systemctl stop failed"}
    code, said, calls = plays.run(plays.play(RECOVER), "-e", "ovn_recover_from=ovn-master")
    assert code != 0
    assert "systemctl stop failed" in said
    assert steps(calls) == [("ovn-node1", "set_aside", "northbound")]


@BOTH
def test_a_lost_majority_stops_a_site_run(plays):
    """Protects what is left: no host is changed, and the command that helps is said."""
    plays.facts("ovn-master", ovn_kubernetes=own(central=True, central_databases=databases(**LOST)))
    code, said, calls = plays.run(plays.play(SITE))
    assert code != 0
    assert "ansible-playbook ovn.kubernetes.recover -e ovn_recover_from=ovn-master" in said
    assert {module for _host, module, _options in calls} == {"ovn_facts"}
