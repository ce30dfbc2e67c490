# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects files that the controller brings: each is written once, and what others have in it stays."""

from __future__ import annotations

import hashlib
import os
import stat

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._host import files
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.apply import apply_steps, undo_steps
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.files import BroughtFile, with_block


@pytest.fixture(autouse=True)
def strict_umask():
    """Protects hosts whose administrators have a strict umask: others still read what they must."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def converge(*brought):
    """Write the files; the lines of the plan. A second plan is empty."""
    steps = files.plan(brought)
    apply_steps(steps)
    assert files.plan(brought) == []
    return [step.describe() for step in steps]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_that_is_missing_is_made(tmp_path):
    """Protects a play that runs before the kubelets, whose packages make /opt/cni/bin."""
    plugin, loopback, source = tmp_path / "cni/bin/plugin", tmp_path / "cni/bin/loopback", tmp_path / "source"
    source.write_bytes(b"\x7fELF\x00\xff")
    said = converge(
        BroughtFile(str(plugin), content="text", mode=0o755), BroughtFile(str(loopback), source=str(source), mode=0o755)
    )
    assert said == [f"file {plugin}: add", f"file {loopback}: add"]
    assert {mode(path) for path in (plugin, loopback, plugin.parent, plugin.parent.parent)} == {0o755}
    assert loopback.read_bytes() == source.read_bytes()


def test_a_copy_that_is_there_stays(tmp_path):
    """Protects the loopback plugin that a distribution of Kubernetes has brought, and fresh hosts: a source that comes
    with a package is no error."""
    there, source = tmp_path / "loopback", tmp_path / "source"
    there.write_text("of others")
    source.write_text("ours")
    assert converge(BroughtFile(str(there), source=str(source), mode=0o755)) == []
    assert converge(BroughtFile(str(tmp_path / "new"), source=str(tmp_path / "no such file"))) == []


def test_the_content_of_a_program_is_in_no_diff(tmp_path):
    """Protects the reader of --diff from a binary file."""
    source = tmp_path / "source"
    source.write_bytes(b"\x7fELF\x00\xff")
    (step,) = files.plan([BroughtFile(str(tmp_path / "copy"), source=str(source))])
    assert step.after() == [f"file {tmp_path / 'copy'} mode 0644"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "{}"),
        ("A=1", "A=1\n{}"),
        ("A=1\n# BEGIN ovn.kubernetes\nOLD=1\n# END ovn.kubernetes\nB=2\n", "A=1\n{}B=2\n"),
        ("# BEGIN ovn.kubernetes\nhalf", "# BEGIN ovn.kubernetes\nhalf\n{}"),
    ],
)
def test_a_block_in_a_file_of_others(before, after):
    """Protects the options that an administrator has set for OVN central. Removal finds the block: its markers are
    those of blockinfile."""
    block = "# BEGIN ovn.kubernetes\nNEW=1\n# END ovn.kubernetes\n"
    text = with_block(before, "NEW=1\n")
    assert text == after.format(block)
    assert before.startswith("# BEGIN ovn.kubernetes\nhalf") or with_block(text, "NEW=1") == text


def test_mode_and_owner_alone(tmp_path):
    """Protects secrets, and programs that read: both are mended, a file that is missing is not made, and the way back
    is known."""
    secret = tmp_path / "token"
    secret.write_text("old")
    secret.chmod(0o644)
    os.chown(secret, 1000, -1)
    steps = files.plan([BroughtFile(str(secret), mode=0o600), BroughtFile(str(tmp_path / "none"), mode=0o600)])
    assert [step.describe() for step in steps] == [f"{secret}: mode 0644, owner 1000 -> mode 0600, owner 0"]
    apply_steps(steps)
    assert (mode(secret), secret.stat().st_uid, secret.read_text()) == (0o600, 0, "old")
    undo_steps(steps)
    assert (mode(secret), secret.stat().st_uid) == (0o644, 1000)


def test_a_secret_is_written_once_and_never_shown(tmp_path):
    """Protects tokens: none is in a plan or a diff, and one that is the same is not written again."""
    file = tmp_path / "token"
    file.write_text("first\n")
    (step,) = files.secret(str(file), "second\n")
    shown = [step.describe(), str(step.as_dict()), *step.before(), *step.after(), repr(step)]
    assert not [text for text in shown if "first" in text or "second" in text]
    apply_steps([step])
    assert (file.read_text(), mode(file)) == ("second\n", 0o600)
    assert files.secret(str(file), "second\n") == []


def test_what_only_the_controller_has(tmp_path):
    """Protects the controller from packing and sending an archive that the host has, and hosts from an old one."""
    archive = tmp_path / "archive"
    brought = BroughtFile(str(archive), sha256=hashlib.sha256(b"new").hexdigest(), mode=0o755)
    assert files.missing([brought]) == [str(archive)] and files.plan([brought]) == []
    archive.write_bytes(b"old")
    assert files.missing([brought]) == [str(archive)]
    archive.write_bytes(b"new")
    assert files.missing([brought]) == []
    archive.chmod(0o600)
    assert converge(brought) == [f"{archive}: mode 0600, owner 0 -> mode 0755, owner 0"]


def test_a_file_that_is_to_go(tmp_path):
    """Protects masters that are alone again: a file that names members which are gone must not stay."""
    path = tmp_path / "central.json"
    absent = BroughtFile(str(path), absent=True)
    assert converge(absent) == []
    path.write_text("{}")
    assert converge(absent) == [f"file {path}: remove"]
    assert not path.exists()
