# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects whoever gives CAs: what can't work, or would let a chassis be a master, is said in one sentence, before any
host is changed, and no secret is in it."""

from __future__ import annotations

import pathlib
import types

import authorities
import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from given_authorities import BELOW, CENTRAL, CHASSIS, FILES, OTHER, variables

MASTER = "ovn-master"
EXPIRED = authorities.authority("expired", begin=-9, end=-1)
SAME = authorities.authority("central", by=CENTRAL)
KU = authorities.authority("ku", may_sign=False)
LOCKED = (
    serialization.load_pem_private_key(CENTRAL.key.encode(), None)
    .private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"a word")
    )
    .decode()
)
RIGHT_KEYS = {
    "P-256": ec.generate_private_key(ec.SECP256R1()),
    "P-384": ec.generate_private_key(ec.SECP384R1()),
    "P-521": ec.generate_private_key(ec.SECP521R1()),
    "RSA": rsa.generate_private_key(65537, 2048),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    "Ed448": ed448.Ed448PrivateKey.generate(),
}
WRONG_KEYS = {
    "an RSA key of 1024 bits": rsa.generate_private_key(65537, 1024),
    "a key of the kind DSA": dsa.generate_private_key(2048),
    "a key on the curve secp224r1": ec.generate_private_key(ec.SECP224R1()),
    "a key on the curve secp256k1": ec.generate_private_key(ec.SECP256K1()),
    "a key on the curve brainpoolP256r1": ec.generate_private_key(ec.BrainpoolP256R1()),
}
LEAF = authorities.issue(CENTRAL, "leaf")


def test_what_is_right(said):
    """Protects right inventories: nothing yet, a folder, text, paths, and certificates alone."""
    assert said() == []
    assert said(FILES) == []
    assert said(**variables()) == []
    assert said(**variables(ovn_tls_central_ca_certificate=CENTRAL.certificate.replace("\n", "\r\n"))) == []
    alone = variables(ovn_tls_central_ca_key="", ovn_tls_chassis_ca_key="")
    assert said(**{name: value for name, value in alone.items() if value}) == []
    assert said(**variables(OTHER, authorities.authority("without keyUsage", may_sign=None))) == []


def test_paths(said, tmp_path):
    """Protects CAs that lie somewhere else on the controller."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600 if name.endswith(".key") else 0o644)
    paths = {
        f"ovn_tls_{role}_ca_{part}": str(tmp_path / f"{role}-ca.{part[:3].replace('cer', 'crt')}")
        for role in ("central", "chassis")
        for part in ("certificate", "key")
    }
    assert said(**paths) == []
    for mode in (0o640, 0o604, 0o620):
        (tmp_path / "chassis-ca.key").chmod(mode)
        (found,) = said(**paths)
        words = f"ovn_tls_chassis_ca_key names a file with mode {mode:04o}: others than its owner may read it"
        assert words in found and found.endswith("; chmod 600")


def test_relative_paths(said, cluster, tmp_path, monkeypatch):
    """Protects who names files beside the inventory, and starts the play from elsewhere. A missing one is named as it
    was looked for; what may be a key is not shown."""
    given = {}
    for name, text in FILES.items():
        (tmp_path / "tls").mkdir(exist_ok=True)
        (tmp_path / "tls" / name).write_text(text)
        (tmp_path / "tls" / name).chmod(0o600)
        role, _dash, end = name.partition("-ca.")
        given[f"ovn_tls_{role}_ca_{'key' if end == 'key' else 'certificate'}"] = f"tls/{name}"
    cluster.everywhere(inventory_dir=str(tmp_path))
    monkeypatch.chdir("/")
    assert said(**given) == []
    (tmp_path / "tls" / "chassis-ca.crt").unlink()
    text = "ovn_tls_chassis_ca_certificate can't be read on the controller ({}): No such file or directory: write PEM"
    for path in ("tls/chassis-ca.crt", "./tls/chassis-ca.crt"):
        (found,) = said(**{**given, "ovn_tls_chassis_ca_certificate": path})
        assert text.format(f'"{tmp_path}/{path}"') in found
    (found,) = said(**{**given, "ovn_tls_chassis_ca_certificate": "a word of a vault"})
    assert text.format(f'looked for in "{tmp_path}"') in found


