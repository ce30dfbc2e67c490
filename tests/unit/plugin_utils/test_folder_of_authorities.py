# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the folder of the CAs: what is lost there, what others can change, and who can't read or write it, is said
in one sentence, before any host is changed."""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile

import pytest
from given_authorities import BELOW, CENTRAL, FILES, OTHER

from ansible_collections.ovn.kubernetes.plugins.plugin_utils._authorities import FOLDER_NAME
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._certificate_plan import plan
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._inventory import Inventory

MASTER = "ovn-master"

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
    "a key without its certificate": (
        {name: text for name, text in FILES.items() if name != "chassis-ca.crt"},
        'chassis-ca.crt": put that certificate there; where it is lost for good, move the key away, and run '
        "ovn.kubernetes.site with -e ovn_tls_rotate=chassis_ca, which makes another CA",
    ),
}


@pytest.mark.parametrize("what", FOLDERS)
def test_what_is_wrong_in_the_folder(said, tmp_path, what):
    """Protects a folder that somebody has changed."""
    files, words = FOLDERS[what]
    (found,) = said(files)
    assert f'ovn_tls_folder "{tmp_path}/ca"' in found and words in found


def test_a_folder_of_a_run_that_was_interrupted(said):
    """Protects who has interrupted the very first run while it made the CAs: the next one makes them."""
    assert (
        said({"central-ca.key": CENTRAL.key, "central-ca.key.new": CENTRAL.key, "chassis-ca.key.new": OTHER.key}) == []
    )


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


@pytest.fixture
def replaced(cluster, of_nobody):
    """problems() of a run of nobody in a folder with two central CAs, of which no host needs the older one."""
    _what_is_wrong, folder = of_nobody
    for name, text in {**FILES, "central-ca.crt": CENTRAL.certificate + OTHER.certificate}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
        if os.getuid() == 0:
            os.chown(folder / name, 65534, 65534)
    cluster.with_facts().everywhere(ovn_tls=True, ovn_tls_folder=str(folder))
    cluster.own(MASTER, certificates={"now": 1}, central_databases={})
    for host in ("ovn-node1", "ovn-node2"):
        cluster.own(host, certificates={"now": 1})

    def problems(**more):
        gathered = [MASTER, "ovn-node1", "ovn-node2"]
        plan(Inventory(cluster.hostvars, cluster.groups, gathered))  # loads what nobody may not read
        with nobody():
            return plan(Inventory(cluster.hostvars, cluster.groups, gathered), **more)

    return problems, folder


def test_a_folder_that_older_authorities_can_not_leave(replaced):
    """Protects the end of a rotation by another user, or on a disk that is mounted read-only: it is said what is to be
    done where, before any host is changed."""
    plan_of_nobody, folder = replaced
    folder.chmod(0o555)
    (found,) = plan_of_nobody()["problems"]
    assert found == (
        f'ovn_tls_folder "{folder}" can\'t be written by the user of this run, and the older central CA is to leave '
        f"it, since no host needs it any more ({folder}/central-ca.crt has it, and the key beside it that ends in "
        ".old): run it as the owner of that folder, or make it writable"
    )
    folder.chmod(0o777)
    assert "mode 0777" in plan_of_nobody()["problems"][0]
    if os.getuid() == 0:
        os.chown(folder, 65534, 65534)
    folder.chmod(0o700)
    found = plan_of_nobody()
    assert found["problems"] == [] and [one["path"] for one in found["leaving"]] == [f"{folder}/central-ca.crt"]


def test_the_playbook_that_makes_authorities(cluster, said):
    """Protects who gives ovn.kubernetes.authority a rotation, which it does not do, or a folder with certificates
    without their keys, which nobody could put into a vault."""

    def problems():
        return plan(Inventory(cluster.hostvars, cluster.groups), only_authorities=True)["problems"]

    said(FILES)
    assert problems() == []
    for given in ("keys", "central_ca,chassis_ca"):
        cluster.everywhere(ovn_tls_rotate=given)
        (found,) = problems()
        assert "leave it out, or give it to ovn.kubernetes.site, which replaces keys and CAs" in found
    for host in cluster.hostvars:
        cluster.hostvars[host].pop("ovn_tls_rotate", None)
    folder = pathlib.Path(cluster.hostvars[MASTER]["ovn_tls_folder"])
    (folder / "chassis-ca.key").unlink()
    (found,) = problems()
    assert found.startswith(f"{folder} has chassis-ca.crt and not its key, chassis-ca.key: put the key there")


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
