# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who is let in: the play makes CAs and certificates when they are needed, and nothing when they are not."""

from __future__ import annotations

import shutil
import stat

import authorities
import pytest
from certified_master import ROLES, SYSTEM_ID, described, openssl
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .conftest import BOTH


@BOTH
def test_the_first_runs(master):
    """Protects the first run, which makes both CAs and all certificates, and the second, which changes nothing: keys
    are root's alone, and no CA's key is on the host."""
    code, said, changed = master.run("--diff", "-vvv")
    assert code == 0 and changed > 0, said
    assert "PRIVATE KEY" not in said
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in master.authorities.iterdir()} == {
        ".gitignore": 0o600,
        "central-ca.crt": 0o644,
        "central-ca.key": 0o600,
        "chassis-ca.crt": 0o644,
        "chassis-ca.key": 0o600,
    }
    assert stat.S_IMODE(master.authorities.stat().st_mode) == 0o700
    files = master.files()
    assert {name: mode for name, (mode, _content) in files.items()} == {
        "central-ca.crt": 0o644,
        "central.pem": 0o600,
        "chassis.pem": 0o600,
        "southbound-ca.crt": 0o644,
    }
    assert stat.S_IMODE(master.tls.stat().st_mode) == 0o700
    central, chassis = (described(master.tls / f"{role}.pem") for role in ROLES)
    assert (
        "Subject: CN = ovn-master\n" in central and "IP Address:10.44.0.11" in central and "DNS:ovn-master" in central
    )
    assert f"Subject: CN = {SYSTEM_ID}\n" in chassis and "Subject Alternative Name" not in chassis
    for text in (central, chassis):
        assert "TLS Web Client Authentication, TLS Web Server Authentication" in text and "CA:FALSE" in text
    for role in ROLES:
        ca_key = (master.authorities / f"{role}-ca.key").read_text()
        assert not any(ca_key in content for _mode, content in files.values())
    code, said, changed = master.run()
    assert (code, changed) == (0, 0) and files == master.files(), said


def test_check_mode_and_new_keys(master):
    """Protects check mode, which makes nothing, and new keys, which all get in one run."""
    code, said, _changed = master.run("--check")
    assert code == 0 and "Check mode makes no CA" in said and not master.authorities.exists(), said
    assert master.run()[0] == 0
    before = master.files()
    code, said, changed = master.run("--check", "-e", "ovn_tls_rotate=keys")
    assert code == 0 and changed == 1 and "chassis.pem gets a new key" in said and before == master.files(), said
    assert master.run("-e", "ovn_tls_rotate=keys")[0] == 0
    after = master.files()
    for name in ("chassis.pem", "central.pem"):
        assert after[name][1].partition("-----BEGIN CERT")[0] != before[name][1].partition("-----BEGIN CERT")[0]


def test_a_host_that_changes(master):
    """Protects a host with another name or address, or an interrupted run: it gets what it needs, and nothing else."""
    assert master.run()[0] == 0
    before = master.files()
    master.name_it("id-2")
    (master.tls / "chassis.key.new").write_text(authorities.authority("left over").key)  # and no certificate yet
    master.plays.hosts["ovn-master"]["ovn_encap_ip"] = "10.44.0.99"
    (master.tls / "central-ca.crt").unlink()
    code, said, _changed = master.run()
    after = master.files()
    assert code == 0 and set(after) == set(before), said
    assert "Subject: CN = id-2\n" in described(master.tls / "chassis.pem")
    assert "IP Address:10.44.0.99" in described(master.tls / "central.pem")


