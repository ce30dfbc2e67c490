# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who is let in: each host gets its own certificate in time, from the CA that all know, and none is made by
accident."""

from __future__ import annotations

import copy
import time

import authorities
import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.certificates import DAY
from ansible_collections.ovn.kubernetes.plugins.plugin_utils import _certificate_plan, _certificate_problems
from ansible_collections.ovn.kubernetes.plugins.plugin_utils import _certificates as policy
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._authorities import Authority, Signer
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._x509 import certificates

CENTRAL, CHASSIS = authorities.authority("central"), authorities.authority("chassis")
NEW = {role: authorities.authority(f"new {role}") for role in ("central", "chassis")}
STRANGER = authorities.authority("stranger")
OLD = {"central": CENTRAL, "chassis": CHASSIS}
NAMES = ("m1", "m2", "n1")
ADDRESSES = {"m1": "10.0.0.1", "m2": "10.0.0.2", "n1": "10.0.0.3"}


def known(*pairs, role, keys=None, of_folder=True):
    """An authority; all keys are there, unless it is said which ones."""
    found = certificates("".join(pair.certificate for pair in pairs))
    signers = [Signer(one, f"/ca/{one.name}.key", "") for one in found]
    chosen = signers if keys is None else [one for one in signers if one.certificate.name in keys]
    return Authority(role, found, tuple(chosen), of_folder)


def pair(certificate, **more):
    return {"certificate": certificate.certificate, "fits": True, "exposed": False, **more}


def host(name, found=None):
    """A host: what it has as read_certificates() returns it; None: not asked."""
    return policy.Host(name, name.startswith("m"), f"id-{name}", name, frozenset([ADDRESSES[name], name]), found)


def have(name, central=CENTRAL, chassis=CHASSIS, bundles=(CENTRAL,), southbound=(CENTRAL, CHASSIS)):
    """What a host has that is as it should be."""
    found = {"now": int(time.time()), "chassis": pair(authorities.issue(chassis, f"id-{name}"))}
    found["central_ca"] = "".join(one.certificate for one in bundles)
    if name.startswith("m"):
        found["central"] = pair(authorities.issue(central, name, [ADDRESSES[name], name]))
        found["southbound_ca"] = "".join(one.certificate for one in southbound)
    return found


HAVE = {name: have(name) for name in NAMES}


def cluster(found, written=(), rotated=(), authority=None, now=None):
    """All hosts: name -> what it has."""
    both = authority or {role: known(one, role=role) for role, one in OLD.items()}
    hosts = [host(name, one) for name, one in found.items()]
    return policy.Cluster(hosts, both, time.time() if now is None else now, 730, written, rotated)


def issued(one):
    """Who gets which certificate, why, and from whom."""
    return {
        (want.host.name, want.role): (want.reason, want.signer.certificate.name)
        for want in policy.wanted(one, one.hosts)
    }


def changed(one):
    """Whose files differ."""
    return sorted(of.name for of in one.hosts if of.found is not None and policy.changed_files(one, of))


def test_nothing_differs():
    """Protects the unchanged run: nothing is issued, nothing written, nothing said."""
    one = cluster(HAVE)
    assert issued(one) == {} and changed(one) == [] and policy.leaving(one) == {}
    assert _certificate_problems.problems(one, "/ca") == [] == _certificate_problems.kept(one)


def test_the_first_run():
    """Protects the first run: each host gets its certificates, masters two, and whom they trust."""
    one = cluster({name: {"now": 1} for name in NAMES})
    assert issued(one) == {
        **{(name, "chassis"): ("is missing", "chassis") for name in NAMES},
        **{(name, "central"): ("is missing", "central") for name in ("m1", "m2")},
    }
    assert changed(one) == ["m1", "m2", "n1"]
    written = {file["path"]: file.get("content") for file in policy.changed_files(one, one.hosts[0])}
    assert written[names.SOUTHBOUND_CA] == CENTRAL.certificate + CHASSIS.certificate
    assert written[names.CENTRAL_CA] == CENTRAL.certificate
    assert names.SOUTHBOUND_CA not in {file["path"] for file in policy.changed_files(one, one.hosts[2])}


def test_a_host_without_a_system_id_waits():
    """Protects new hosts: Open vSwitch makes the name in the certificate, and none is issued without it."""
    one = cluster({"n1": {"now": 1}})
    one = one._replace(hosts=[one.hosts[0]._replace(identity="")])
    assert issued(one) == {}


def test_an_order_names_all_that_is_needed():
    """Protects the certificate: name, addresses, who signs, and no longer than its CA."""
    short = authorities.authority("central", end=100)
    one = cluster(
        {"m1": {"now": 1}},
        authority={"central": known(short, role="central"), "chassis": known(CHASSIS, role="chassis")},
    )
    by_role = {want.role: policy.order(one, want) for want in policy.wanted(one, one.hosts)}
    assert by_role["central"] == {
        "role": "central",
        "path": "/etc/ovn-kubernetes/tls/central.pem",
        "key": "/etc/ovn-kubernetes/tls/central.key.new",
        "name": "m1",
        "alternative_names": ["DNS:m1", "IP:10.0.0.1"],
        "authority": short.certificate,
        "authority_key": "/ca/central.key",
        "days": 99,
        "reason": "is missing",
    }
    assert by_role["chassis"]["name"] == "id-m1" and by_role["chassis"]["alternative_names"] == []
    assert by_role["chassis"]["days"] == 730


def old(role, **validity):
    if role == "chassis":
        return pair(authorities.issue(CHASSIS, "id-m1", **validity))
    return pair(authorities.issue(CENTRAL, "m1", ["10.0.0.1", "m1"], **validity))


@pytest.mark.parametrize("role", ["chassis", "central"])
@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (lambda role: old(role, begin=-700, end=29), "ends in 28 days"),  # of two years: 30 days
        (lambda role: old(role, begin=-700, end=31), ""),
        (lambda role: old(role, begin=-21, end=9), "ends in 8 days"),  # of 30 days: a third
        (lambda role: old(role, begin=-19, end=11), ""),
        (lambda role: old(role, begin=-9, end=-1), "has expired"),
        (lambda role: old(role, begin=1, end=9), "is not valid yet"),
        (lambda role: pair(authorities.issue(OLD[role], "other")), None),
        (lambda role: {**old(role), "fits": False}, "does not fit its key"),
        (lambda role: {"certificate": "", "fits": False, "exposed": False}, "can't be read"),
        (
            lambda role: {
                "certificate": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
                "fits": True,
            },
            "can't be read",
        ),
    ],
)
def test_why_a_certificate_is_issued(role, given, reason):
    """Protects each reason: in time before the end, and when nobody could use what is there."""
    found = {"m1": {**HAVE["m1"], role: given(role)}}
    one = cluster(found)
    name = "m1" if role == "central" else "id-m1"
    expected = f'is of "other", and not of "{name}"' if reason is None else reason
    assert issued(one) == ({("m1", role): (expected, role)} if expected else {})


def test_addresses_of_a_master():
    """Protects a master that moves: its certificate names the address at which it is found."""
    found = {"m1": {**HAVE["m1"], "central": pair(authorities.issue(CENTRAL, "m1", ["10.9.9.9", "m1"]))}}
    assert issued(cluster(found)) == {("m1", "central"): ("has other addresses or names than the host", "central")}


def test_no_certificate_outlives_its_authority():
    """Protects the last days of a CA: renewing what can't get longer would renew it in each run."""
    short = authorities.authority("chassis", begin=-3620, end=20)
    found = {"n1": have("n1", chassis=short)}
    found["n1"]["chassis"] = pair(authorities.issue(short, "id-n1", begin=-700, end=20))
    one = cluster(found, authority={"central": known(CENTRAL, role="central"), "chassis": known(short, role="chassis")})
    assert issued(one) == {}


