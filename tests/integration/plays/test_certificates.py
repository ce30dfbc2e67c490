# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who is let in: the play's real CAs and certificates at a real ovsdb-server, on a master that is this machine
with an /etc of its own."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import stat
import subprocess

import authorities
import pytest
from database_server import PROGRAMS, Server, wait_for

from .conftest import BOTH

SYSTEM_ID = "6f1c2a0e-5d0b-4d5e-9a77-2f0f5d3c1b1e"
TLS = "etc/ovn-kubernetes/tls"
ROLES = ("central", "chassis")


class Master:
    """A master that is this machine."""

    def __init__(self, plays):
        self.plays, self.folder = plays, plays.folder
        shutil.copytree("/etc", self.folder / "etc", symlinks=True)
        shutil.rmtree(self.tls.parent, ignore_errors=True)
        self.name_it(SYSTEM_ID)
        plays.hosts = {"ovn-master": {"ovn_encap_ip": "10.44.0.11"}}
        plays.groups = {"ovn_masters": ["ovn-master"]}
        plays.variables.update(ovn_tls=True, ovn_tls_folder=str(self.authorities))
        plays.script = f"mount --bind {self.folder}/etc /etc"
        for module in ("ovn_facts", "ovn_host"):
            del plays.answers[module]
        plays.answers.update(apt={}, dnf={})  # this machine stays as it is

    @property
    def tls(self):
        return self.folder / TLS

    @property
    def authorities(self):
        return self.folder / "ca"

    def name_it(self, system_id):
        (self.folder / "etc/openvswitch").mkdir(exist_ok=True)
        (self.folder / "etc/openvswitch/system-id.conf").write_text(f"{system_id}\n")

    def run(self, *arguments, new="certificates", before=()):
        """Gather the facts, and give certificates; the exit code, what was said, and how much changed.

        :param before: tasks in between.
        """
        facts = {"name": "Gather facts", "ovn.kubernetes.ovn_facts": {}}
        given = {"ansible.builtin.import_role": {"name": "ovn.kubernetes.common", "tasks_from": new}}
        play = {"hosts": "ovn_masters", "gather_facts": False, "tasks": [facts, *before, given]}
        code, said, self.calls = self.plays.run(self.plays.play(play), *arguments)
        changed = re.search(r"ovn-master +: ok=\d+ +changed=(\d+)", said)
        return code, said, int(changed[1]) if changed else None

    def files(self):
        """Path below /etc/ovn-kubernetes/tls -> mode and content."""
        return {path.name: (stat.S_IMODE(path.stat().st_mode), path.read_text()) for path in sorted(self.tls.iterdir())}


@pytest.fixture
def master(plays):
    return Master(plays)


def openssl(*arguments, given=None):
    done = subprocess.run(["openssl", *map(str, arguments)], input=given, capture_output=True, text=True, check=True)
    return done.stdout


def described(path):
    return openssl("x509", "-in", path, "-noout", "-text")


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


def test_authorities_for_a_vault(master):
    """Protects who keeps the CAs in a vault: a playbook makes them, with no host asked, and makes them once."""
    del master.plays.variables["ovn_tls"]
    code, said, calls = master.plays.run("ovn.kubernetes.authority")
    assert code == 0 and f"Made in {master.authorities}: ovn.kubernetes central CA " in said and calls == [], said
    made = {path.name: path.read_text() for path in master.authorities.iterdir()}
    assert set(made) == {".gitignore", *(f"{role}-ca.{end}" for role in ROLES for end in ("crt", "key"))}
    code, said, _calls = master.plays.run("ovn.kubernetes.authority")
    assert code == 0 and "Both CAs are there already." in said, said
    assert made == {path.name: path.read_text() for path in master.authorities.iterdir()}


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
    code, said, _changed = master.run("-e", "ovn_tls_rotate=central_ca,chassis_ca")
    assert code == 0, said
    ended = [arguments["argv"][2] for _host, module, arguments in master.calls if module == "command"]
    assert ended == ["/var/run/ovn/ovnsb_db.ctl", "/var/run/ovn/ovnnb_db.ctl"]
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