@pytest.mark.parametrize("tasks", ["certificates_new", "certificates_new_or_end"])
def test_a_host_whose_name_comes_late(master, tasks):
    """Protects new hosts: Open vSwitch makes the system-id, the name in the certificate, in the run itself. No key is
    made for a name that nobody knows, and the second part of the run makes nothing else anew."""
    master.name_it("")
    code, said, _changed = master.run()
    assert code == 0 and sorted(master.files()) == ["central-ca.crt", "central.pem", "southbound-ca.crt"], said
    before = master.files()
    installed = {"name": "Install", "ansible.builtin.set_fact": {"node_result": {"chassis": "id-late"}}}
    code, said, _changed = master.run("-e", "ovn_tls_rotate=keys", new=tasks, before=[installed])
    assert code == 0 and "Subject: CN = id-late\n" in described(master.tls / "chassis.pem"), said
    assert {name: one for name, one in master.files().items() if name != "chassis.pem"} == before
    code, said, changed = master.run(new=tasks)
    assert (code, changed) == (0, 0), said


@pytest.mark.parametrize("tasks", ["certificates_new", "certificates_new_or_end"])
def test_a_late_name_of_another_host(master, tasks):
    """Protects the names of others from a host that says its system-id after the facts: nothing is signed for it."""
    master.plays.hosts["ovn-node1"] = {"ovn_encap_ip": "10.44.0.12", "ansible_connection": "local"}
    master.plays.groups["ovn_nodes"] = ["ovn-node1"]
    master.name_it("")
    installed = {"name": "Install", "ansible.builtin.set_fact": {"node_result": {"chassis": "id-same"}}}
    assert master.run()[0] == 0
    code, said, _changed = master.run(new=tasks, before=[installed], hosts="ovn_masters:ovn_nodes")
    assert code == 2 and "chassis.pem" not in master.files(), said
    assert 'ovn-node1: its system-id \\"id-same\\" is also that of ovn-master' in said, said


def test_a_request_for_another_name(master):
    """Protects the names of others: a host that is in other hands asks for one, and nothing is signed for it."""
    assert master.run()[0] == 0
    before = {name: content for name, (_mode, content) in master.files().items()}
    master.plays.answers["openssl_csr_pipe"] = {"csr": authorities.request("id-of-another-host")}
    code, said, _changed = master.run("-e", "ovn_tls_rotate=keys")
    assert code == 2 and before.items() <= {name: content for name, (_mode, content) in master.files().items()}.items()
    assert 'is for "CN=id-of-another-host", and not for "CN=ovn-master"' in said.replace("\\", ""), said


def test_authorities_for_a_vault(master):
    """Protects who keeps the CAs in a vault: a playbook makes them, with no host asked, and makes them once; and a
    folder that has something else, such as the inventory itself, from being closed."""
    master.plays.variables["ovn_tls"] = False
    master.authorities.mkdir(mode=0o755)
    (master.authorities / "hosts.yml").touch()
    code, said, _calls = master.plays.run("ovn.kubernetes.authority")
    assert code == 2 and 'has other files, such as "hosts.yml": give a folder of its own' in said, said
    assert [path.name for path in master.authorities.iterdir()] == ["hosts.yml"]
    assert stat.S_IMODE(master.authorities.stat().st_mode) == 0o755
    (master.authorities / "hosts.yml").unlink()
    code, said, _calls = master.plays.run("ovn.kubernetes.authority", "--check")
    assert code == 0 and f"Would be made in {master.authorities}: ovn.kubernetes central CA " in said, said
    assert list(master.authorities.iterdir()) == []
    code, said, calls = master.plays.run("ovn.kubernetes.authority")
    assert code == 0 and f"Made in {master.authorities}: ovn.kubernetes central CA " in said and calls == [], said
    made = {path.name: path.read_text() for path in master.authorities.iterdir()}
    assert set(made) == {".gitignore", *(f"{role}-ca.{end}" for role in ROLES for end in ("crt", "key"))}
    code, said, _calls = master.plays.run("ovn.kubernetes.authority")
    assert code == 0 and "Both CAs are there already." in said, said
    assert made == {path.name: path.read_text() for path in master.authorities.iterdir()}