def test_exposed_keys_are_closed():
    """Protects a key whose file somebody has opened to others: it is root's alone again."""
    found = {"n1": {**HAVE["n1"], "chassis": {**HAVE["n1"]["chassis"], "exposed": True}}}
    one = cluster(found)
    files = policy.changed_files(one, one.hosts[0])
    assert {"path": names.CHASSIS_PEM, "mode": "0600"} in files
    assert {"path": names.TLS_DIRECTORY, "mode": "0700", "folder": True} in files


def test_foreign_certificates_are_refused():
    """Protects against hosts of another cluster, and against a wrong folder on the controller."""
    found = {**HAVE, "n1": {**HAVE["n1"], "chassis": pair(authorities.issue(STRANGER, "id-n1"))}}
    (said,) = _certificate_problems.problems(cluster(found), "/ca")
    assert said.startswith(
        'n1: /etc/ovn-kubernetes/tls/chassis.pem is of the CA "stranger", and the chassis CA in /ca is "chassis": give'
    )


def test_a_lost_authority_is_said():
    """Protects against a second CA by accident: hosts have certificates, and the controller has no CA."""
    nothing = {role: Authority(role, (), (), True) for role in OLD}
    said = _certificate_problems.problems(cluster(HAVE, authority=nothing), "/ca")
    assert [text.split(":")[0] for text in said] == ["m1 and m2", "m1, m2 and n1"]
    assert (
        'there are certificates of "central", and the controller has no central CA in /ca: give the folder' in said[0]
    )
    one = cluster(HAVE, authority=nothing, rotated={"central", "chassis"})
    assert _certificate_problems.problems(one, "/ca") == []