class Listener:
    """A real ovsdb-server that has what the play has made, and the port on which it speaks TLS.

    :param trusted: the file of whom it trusts.
    """

    def __init__(self, master, schema, database, trusted):
        pair = f"{master.tls}/central.pem"
        files = (f"--private-key={pair}", f"--certificate={pair}", f"--ca-cert={master.tls}/{trusted}")
        self.server = Server(schema, database, flags=(*files, "--remote=pssl:0:127.0.0.1"))
        for port in re.findall(r"listening on port (\d+)", self.server.log.read_text()):
            self.port = int(port)
            if self.plain():
                break
        self._seen = len(self.server.log.read_text())

    def answer(self, pair, trusted):
        """Ask for the databases; the error that the client sees, or nothing. Trusted: whom the client trusts."""
        context = ssl.create_default_context(cafile=trusted)
        context.check_hostname = False
        if pair:
            context.load_cert_chain(pair)
        try:
            with socket.create_connection(("127.0.0.1", self.port), 10) as plain, context.wrap_socket(plain) as client:
                return self._ask(client)
        except OSError as error:
            return str(error)

    def plain(self):
        """Ask without TLS."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as client:
            return self._ask(client)

    @staticmethod
    def _ask(client):
        client.sendall(b'{"method":"list_dbs","params":[],"id":1}')
        return "" if client.recv(1000).startswith(b'{"id":1,"result":["OVN_') else "the connection was closed"

    def says(self, word):
        """Wait until the server has said a word of a connection that it refused, after those before."""
        found = wait_for(lambda: self._said(word), f"{word!r} in {self.server.log.read_text()}")
        self._seen = found.end()
        return True

    def _said(self, word):
        return re.compile(rf"\|WARN\|.*({word}).*").search(self.server.log.read_text(), self._seen)


@pytest.fixture
def listeners(master):
    """The Northbound and the Southbound server of a master that the play has given certificates."""
    code, said, _changed = master.run()
    assert code == 0, said
    both = []
    try:
        for one in (("ovn-nb", "OVN_Northbound", "central-ca.crt"), ("ovn-sb", "OVN_Southbound", "southbound-ca.crt")):
            both.append(Listener(master, *one))
        yield both
    finally:
        for one in both:
            one.server.remove()


def test_who_is_let_in(master, listeners):
    """Protects both databases: masters get into both, a chassis into the Southbound one alone, and nobody else into
    any."""
    northbound, southbound = listeners
    trusted = master.tls / "central-ca.crt"
    authority = authorities.Pair(*((master.authorities / f"central-ca.{end}").read_text() for end in ("crt", "key")))
    others = {
        "expired": authorities.issue(authority, "ovn-master", begin=-9, end=-1),
        "early": authorities.issue(authority, "ovn-master", begin=1, end=9),
        "stranger": authorities.issue(authorities.authority("stranger"), "ovn-master"),
        # A CA that calls itself like ours.
        "forger": authorities.issue(authorities.authority(issuer(master.tls / "central.pem")), "ovn-master"),
    }
    for name, pair in others.items():
        (master.folder / f"{name}.pem").write_text(pair.both)
    assert [one.answer(master.tls / "central.pem", trusted) for one in listeners] == ["", ""]
    assert southbound.answer(master.tls / "chassis.pem", trusted) == ""
    assert northbound.answer(master.tls / "chassis.pem", trusted)  # the server's alert, or the end alone
    assert northbound.says("SSL_accept.*certificate verify failed")
    for server in listeners:
        for name in others:
            assert server.answer(master.folder / f"{name}.pem", trusted), name
            assert server.says("SSL_accept.*certificate verify failed"), name
        assert server.answer(None, trusted) and server.says("SSL_accept.*peer did not return a certificate")
        assert server.plain() and server.says("SSL_accept")
    # And clients do not take a chassis for a server.
    assert "certificate verify failed" in northbound.answer(
        master.tls / "central.pem", master.folder / "ca/chassis-ca.crt"
    )


def issuer(path):
    return openssl("x509", "-in", path, "-noout", "-issuer", "-nameopt", "multiline").partition("= ")[2].strip()


def test_an_old_authority_without_a_restart(master, listeners):
    """Protects the end of a CA: servers read the file at the next connection and refuse the CA that has left it; who is
    connected stays until the server ends the connections, as the play does. A session can't be resumed."""
    _northbound, southbound = listeners
    trusted = str(master.tls / "central-ca.crt")
    bundle, before = master.tls / "southbound-ca.crt", (master.tls / "chassis.pem").read_text()
    old = master.folder / "old.pem"
    old.write_text(before)
    context = ssl.create_default_context(cafile=trusted)
    context.check_hostname = False
    context.load_cert_chain(old)
    with socket.create_connection(("127.0.0.1", southbound.port), 10) as plain, context.wrap_socket(plain) as client:
        assert southbound._ask(client) == ""
        modified = bundle.stat().st_mtime
        bundle.write_text((master.tls / "central-ca.crt").read_text() + authorities.authority("chassis").certificate)
        os.utime(bundle, (modified + 10, modified + 10))  # the server looks at its time
        assert southbound.answer(old, trusted) and southbound.says("SSL_accept.*certificate verify failed")
        with socket.create_connection(("127.0.0.1", southbound.port), 10) as again, pytest.raises(ssl.SSLError):
            context.wrap_socket(again, session=client.session)
        assert southbound._ask(client) == ""
        program = f"{PROGRAMS}/bin/ovs-appctl"
        subprocess.run([program, "-t", southbound.server.directory / "ctl", "ovsdb-server/reconnect"], check=True)
        assert client.recv(1000) == b""