WITH_RELAY = "{{ ansible_facts.ovn_kubernetes | combine({'central_databases': {'relay': {'running': true}}}) }}"
RELAY_RUNS = {"ansible.builtin.set_fact": {"ovn_kubernetes": WITH_RELAY, "cacheable": True}}


def test_authorities_are_replaced(master):
    """Protects the replacement of both CAs: the new ones sign when they are trusted, the next run forgets the old ones,
    and nobody keeps their keys."""
    assert master.run()[0] == 0
    old = {role: (master.authorities / f"{role}-ca.crt").read_text() for role in ROLES}
    code, said, _changed = master.run("-e", "ovn_tls_rotate=central_ca,chassis_ca")
    assert code == 0 and "the older central CA stays until ovn-master has a certificate of the new one" in said, said
    for role in ROLES:
        trusted = (master.authorities / f"{role}-ca.crt").read_text()
        assert trusted.endswith(old[role]) and trusted.count("BEGIN") == 2
        assert f"{role} CA" in described(master.tls / f"{role}.pem")
        openssl("verify", "-CAfile", master.authorities / f"{role}-ca.crt", master.tls / f"{role}.pem")
    # Said again while it lasts, it makes no third one. The command that ends connections needs a server.
    master.plays.answers["command"] = {"rc": 0}
    code, said, _changed = master.run("-e", "ovn_tls_rotate=central_ca,chassis_ca", before=[RELAY_RUNS])
    assert code == 0, said
    ended = [arguments["argv"][2] for _host, module, arguments in master.calls if module == "command"]
    relay = "/run/ovn-k8s-southbound-relay/southbound-relay.ctl"
    assert ended == ["/var/run/ovn/ovnsb_db.ctl", "/var/run/ovn/ovnnb_db.ctl", relay]
    for role in ROLES:
        trusted = (master.authorities / f"{role}-ca.crt").read_text()
        assert old[role] not in trusted and trusted.count("BEGIN") == 1
        openssl("verify", "-CAfile", master.authorities / f"{role}-ca.crt", master.tls / f"{role}.pem")
    assert sorted(path.name for path in master.authorities.iterdir() if "key" in path.name) == [
        "central-ca.key",
        "chassis-ca.key",
    ]
    assert (master.tls / "southbound-ca.crt").read_text().count("BEGIN") == 2
    assert master.run()[2] == 0


def test_a_lost_folder(master):
    """Protects against a second CA by accident, and the way out: both are made anew, and the old ones are trusted while
    hosts have their certificates."""
    assert master.run()[0] == 0
    old = {role: (master.authorities / f"{role}-ca.crt").read_text() for role in ROLES}
    shutil.rmtree(master.authorities)
    before = master.files()
    code, said, _changed = master.run()
    assert code == 2 and "ovn-master: there are certificates of " in said and not master.authorities.exists(), said
    assert "and the controller has no chassis CA in" in said and before == master.files()
    code, said, _changed = master.run("-e", "ovn_tls_rotate=central_ca,chassis_ca")
    assert code == 0, said
    for role in ROLES:
        assert (master.authorities / f"{role}-ca.crt").read_text().endswith(old[role])
        openssl("verify", "-CAfile", master.authorities / f"{role}-ca.crt", master.tls / f"{role}.pem")


