# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects folders that other programs read: no part of a file stays in them whose writer died while writing."""

from __future__ import annotations

import errno
import os
import signal
import stat

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.files import (
    FileContent,
    read_file,
    remove_file,
    write_file,
)

FILE = FileContent("text\n", 0o644)


def test_folders_are_readable_whatever_the_umask(tmp_path):
    """Protects hosts with ``umask 077``: container runtimes and other users read the files there."""
    path = tmp_path / "opt" / "cni" / "bin" / "plugin"
    before = os.umask(0o077)
    try:
        write_file(str(path), FileContent("text", 0o755))
        os.makedirs(tmp_path / "private")
        write_file(str(tmp_path / "private" / "file"), FILE)
    finally:
        os.umask(before)
    modes = {folder.name: stat.S_IMODE(folder.stat().st_mode) for folder in (path, *path.parents[:3])}
    assert modes == {"plugin": 0o755, "bin": 0o755, "cni": 0o755, "opt": 0o755}
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o700  # not ours


def die_while_writing(path, monkeypatch):
    child = os.fork()
    if not child:
        monkeypatch.setattr(os, "rename", lambda *_arguments: os.kill(os.getpid(), signal.SIGKILL))
        write_file(path, FILE)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("act", [lambda path: write_file(path, FILE), remove_file])
def test_what_a_killed_writer_left_goes(tmp_path, monkeypatch, act):
    """Protects: the next writer or remover of the file deletes what a dead writer left.

    A file that is being written, or that has a similar name, stays.
    """
    path = tmp_path / "eth0.json"
    die_while_writing(str(path), monkeypatch)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".eth0.json.")
    others = {f".eth0.json.{os.getpid()}.abc", ".eth0.json", f".eth0.{left.name.split('.')[3]}.abc", ".eth0.json.txt"}
    for other in others:
        (tmp_path / other).touch()
    act(str(path))
    assert {one.name for one in tmp_path.iterdir()} - {path.name} == others
    assert (read_file(str(path)) == FILE) is (act is not remove_file)


@pytest.mark.parametrize("is_ours", [True, False])
def test_what_another_process_writes_now_stays(tmp_path, monkeypatch, is_ours):
    """Protects a module that writes a token while the watcher does, which sees no other process below /proc
    (ProtectProc=invisible), and may not signal those of other users."""
    exists = os.path.exists
    monkeypatch.setattr(os.path, "exists", lambda path: not str(path).startswith("/proc/") and exists(path))
    if not is_ours:
        refused = PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        monkeypatch.setattr(os, "kill", lambda *_arguments: (_ for _ in ()).throw(refused))
    written = tmp_path / f".token.{os.getpid()}.abcdefgh"
    written.touch()
    write_file(str(tmp_path / "token"), FILE)
    assert written.exists()