@pytest.mark.parametrize(
    ("has", "whose"),
    [
        ({"central_ca": CENTRAL.certificate}, {"central": '"central"'}),  # the run ended before there was a certificate
        ({"central_ca": CENTRAL.certificate, "southbound_ca": CENTRAL.certificate + CHASSIS.certificate}, None),
        ({"chassis": pair(CHASSIS) | {"certificate": ""}}, {"chassis": "a CA that can't be told"}),
    ],
)
def test_a_trace_of_an_authority_is_enough(has, whose):
    """Protects against a second CA by accident, where a run from another controller was interrupted, and where a file
    is damaged."""
    nothing = {role: Authority(role, (), (), True) for role in OLD}
    said = _certificate_problems.problems(cluster({"m1": {"now": 1, **has}}, authority=nothing), "/ca")
    expected = whose or {"central": '"central"', "chassis": '"chassis"'}
    assert [text.split(":")[1].split(": give")[0] for text in said] == [
        f" there are certificates of {one}, and the controller has no {role} CA in /ca"
        for role, one in expected.items()
    ]


@pytest.mark.parametrize(("end", "said"), [(-1, "has expired"), (0.5, "ends today"), (2, "")])
def test_an_authority_at_its_end(end, said):
    """Protects the way out of an expired CA: it signs nothing that nobody can use, its replacement is made when
    somebody asks for it, and waits for all hosts."""
    ended = authorities.authority("chassis", begin=-9, end=end)
    both = {"central": known(CENTRAL, role="central"), "chassis": known(ended, role="chassis")}
    found = {name: have(name, chassis=ended, southbound=(CENTRAL, ended)) for name in NAMES}
    texts = _certificate_problems.problems(cluster(found, authority=both), "/ca")
    assert [f'the chassis CA "chassis" {said}: ' in text for text in texts] == ([True] if said else [])
    assert _certificate_problems.problems(cluster(found, authority=both, rotated={"chassis"}), "/ca") == []
    assert (cluster(found, authority=both).signer("chassis") is None) is bool(said)
    waiting = cluster(found, authority={**both, "chassis": known(NEW["chassis"], ended, role="chassis")})
    assert (waiting.signer("chassis") is None) is bool(said)
    assert waiting._replace(written=NAMES).signer("chassis").certificate.name == "new chassis"


def test_whom_a_lost_authority_is_taken_from():
    """Protects all hosts from one that somebody has taken over: a CA of its own is not trusted with those that the
    controller has lost, and which masters still trust."""
    mine = {"central_ca": STRANGER.certificate, "southbound_ca": STRANGER.certificate}
    for lost in ({**HAVE, "n1": {**HAVE["n1"], **mine}}, {"m1": HAVE["m1"], "n1": mine}):
        assert _certificate_plan.trusted(cluster(lost), "central") == [CENTRAL.certificate]
        assert _certificate_plan.trusted(cluster(lost), "chassis") == [CHASSIS.certificate]


