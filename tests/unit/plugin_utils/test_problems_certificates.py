# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects whoever gives CAs: what can't work, or would let a chassis be a master, is said in one sentence, before any
host is changed, and no secret is in it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile
import types

import authorities
import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ansible_collections.ovn.kubernetes.plugins.plugin_utils._authorities import FOLDER_NAME
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._certificate_plan import plan
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._inventory import Inventory

MASTER = "ovn-master"
CENTRAL, CHASSIS, OTHER = (authorities.authority(name) for name in ("central", "chassis", "other"))
EXPIRED = authorities.authority("expired", begin=-9, end=-1)
BELOW, SAME = (authorities.authority(name, by=CENTRAL) for name in ("below", "central"))
KU = authorities.authority("ku", may_sign=False)
SHORT, LONG = (authorities.authority(f"{bits}", key=rsa.generate_private_key(65537, bits)) for bits in (1024, 2048))
LOCKED = (
    serialization.load_pem_private_key(CENTRAL.key.encode(), None)
    .private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"a word")
    )
    .decode()
)
LEAF = authorities.issue(CENTRAL, "leaf")


@pytest.fixture
def said(cluster, tmp_path):
    """What is wrong with an inventory with TLS, variables, and files of the folder: path -> text."""

    def find(files=(), **variables):
        folder = tmp_path / "ca"
        folder.mkdir(mode=0o700, exist_ok=True)
        for name, text in dict(files).items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o600)
        cluster.everywhere(**{"ovn_tls": True, "ovn_tls_folder": str(folder), **variables})
        found = [text for text in cluster.problems() if "ovn_tls true isn't supported" not in text]
        assert not any(
            line in text for text in found for pair in (CENTRAL, CHASSIS) for line in pair.key.split("\n")[1:2]
        )
        return found

    return find


def variables(central=CENTRAL, chassis=CHASSIS, **more):
    both = {"central": central, "chassis": chassis}
    given = {f"ovn_tls_{role}_ca_certificate": one.certificate for role, one in both.items()}
    given.update({f"ovn_tls_{role}_ca_key": one.key for role, one in both.items()})
    return {**given, **more}


FILES = {
    "central-ca.crt": CENTRAL.certificate,
    "central-ca.key": CENTRAL.key,
    "chassis-ca.crt": CHASSIS.certificate,
    "chassis-ca.key": CHASSIS.key,
}


