# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects a host on which two runs work at the same moment: one comes after the other, or says who the other one
is."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.exclusive import exclusive


@pytest.fixture(autouse=True)
def lock(tmp_path, monkeypatch):
    """The lock of a host of the test's own."""
    monkeypatch.setattr(names, "HOST_LOCK", str(tmp_path / "lock"))


def test_the_second_waits_for_the_first():
    """Protects both runs: both end right."""
    done = []

    def second():
        with exclusive():
            done.append("second")

    with exclusive():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive() and done == []
        done.append("first")
    thread.join(30)
    assert done == ["first", "second"]


def test_the_second_says_who_holds_it(monkeypatch):
    """Protects who waits in vain: the process, and where it came from."""
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.9 50000 192.0.2.1 22")
    with exclusive(), pytest.raises(HostError) as refused, exclusive(patience=0):
        pass
    text = str(refused.value)
    assert text.startswith(f"another run changes this host (PID {os.getpid()}, over SSH from 192.0.2.9, since ")
    assert text.endswith(" UTC): wait for its end, and run it again")


def test_a_run_that_was_killed_holds_nothing():
    """Protects the run after one that was cancelled."""
    ready, tell = os.pipe()
    child = os.fork()
    if not child:
        with exclusive():
            os.write(tell, b".")
            signal.pause()
    os.read(ready, 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with exclusive(patience=0):
        pass
    for end in (ready, tell):
        os.close(end)