def test_own_certificates_are_only_checked():
    """Protects who makes certificates himself: nothing is issued, what is wrong is said, and nothing else."""
    only = {role: known(one, role=role, keys=(), of_folder=False) for role, one in OLD.items()}
    assert _certificate_problems.problems(cluster(HAVE, authority=only), "/ca") == []
    found = {**HAVE, "n1": {**HAVE["n1"], "chassis": pair(authorities.issue(CHASSIS, "id-x"))}, "m1": {"now": 1}}
    one = cluster(found, authority=only)
    assert issued(one) == {}
    said = _certificate_problems.problems(one, "/ca")
    assert len(said) == 3 and 'with the common name "id-n1", or give ovn_tls_chassis_ca_key' in said[2]
    found = {"n1": {**HAVE["n1"], "chassis": pair(authorities.issue(CHASSIS, "id-n1", begin=-700, end=9))}}
    assert _certificate_problems.problems(cluster(found, authority=only), "/ca") == []  # verify says that it is time


def test_a_folder_that_has_lost_its_keys():
    """Protects who has copied the certificates alone: nothing is said while nobody needs a key, then one sentence for
    all hosts says which file is missing where. Another CA can be made in its place."""
    only = {role: known(one, role=role, keys=()) for role, one in OLD.items()}
    assert _certificate_problems.problems(cluster(HAVE, authority=only), "/ca") == []
    bare = {name: {"now": 1} for name in NAMES}
    assert _certificate_problems.problems(cluster(bare, authority=only), "/ca") == [
        f"{hosts} of the {role} CA must be issued, and /ca has {role}-ca.crt and not its key, {role}-ca.key: put the "
        "key there, and run it as its owner; where it is lost for good, ovn.kubernetes.site -e "
        f"ovn_tls_rotate={role}_ca makes another CA"
        for role, hosts in (("central", "m1 and m2: 2 certificates"), ("chassis", "m1, m2 and n1: 3 certificates"))
    ]
    one = cluster(bare, authority=only, rotated={"central", "chassis"})
    assert _certificate_problems.problems(one, "/ca") == []


def test_new_keys():
    """Protects rotation of keys: everybody gets new ones."""
    one = cluster(HAVE, rotated={"keys"})
    assert set(issued(one)) == {(name, "chassis") for name in NAMES} | {("m1", "central"), ("m2", "central")}


def rotating(*roles, keys=None):
    """Authorities that are being replaced: the new one first."""
    return {
        role: known(NEW[role], one, role=role, keys=keys) if role in roles else known(one, role=role)
        for role, one in OLD.items()
    }


def after(one):
    """What the hosts have when the run has written files and issued certificates."""
    found = {}
    for of in one.hosts:
        now = None if of.found is None else copy.deepcopy(dict(of.found))
        if now is not None:
            for file in policy.changed_files(one, of):
                key = {names.CENTRAL_CA: "central_ca", names.SOUTHBOUND_CA: "southbound_ca"}.get(file["path"])
                if key:
                    now[key] = file["content"]
        found[of.name] = now
    written = [name for name, now in found.items() if now is not None]
    second = one._replace(written=written)
    by_name = {pair.certificate: pair for pair in (*OLD.values(), *NEW.values())}
    for want in policy.wanted(second, second.hosts):
        order = policy.order(second, want)
        names_of = [text.partition(":")[2] for text in order["alternative_names"]]
        found[want.host.name][want.role] = pair(authorities.issue(by_name[order["authority"]], order["name"], names_of))
    return second, found


@pytest.mark.parametrize("role", ["central", "chassis"])
def test_an_authority_is_replaced(role):
    """Protects every connection while a CA is replaced: both are trusted before the new one signs, and the old one goes
    when nobody has its certificates."""
    both = rotating(role)
    first, found = after(cluster(HAVE, authority=both))
    assert changed(cluster(HAVE, authority=both)) == (["m1", "m2", "n1"] if role == "central" else ["m1", "m2"])
    assert issued(first) == {
        (name, role): ("is of an older CA", f"new {role}") for name in (NAMES if role == "chassis" else ("m1", "m2"))
    }
    second = cluster(found, authority=both)
    assert issued(second) == {} and list(policy.leaving(second)) == [role]
    last, found = after(second)
    trusted = found["m1"]["southbound_ca"]
    assert OLD[role].certificate not in trusted and NEW[role].certificate in trusted
    done = cluster(found, authority={**both, role: known(NEW[role], role=role)})
    assert changed(done) == [] and issued(done) == {} and issued(last) == {}