def test_what_is_right(said):
    """Protects right inventories: nothing yet, a folder, text, paths, and certificates alone."""
    assert said() == []
    assert said(FILES) == []
    assert said(**variables()) == []
    assert said(**variables(ovn_tls_central_ca_certificate=CENTRAL.certificate.replace("\n", "\r\n"))) == []
    alone = variables(ovn_tls_central_ca_key="", ovn_tls_chassis_ca_key="")
    assert said(**{name: value for name, value in alone.items() if value}) == []
    assert said(**variables(LONG, authorities.authority("without keyUsage", may_sign=None))) == []


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
    "a short key": (
        variables(chassis=SHORT),
        'ovn_tls_chassis_ca_certificate holds "1024", which has an RSA key of 1024 bits: give one of at least 2048, or '
        "P-256 or P-384",
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


FOLDERS = {
    "an intermediate CA": (
        {**FILES, "chassis-ca.crt": BELOW.certificate, "chassis-ca.key": BELOW.key},
        'chassis-ca.crt" holds "below", which "central" has signed',
    ),
    "another's key": (
        {**FILES, "central-ca.key": OTHER.key},
        'central-ca.crt": give the key of that CA',
    ),
    "no key": ({**FILES, "chassis-ca.key": "x"}, "is no private key in PEM"),
    "no certificate": ({**FILES, "chassis-ca.crt": "x"}, "holds no certificate in PEM"),
    "one CA for both": (
        {**FILES, "chassis-ca.crt": CENTRAL.certificate, "chassis-ca.key": CENTRAL.key},
        "has one CA for both roles",
    ),
}


@pytest.mark.parametrize("what", FOLDERS)
def test_what_is_wrong_in_the_folder(said, tmp_path, what):
    """Protects a folder that somebody has changed."""
    files, words = FOLDERS[what]
    (found,) = said(files)
    assert f'ovn_tls_folder "{tmp_path}/ca"' in found and words in found


def test_a_key_that_others_may_read(said, tmp_path):
    """Protects the CA's key, which a checkout of a repository has opened to others."""
    assert said(FILES) == []
    (tmp_path / "ca" / "central-ca.key").chmod(0o644)
    (found,) = said()
    assert "with mode 0644: others than its owner may read it" in found


def test_a_folder_that_others_may_write(said, tmp_path):
    """Protects all hosts from a CA that somebody else has put into the folder, or in the place of a certificate."""
    assert said(FILES) == []
    folder, certificate = tmp_path / "ca", tmp_path / "ca" / "chassis-ca.crt"
    for mode in (0o777, 0o770, 0o702):
        folder.chmod(mode)
        (found,) = said()
        assert f'ovn_tls_folder "{folder}" has mode {mode:04o}: others may put their own CA there' in found
        assert f'chmod 700 "{folder}"' in found
    folder.chmod(0o755)
    assert said() == []
    certificate.chmod(0o664)
    (found,) = said()
    assert f'has "{certificate}" with mode 0664: others may put their own CA there; chmod 644 "{certificate}"' in found


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


@contextlib.contextmanager
def nobody():
    """This process is another user's than root."""
    root = os.getuid() == 0
    if root:
        os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        if root:
            os.setresuid(0, 0, 0)


@pytest.fixture
def of_nobody(cluster):
    """what_is_wrong(folder) of a run by nobody, and a folder that everybody may read."""

    def what_is_wrong(folder, **more):
        cluster.everywhere(ovn_tls=True, ovn_tls_folder=str(folder))
        cluster.problems()  # loads what nobody may not read
        with nobody():
            # Nor may nobody read where the tests' collections are.
            return [text for text in cluster.problems(**more) if "community.crypto" not in text]

    with tempfile.TemporaryDirectory() as name:
        open_to_all = pathlib.Path(name)
        open_to_all.chmod(0o755)
        yield what_is_wrong, open_to_all
        for path in open_to_all.iterdir():
            path.chmod(0o700)


def test_a_folder_that_can_not_be_written(said, tmp_path, of_nobody):
    """Protects who gives a folder below one of somebody else's, or below a file: it is said before any host is changed,
    with the variable. CAs that are there already need not be written."""
    (tmp_path / "file").touch()
    (found,) = said(ovn_tls_folder=f"{tmp_path}/file/below/ca")
    words = (
        'ovn_tls_folder "{0}/{1}" is where the CAs are made, and "{0}/{2}" is no folder that the user of this run can'
    )
    assert found.startswith(words.format(tmp_path, "file/below/ca", "file"))
    what_is_wrong, folder = of_nobody
    (folder / "closed").mkdir(mode=0o555)
    (found,) = what_is_wrong(folder / "closed" / "ca")
    assert found.startswith(words.format(folder, "closed/ca", "closed"))
    for name, text in FILES.items():
        if name.endswith(".crt"):
            (folder / name).write_text(text)
            (folder / name).chmod(0o644)
    folder.chmod(0o555)
    assert what_is_wrong(folder) == []
    folder.chmod(0o755)


@pytest.mark.parametrize("below", ["", "/ca"], ids=["the folder", "one above it"])
def test_a_folder_of_another_user(of_nobody, below):
    """Protects who runs it as another user than the owner of the CAs: they are there, and another folder has none.
    Where none is made it is no matter."""
    what_is_wrong, folder = of_nobody
    (folder / "closed").mkdir()
    (folder / "closed").chmod(0)
    (found,) = what_is_wrong(f"{folder}/closed{below}")
    words = (
        'ovn_tls_folder "{0}/closed{1}" can\'t be read, since "{0}/closed" is closed to the user of this run: run it as'
    )
    assert found.startswith(words.format(folder, below))
    assert what_is_wrong(f"{folder}/closed{below}", make_authorities=False) == []


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


@pytest.fixture
def rotated(cluster, tmp_path, monkeypatch):
    """What stops a run that is to replace the chassis CA of the default folder, in the environment of a job or not; the
    hosts that could be asked are given."""
    folder = tmp_path / FOLDER_NAME
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    cluster.with_facts().everywhere(inventory_dir=str(tmp_path), ovn_tls_rotate="chassis_ca")

    def stops(job, *gathered):
        monkeypatch.setenv("CI", job)
        for host in gathered:
            cluster.own(host, certificates={"now": 1}, central_databases={})
        assert cluster.problems(gathered=gathered) == []
        return plan(Inventory(cluster.hostvars, cluster.groups, gathered))["problems"]

    return stops


def test_a_rotation_that_can_not_be(rotated):
    """Protects who replaces a CA: that it can't be replaced here is said, and not that there is none."""
    assert rotated("", MASTER) == []
    (found,) = rotated("true", MASTER)
    assert found.startswith("the chassis CA can't be replaced by a job of CI, since what it writes is gone afterwards")
    assert found.endswith("replace it where ovn_tls_folder is kept, or set that to a folder which is kept")
    (found,) = rotated("", "ovn-node1")
    assert found.startswith(f"the chassis CA can't be replaced while {MASTER} can't be asked: run the site play when")


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