def test_relative_paths_of_the_environment(said, cluster, tmp_path, monkeypatch):
    """Protects what a shell gives: its paths begin where the shell is, and not beside the inventory."""
    for role, one in (("central", CENTRAL), ("chassis", CHASSIS)):
        (tmp_path / f"{role}.crt").write_text(one.certificate)
        monkeypatch.setenv(f"OVN_TLS_{role.upper()}_CA_CERTIFICATE_FILE", f"{role}.crt")
    monkeypatch.chdir(tmp_path)
    cluster.everywhere(inventory_dir="/nowhere")
    assert said() == []


WRONG = {
    "no PEM": (
        variables(ovn_tls_central_ca_certificate="/no/such/file"),
        "ovn_tls_central_ca_certificate can't be read on the controller",
    ),
    "damaged": (
        variables(ovn_tls_chassis_ca_certificate="-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"),
        "ovn_tls_chassis_ca_certificate holds a certificate that is damaged",
    ),
    "a key for a certificate": (
        variables(ovn_tls_central_ca_certificate=CENTRAL.both),
        "ovn_tls_central_ca_certificate holds a private key too: leave it out",
    ),
    "a certificate for a key": (variables(ovn_tls_central_ca_key=CENTRAL.certificate), "ovn_tls_central_ca_key"),
    "another's key": (
        variables(ovn_tls_central_ca_key=OTHER.key),
        "ovn_tls_central_ca_key does not fit ovn_tls_central_ca_certificate: give the key of that CA",
    ),
    "a key alone": (
        {"ovn_tls_central_ca_key": CENTRAL.key},
        "ovn_tls_central_ca_key is set, and ovn_tls_central_ca_certificate is not",
    ),
    "no CA": (variables(central=LEAF), 'holds the certificate "leaf", which is none of a CA: give the CA\'s own'),
    "a key with a password": (
        variables(ovn_tls_central_ca_key=LOCKED),
        "ovn_tls_central_ca_key has a password: take it out (openssl pkey -in OLD -out NEW), and keep the key in a "
        "vault",
    ),
    "a CA that may not sign": (
        variables(central=KU),
        'ovn_tls_central_ca_certificate holds "ku", whose keyUsage lacks keyCertSign: give a CA that may sign',
    ),
    "an intermediate CA": (
        variables(central=BELOW),
        'ovn_tls_central_ca_certificate holds "below", which "central" has signed: Open vSwitch needs a CA that has '
        "signed itself; make one with ovn.kubernetes.authority",
    ),
    "an intermediate CA with its root": (
        variables(ovn_tls_chassis_ca_certificate=BELOW.certificate + CENTRAL.certificate),
        'holds "below", which "central" has signed',
    ),
    "another key of the same name": (variables(central=SAME), 'holds "central", which "central" has signed'),
    "one CA for both": (variables(chassis=CENTRAL), "has one CA for both roles"),
    "the key of one CA for both": (
        variables(ovn_tls_chassis_ca_key=CENTRAL.key),
        "ovn_tls_chassis_ca_key does not fit ovn_tls_chassis_ca_certificate: give the key of that CA",
    ),
    "the key of one CA": (
        {name: value for name, value in variables().items() if name != "ovn_tls_chassis_ca_key"},
        "ovn_tls_central_ca_key is set, and ovn_tls_chassis_ca_key is not: give both keys, and the play issues all "
        "certificates, or none, and put all of them on the hosts yourself",
    ),
    "the key of the other CA": (
        {name: value for name, value in variables().items() if name != "ovn_tls_central_ca_key"},
        "ovn_tls_chassis_ca_key is set, and ovn_tls_central_ca_key is not: give both keys",
    ),
    "a rotation without TLS": (
        {"ovn_tls": False, "ovn_tls_rotate": "keys"},
        "ovn_tls_rotate has no effect while ovn_tls is false, since no host has certificates: leave it out, or set "
        "ovn_tls to true",
    ),
    "days": ({"ovn_tls_days": 0}, "ovn_tls_days 0 must be a number of days from 1 to 36500"),
    "no number": ({"ovn_tls_ca_days": "soon"}, 'ovn_tls_ca_days "soon" is not a whole number'),
    "longer than its CA": (
        {"ovn_tls_days": 30, "ovn_tls_ca_days": 29},
        "ovn_tls_days 30 is more than ovn_tls_ca_days 29",
    ),
    "a long name": (
        {"ovn_node_name": ".".join(["a" * 60, "bcdef"])},
        "has 66 characters, and the name in a certificate has at most 64",
    ),
    "a rotation of variables": (
        variables(ovn_tls_rotate="keys, chassis_ca"),
        "ovn_tls_rotate names chassis_ca, which ovn_tls_chassis_ca_certificate gives: put the new CA's certificate",
    ),
    "a rotation of nothing": ({"ovn_tls_rotate": "certificates"}, 'ovn_tls_rotate "certificates" is not offered'),
    "a folder of several lines": ({"ovn_tls_folder": "a\nb"}, "ovn_tls_folder"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong(said, cluster, what):
    """Protects each rule: one sentence, with the variable and what would be right."""
    given, words = WRONG[what]
    if "ovn_node_name" in given:
        cluster.on(MASTER, **given)
        given = {}
    found = said(**given)
    assert any(words in text for text in found), found
    assert not any("PRIVATE KEY" in text for text in found)


@pytest.mark.parametrize("kind", RIGHT_KEYS)
def test_keys_that_are_taken(said, kind):
    """Protects who has a CA: what every host's OpenSSL takes is not refused."""
    assert said(**variables(authorities.authority(kind, key=RIGHT_KEYS[kind]))) == []


@pytest.mark.parametrize("words", WRONG_KEYS)
def test_keys_that_are_refused(said, words):
    """Protects all connections from a CA whose key is weak, or that hosts' OpenSSL refuses, in a variable or in the
    folder."""
    weak = authorities.authority("weak", key=WRONG_KEYS[words])
    text = (
        f'holds "weak", which has {words}: give a CA with a key on P-256, P-384 or P-521, Ed25519 or Ed448, or with an '
        "RSA key of at least 2048 bits"
    )
    files = {**FILES, "central-ca.crt": weak.certificate, "central-ca.key": weak.key}
    (found,) = said(files)
    assert f'central-ca.crt" {text}' in found
    (found,) = said(**variables(chassis=weak))
    assert f"ovn_tls_chassis_ca_certificate {text}" in found


@pytest.mark.parametrize(
    ("family", "user", "tls", "right"),
    [
        ("RedHat", "", True, False),
        ("RedHat", "openvswitch", True, False),
        ("RedHat", "root", True, True),
        ("RedHat", "openvswitch", False, True),
        ("Debian", "", True, True),
    ],
)
def test_daemons_that_can_not_read_keys(cluster, family, user, tls, right):
    """Protects EL9, where OVN does not run as root: it is said before any host is changed, and not by daemons that
    can't connect."""
    cluster.with_facts().everywhere(ovn_tls=tls, ovn_tls_folder="/nowhere/ovn-tls").own(MASTER, ovn_user=user)
    cluster.hostvars[MASTER]["ansible_facts"]["os_family"] = family
    said = cluster.problems(gathered=[MASTER])
    assert (said == []) is right
    if not right:
        assert said[0].startswith(f"{MASTER}: OVN's daemons run as the user \"openvswitch\" there, who can't read keys")
        assert 'write OVN_USER_ID="root:root" into /etc/sysconfig/ovn' in said[0]


class Started(dict):
    """Hostvars as Ansible has them, of a run with extra variables."""

    def __init__(self, hostvars, **extra):
        super().__init__(hostvars)
        self._variable_manager = types.SimpleNamespace(extra_vars=extra)


LOST = "there is no central and chassis CA, and what a job of {} writes is gone afterwards: make them once elsewhere"


@pytest.mark.parametrize("given", ["awx_job_id", "tower_job_id"])
def test_a_job_of_awx_without_the_credentials(said, cluster, given):
    """Protects who lets a job of AWX validate first: the CAs that it lacks are said there, and not when the site job
    has begun. With its credentials nothing is wrong, and without TLS nothing is needed."""
    cluster.hostvars = Started(cluster.hostvars, **{given: 7})
    (found,) = said()
    assert found.startswith(LOST.format("AWX")) and found.endswith("or as credentials, or set ovn_tls to false")
    assert said(**variables()) == [] == said(ovn_tls=False)


def test_a_job_of_ci(cluster, monkeypatch, tmp_path):
    """Protects the CAs from a checkout that is gone after its job. Who gives a folder has one that is kept; elsewhere
    they are made beside the inventory."""
    cluster.everywhere(inventory_dir=str(tmp_path))
    assert cluster.problems() == []
    for none in ("", "0", "false", "False"):
        monkeypatch.setenv("CI", none)
        assert cluster.problems() == []
    monkeypatch.setenv("CI", "true")
    (found,) = cluster.problems()
    assert found.startswith(LOST.format("CI"))
    assert found.endswith(", or set ovn_tls_folder to a folder that is kept, or set ovn_tls to false")
    cluster.everywhere(ovn_tls_folder=str(tmp_path / "kept"))
    assert cluster.problems() == []
    for host in (MASTER, "ovn-node1", "ovn-node2"):
        cluster.without(host, "ovn_tls_folder").on(host, **variables())
    assert cluster.problems() == []


@pytest.mark.parametrize("given", ["awx_job_id", "CI"])
def test_where_no_authority_is_made(cluster, monkeypatch, given):
    """Protects recovery, and verify every night, in jobs that have no CAs: neither makes one. What is wrong with a CA
    that is there is said."""
    if given == "CI":
        monkeypatch.setenv("CI", "true")
    else:
        cluster.hostvars = Started(cluster.hostvars, **{given: 7})
    (found,) = cluster.problems()
    assert "is gone afterwards" in found
    assert cluster.problems(make_authorities=False) == []
    cluster.everywhere(**variables(ovn_tls_central_ca_key=OTHER.key))
    (found,) = cluster.problems(make_authorities=False)
    assert "ovn_tls_central_ca_key does not fit ovn_tls_central_ca_certificate" in found


PLAYBOOKS = pathlib.Path(__file__).resolve().parents[3] / "playbooks"


def test_which_playbooks_make_no_authority():
    """Protects recovery and verify from a validation for those who make CAs, and nobody else's from one that leaves it
    out: also the site run that follows a recovery."""
    found = {}
    for path in PLAYBOOKS.glob("*.yml"):
        for play in yaml.safe_load(path.read_text()):
            if play.get("ansible.builtin.import_playbook") == "validate.yml":
                found[path.stem] = (play.get("vars") or {}).get("validate_make_authorities", True)
    assert found == {"site": True, "authority": True, "remove": True, "verify": False, "recover": False}


def test_files_that_the_environment_names(said, cluster, tmp_path, monkeypatch):
    """Protects credentials of AWX, which come as files."""
    for role, one in (("central", CENTRAL), ("chassis", CHASSIS)):
        for part, text in (("certificate", one.certificate), ("key", one.key)):
            path = tmp_path / f"{role}.{part}"
            path.write_text(text)
            path.chmod(0o600)  # as AWX does
            monkeypatch.setenv(f"OVN_TLS_{role.upper()}_CA_{part.upper()}_FILE", str(path))
    assert said() == []
    (tmp_path / "central.key").write_text(OTHER.key)
    (found,) = said()
    assert "ovn_tls_central_ca_key does not fit ovn_tls_central_ca_certificate" in found
    (tmp_path / "central.key").chmod(0o644)
    (found,) = said()
    assert "ovn_tls_central_ca_key names a file with mode 0644" in found