@pytest.mark.parametrize(("role", "ended"), [("central", ["southbound", "northbound"]), ("chassis", ["southbound"])])
def test_connections_end_with_their_authority(role, ended):
    """Protects against who is connected with a certificate of a CA that is gone: on each master once, also where the
    run was interrupted before, or did not reach the master when the folder forgot the CA."""
    both, new = rotating(role), {**rotating(role), role: known(NEW[role], role=role)}
    _first, found = after(cluster(HAVE, authority=both))

    def of(found, authority):
        one = cluster(found, authority=authority)
        return {host.name: some for host in one.hosts if (some := policy.dropping(one, host))}

    masters = {"m1": ended, "m2": ended}
    assert (
        of(HAVE, both)
        == {}
        == of({**HAVE, "m1": {"now": 1}}, {name: known(one, role=name) for name, one in OLD.items()})
    )
    assert of(found, both) == masters
    _second, last = after(cluster(found, authority=both))
    assert of(last, both) == masters  # the folder has it still: nobody knows whether they were ended
    assert of(last, new) == {}
    assert of({**last, "m2": found["m2"]}, new) == {"m2": ended}


def test_a_host_that_is_off_keeps_the_overlap():
    """Protects a host that was off meanwhile: nobody has a certificate that it does not trust, it is named, and what is
    issued meanwhile is of the CA before."""
    both = rotating("central")
    found = {**HAVE, "n1": None, "m2": {key: value for key, value in HAVE["m2"].items() if key != "central"}}
    one, after_it = after(cluster(found, authority=both))
    assert issued(one) == {("m2", "central"): ("is missing", "central")}
    (said,) = _certificate_problems.kept(one)
    assert said.startswith("the new central CA signs when n1 trusts it")
    assert policy.leaving(cluster(after_it, authority=both)) == {}
    back, done = after(cluster({**after_it, "n1": HAVE["n1"]}, authority=both))
    assert set(issued(back)) == {("m1", "central"), ("m2", "central")}
    assert list(policy.leaving(cluster(done, authority=both))) == ["central"]


def test_a_chassis_that_is_off_keeps_the_overlap():
    """Protects a chassis that was off: its certificate is accepted until it has another one."""
    both = rotating("chassis")
    one, found = after(cluster({**HAVE, "n1": None}, authority=both))
    assert set(issued(one)) == {("m1", "chassis"), ("m2", "chassis")}
    second = cluster(found, authority=both)
    assert policy.leaving(second) == {} and CHASSIS.certificate in found["m1"]["southbound_ca"]
    assert _certificate_problems.kept(second) == [
        "the older chassis CA stays until n1 has a certificate of the new one, and the next run sees that"
    ]


def test_a_run_that_failed_on_a_host():
    """Protects against a host that fails when its bundle is written: the new CA does not sign yet."""
    both = rotating("central", keys=("new central",))
    one = cluster(HAVE, authority=both, written=["m1", "m2"])
    assert issued(one) == {} and one.signer("central") is None
    assert cluster(HAVE, authority=both, written=NAMES).signer("central").certificate.name == "new central"


def test_a_new_host_during_the_overlap():
    """Protects who adds a host meanwhile: it has nothing yet, trusts both from the start, and delays nothing."""
    both = rotating("central")
    one, found = after(cluster({**HAVE, "n1": {"now": 1}}, authority=both))
    assert set(issued(one)) == {("m1", "central"), ("m2", "central"), ("n1", "chassis")}
    assert NEW["central"].certificate in found["n1"]["central_ca"]
    assert CENTRAL.certificate in found["n1"]["central_ca"]


def test_the_end_is_measured_with_the_controllers_clock():
    """Protects renewal: it follows from the time that is given, to the second."""
    certificate = certificates(HAVE["n1"]["chassis"]["certificate"])[0]
    for moment, due in ((30 * DAY + 2, False), (30 * DAY - 2, True)):
        one = cluster({"n1": HAVE["n1"]}, now=certificate.validity.end - moment)
        assert bool(issued(one)) is due
