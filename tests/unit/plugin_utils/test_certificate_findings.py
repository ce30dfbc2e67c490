# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the day on which certificates end: verify fails weeks before, and says which host, and what mends it."""

from __future__ import annotations

import time

import authorities
import pytest

from ansible_collections.ovn.kubernetes.plugins.action.ovn_verify import skew
from ansible_collections.ovn.kubernetes.plugins.plugin_utils import _findings
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._certificate_findings import findings
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._inventory import Inventory

MASTER, NODE1, NODE2 = HOSTS = "ovn-master", "ovn-node1", "ovn-node2"
CA = {role: authorities.authority(role) for role in ("central", "chassis")}
SOON = {role: authorities.authority(role, begin=-3640, end=10) for role in CA}
ADDRESS = "10.44.0.11"


def have(host, ca=CA, **validity):
    """What a host has that is as it should be."""
    found = {"now": int(time.time()), "central_ca": ca["central"].certificate}
    pairs = {"chassis": authorities.issue(ca["chassis"], f"id-{host}", **validity)}
    if host == MASTER:
        found["southbound_ca"] = ca["central"].certificate + ca["chassis"].certificate
        pairs["central"] = authorities.issue(ca["central"], MASTER, [ADDRESS, MASTER], **validity)
    return {
        **found,
        **{role: {"certificate": pair.certificate, "fits": True, "exposed": False} for role, pair in pairs.items()},
    }


@pytest.fixture
def verify(cluster, tmp_path):
    """verify(what hosts have, CA) returns what stops a site run, and host and clause of what else is wrong."""

    def run(changed=None, ca=CA, keys=True):
        for role, pair in ca.items():
            for end, text in (("crt", pair.certificate), ("key", pair.key)):
                if end == "crt" or keys:
                    (tmp_path / f"{role}-ca.{end}").write_text(text)
                    (tmp_path / f"{role}-ca.{end}").chmod(0o600)
        cluster.with_facts().everywhere(ovn_tls=True, ovn_tls_folder=str(tmp_path))
        hosts = {host: have(host) for host in HOSTS}
        hosts.update(changed or {})
        for host, found in hosts.items():
            cluster.own(host, system_id=f"id-{host}", certificates=found)
        stops, said = findings(Inventory(cluster.hostvars, cluster.groups, HOSTS))
        return stops, [(one.host, one.wrong) for one in said], [one.severity for one in said]

    return run


def test_nothing_is_wrong(verify):
    """Protects the table from rows of healthy hosts, with the keys of the CAs and without."""
    assert verify() == ([], [], [])
    assert verify(keys=False) == ([], [], [])


@pytest.mark.parametrize("keys", [True, False])
def test_certificates_that_end(verify, keys):
    """Protects against the day itself: less than a third of the lifetime, at most 30 days."""
    ends = {NODE1: have(NODE1, begin=-701, end=29), NODE2: have(NODE2, begin=-699, end=31)}
    assert verify(ends, keys=keys) == (
        [],
        [(NODE1, "the certificate in /etc/ovn-kubernetes/tls/chassis.pem ends in 28 days")],
        ["error"],
    )


def test_what_nobody_can_use(verify):
    """Protects hosts that are cut off already."""
    master, node = have(MASTER), have(NODE1, begin=-9, end=-1)
    master["central"]["fits"] = False
    del node["central_ca"]
    stops, said, severities = verify({MASTER: master, NODE1: node})
    assert stops == [] and set(severities) == {"error"}
    assert said == [
        (MASTER, "the certificate in /etc/ovn-kubernetes/tls/central.pem does not fit its key"),
        (NODE1, "the certificate in /etc/ovn-kubernetes/tls/chassis.pem has expired"),
        (NODE1, "it does not trust exactly the CAs that it should"),
    ]


def test_keys_that_others_read(verify):
    """Protects keys that somebody has opened to others: what it was is said, before a site run closes it."""
    node = have(NODE1)
    node["chassis"]["exposed"] = True
    assert verify({NODE1: node})[1] == [
        (NODE1, "others than root can read /etc/ovn-kubernetes/tls/chassis.pem, or its folder")
    ]


def test_foreign_certificates(verify):
    """Protects against a host of another cluster."""
    stranger = {role: authorities.authority("stranger") for role in CA}
    node = {**have(NODE1), "chassis": have(NODE1, ca=stranger)["chassis"]}
    (stop,), said, _severities = verify({NODE1: node})
    assert stop.startswith(f'{NODE1}: /etc/ovn-kubernetes/tls/chassis.pem is of the CA "stranger"') and said == []


def test_an_authority_that_ends(verify):
    """Protects the end of the CA, with which all certificates end."""
    hosts = {host: have(host, ca=SOON, begin=-1, end=10) for host in HOSTS}
    stops, said, severities = verify(hosts, ca=SOON)
    assert stops == [] and set(severities) == {"error"}
    assert ("(all)", 'the central CA "central" ends in 9 days') in said
    assert ("(all)", 'the chassis CA "chassis" ends in 9 days') in said


def test_a_controller_without_the_authorities(verify, tmp_path):
    """Protects who runs verify elsewhere: it is said, once for each CA."""
    verify()
    for path in tmp_path.iterdir():
        path.unlink()
    stops, said, _severities = verify(ca={})
    assert [text.partition(":")[0] for text in stops] == [MASTER, f"{MASTER}, {NODE1} and {NODE2}"] and said == []


@pytest.mark.parametrize(("now", "found"), [(1000, 0), (1002, 0), (999, 0), (1303, 300), (699, -300)])
def test_clocks(now, found):
    """Protects against clocks that differ: the time that a module takes is no difference."""
    answer = {"ansible_facts": {"ansible_ovn_kubernetes": {"certificates": {"now": now}}}}
    assert skew(answer, 1000.5, 1003.0) == {"clock_skew": pytest.approx(found, abs=1)}
    assert skew({"unreachable": True}, 1.0, 2.0) == {} == skew({"ansible_facts": {}}, 1.0, 2.0)


def test_a_clock_is_a_row():
    """Protects who looks for the reason of refused certificates."""
    facts = {"a": {"clock_skew": 61.0}, "b": {"clock_skew": -3600.0}, "c": {"clock_skew": 59.0}}
    run = _findings.Run(["a", "b", "c"], "", facts, {}, {}, [], [], {})
    assert [(row.host, row.severity, row.wrong) for row in _findings.rows(run, "site")] == [
        ("a", "warning", "its clock is 61 s ahead of the controller's"),
        ("b", "warning", "its clock is 3600 s behind the controller's"),
    ]