def test_a_job_of_awx(master):
    """Protects who runs jobs of AWX: no CA is made where its folder is gone afterwards, and text in variables, as from
    a vault, signs without being said."""
    code, said, _changed = master.run("-e", "awx_job_id=7")
    assert code == 2 and "what a job of AWX writes is gone afterwards: make them once elsewhere" in said, said
    assert not master.authorities.exists() and not master.tls.exists()
    code, said, calls = master.plays.run("ovn.kubernetes.validate", "-e", "awx_job_id=7")
    assert code == 2 and "what a job of AWX writes is gone afterwards" in said and calls == [], said
    made = {role: authorities.authority(role) for role in ROLES}
    for role, one in made.items():
        master.plays.variables[f"ovn_tls_{role}_ca_certificate"] = one.certificate
        master.plays.variables[f"ovn_tls_{role}_ca_key"] = one.key
    code, said, _changed = master.run("-e", "awx_job_id=7", "-vvv", "--diff")
    assert code == 0 and "PRIVATE KEY" not in said and not master.authorities.exists(), said
    for role, one in made.items():
        assert one.key.splitlines()[1] not in said
        (master.folder / "ca.crt").write_text(one.certificate)
        openssl("verify", "-CAfile", master.folder / "ca.crt", master.tls / f"{role}.pem")
    assert master.run("-e", "awx_job_id=7")[2] == 0


def test_half_of_a_ca(master):
    """Protects against a second CA by accident: where the folder has lost a certificate, or a key that is needed, the
    play stops, says which file is missing, and makes nothing. What a run has left that was interrupted is no loss."""
    master.authorities.mkdir(mode=0o700)
    one = authorities.authority("central")
    (master.authorities / "central-ca.key").write_text(one.key)
    (master.authorities / "central-ca.key").chmod(0o600)
    code, said, _changed = master.run()
    assert code == 2 and "and not its certificate" in said and len(list(master.authorities.iterdir())) == 1, said
    (master.authorities / "central-ca.key").rename(master.authorities / "central-ca.key.lost")
    (master.authorities / "central-ca.crt").write_text(one.certificate)
    code, said, _changed = master.run()
    assert code == 2 and "has central-ca.crt and not its key, central-ca.key: put the key there" in said, said
    assert len(list(master.authorities.iterdir())) == 2 and not master.tls.exists()
    (master.authorities / "central-ca.crt").unlink()
    for name in ("central-ca.key", "central-ca.key.new"):
        (master.authorities / name).write_text(one.key)
        (master.authorities / name).chmod(0o600)
    (master.authorities / "central-ca.key.lost").unlink()
    code, said, _changed = master.run()
    assert code == 0, said
    assert {path.name for path in master.authorities.iterdir()} == {
        ".gitignore",
        *(f"{role}-ca.{end}" for role in ROLES for end in ("crt", "key")),
    }


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP521R1()), Ed25519PrivateKey.generate()])
def test_kinds_of_keys(master, key):
    """Protects who gives a CA of another kind than the play makes: it signs for hosts."""
    for role, one in (("central", authorities.authority("central", key=key)), ("chassis", authorities.authority("c"))):
        master.plays.variables[f"ovn_tls_{role}_ca_certificate"] = one.certificate
        master.plays.variables[f"ovn_tls_{role}_ca_key"] = one.key
        (master.folder / f"{role}.crt").write_text(one.certificate)
    code, said, _changed = master.run()
    assert code == 0, said
    openssl("verify", "-CAfile", master.folder / "central.crt", master.tls / "central.pem")


def test_own_certificates(master):
    """Protects who makes certificates himself: what is missing is said before anything is written, and right ones stay
    as they are."""
    made = {role: authorities.authority(role) for role in ROLES}
    for role, one in made.items():
        master.plays.variables[f"ovn_tls_{role}_ca_certificate"] = one.certificate
    code, said, _changed = master.run()
    assert code == 2 and "the controller has no key of the central CA to issue one" in said, said
    assert not master.tls.exists()
    master.tls.mkdir(parents=True, mode=0o700)
    own = {
        "central.pem": authorities.issue(made["central"], "ovn-master", ["10.44.0.11", "ovn-master"]).both,
        "chassis.pem": authorities.issue(made["chassis"], SYSTEM_ID).both,
    }
    for name, text in own.items():
        (master.tls / name).write_text(text)
        (master.tls / name).chmod(0o600)
    code, said, _changed = master.run()
    assert code == 0 and {name: master.files()[name][1] for name in own} == own, said
    assert master.run()[2] == 0
