# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects services on hosts: they run as their files are now, whatever an earlier run has left unfinished.

A stand-in takes the place of systemctl: it keeps the state of one unit as systemd would.
"""

from __future__ import annotations

import os
import time

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._host import units
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.units import Status, Unit

NAME = "ovn-k8s-egress.service"
RUNNING = Status(loaded=True, running=True, enabled=True)


class Systemctl:
    """A systemd with one unit."""

    def __init__(self, directory):
        self.path = directory / NAME
        self.loaded_content = None  # of the unit's file when systemd read it last
        self.active = self.enabled = False
        self.started_at = 0.0
        self.calls = []
        self.fails = ""  # the verb that fails

    def __call__(self, command):
        verb = command[1]
        if verb == "show":
            return 0, self._show(), ""
        self.calls.append(verb)
        if verb == self.fails:
            return 1, "", f"Job for {NAME} failed.\nSee journalctl.\n"
        if verb == "daemon-reload":
            self.loaded_content = self._content()
        elif verb in ("start", "restart"):
            self.active, self.started_at = True, time.monotonic()
        elif verb == "stop":
            self.active = False
        else:
            self.enabled = verb == "enable"
        return 0, "", ""

    def _content(self):
        return self.path.read_text() if self.path.exists() else None

    def _show(self):
        known = self.loaded_content is not None
        properties = {
            "LoadState": "loaded" if known else "not-found",
            "ActiveState": "active" if self.active else "inactive",
            "UnitFileState": "enabled" if self.enabled else "disabled" if known else "",
            "NeedDaemonReload": "yes" if known and self._content() != self.loaded_content else "no",
            "ExecMainStartTimestampMonotonic": int(self.started_at * 1e6),
            "ActiveEnterTimestampMonotonic": int(self.started_at * 1e6),
        }
        return "".join(f"{name}={value}\n" for name, value in properties.items())


@pytest.fixture
def systemctl(tmp_path, monkeypatch):
    monkeypatch.setattr(units, "DIRECTORY", str(tmp_path))
    return Systemctl(tmp_path)


@pytest.fixture
def archive(tmp_path):
    """The file that the program is started from, written a while ago."""
    path = tmp_path / "ovn_kubernetes.pyz"
    path.write_text("1")
    age(path, 100)
    return path


def age(path, seconds):
    """Set the file's time to so many seconds ago."""
    at = time.time() - seconds
    os.utime(path, (at, at))


def converge(systemctl, unit):
    """Converge, and return what systemctl was called for."""
    systemctl.calls.clear()
    units.apply(systemctl, units.plan(unit, units.read(systemctl, unit)))
    return list(systemctl.calls)


def test_a_first_run_installs_and_starts_it_and_a_second_changes_nothing(systemctl, archive):
    """Protects a first run, and idempotence."""
    unit = Unit(NAME, content="[Unit]\n", started_from=(str(archive),))
    assert converge(systemctl, unit) == ["daemon-reload", "enable", "start"]
    assert systemctl.path.read_text() == "[Unit]\n"
    assert units.plan(unit, units.read(systemctl, unit)) == []


@pytest.mark.parametrize("stops_at", ["before the unit", "after the unit", "daemon-reload", "restart"])
def test_a_run_that_failed_on_its_way_is_completed_by_the_next(systemctl, archive, stops_at):
    """Protects hosts whose run failed between copying a file and restarting the program: the next run restarts it, and
    only once."""
    old = Unit(NAME, content="[Unit]\n", started_from=(str(archive),))
    converge(systemctl, old)
    systemctl.started_at -= 50
    age(systemctl.path, 60)
    new = Unit(NAME, content="[Unit]\nDescription=new\n", started_from=(str(archive),))
    if stops_at == "after the unit":
        systemctl.path.write_text(new.content)
    elif stops_at != "before the unit":
        systemctl.fails = stops_at
        with pytest.raises(HostError, match=f"{NAME}: .* failed: Job for {NAME} failed. See journalctl."):
            converge(systemctl, new)
        systemctl.fails = ""
    assert converge(systemctl, new)[-1] == "restart"
    assert systemctl.loaded_content == new.content
    assert converge(systemctl, new) == []


def test_the_restart_says_what_is_newer(systemctl, archive):
    """Protects the reader of a plan: the file that caused the restart is named."""
    unit = Unit(NAME, content="[Unit]\n", started_from=(str(archive), "/no/such/file"))
    converge(systemctl, unit)
    systemctl.started_at -= 50
    age(systemctl.path, 60)
    age(archive, 10)
    *_reload, restart = units.plan(unit, units.read(systemctl, unit))
    assert restart.text == f"{NAME}: restart, since it was started before {archive} changed"


def test_a_file_from_the_future_restarts_nothing(systemctl, archive):
    """Protects hosts whose clock was set back: they would restart their programs at each run."""
    unit = Unit(NAME, content="[Unit]\n", started_from=(str(archive),))
    converge(systemctl, unit)
    age(archive, -3600)
    assert converge(systemctl, unit) == []


def test_a_unit_without_files_is_never_restarted(systemctl):
    """Protects Open vSwitch and the host's own unit: a restart of those interrupts traffic."""
    converge(systemctl, Unit(NAME, content="[Unit]\n"))
    assert converge(systemctl, Unit(NAME, content="[Unit]\nDescription=new\n")) == ["daemon-reload"]


def test_a_service_that_stopped_or_is_not_enabled_comes_back():
    """Protects the next boot, and a service that somebody stopped."""
    assert [step.text for step in units.plan(Unit("a"), Status(loaded=True, running=False, enabled=False))] == [
        "a: enable",
        "a: start",
    ]


def test_a_stopped_service_is_started_with_new_drop_ins_of_other_units(tmp_path, monkeypatch):
    """systemd may have read the other unit before its drop-in was written, and would start it without."""
    monkeypatch.setattr(units, "DIRECTORY", str(tmp_path))
    stopped = Status(loaded=True, running=False, enabled=True)
    drop_in = f"{tmp_path}/ovn-northd.service.d/ovn-kubernetes.conf"
    unit = Unit("ovn-central.service", started_from=("/etc/default/ovn-central", drop_in))
    assert [step.command[1] for step in units.plan(unit, stopped)] == ["daemon-reload", "start"]


def test_removal_leaves_nothing_and_a_second_finds_nothing(systemctl, archive):
    """Protects removal, also one that failed after the file was removed."""
    converge(systemctl, Unit(NAME, content="[Unit]\n", started_from=(str(archive),)))
    absent = Unit(NAME, state=units.ABSENT, optional=True)
    systemctl.fails = "daemon-reload"
    with pytest.raises(HostError):
        converge(systemctl, absent)
    assert not systemctl.path.exists() and not systemctl.active and not systemctl.enabled
    systemctl.fails = ""
    assert converge(systemctl, absent) == ["daemon-reload"]
    assert converge(systemctl, absent) == []


def test_stopping_keeps_the_unit():
    """Protects the steps between a program's end and its unit's removal: a run that fails there begins again at the
    program."""
    assert [step.text for step in units.plan(Unit("a", state=units.STOPPED), RUNNING)] == ["a: stop", "a: disable"]


@pytest.mark.parametrize("state", units.STATES)
def test_an_optional_unit_that_does_not_exist_is_no_error(state):
    """Protects removals on hosts on which nothing was ever installed."""
    nothing = Status(loaded=False, running=False, enabled=False)
    assert units.plan(Unit("a", state=state, optional=True), nothing) == []


def test_a_host_without_systemd_says_so():
    """Protects the user from a result that looks like success."""
    with pytest.raises(HostError, match="systemd does not answer on this host: System has not been booted"):
        units.read(lambda command: (1, "", "System has not been booted with systemd\n"), Unit("a"))


def test_the_words_of_systemctl_are_one_line():
    with pytest.raises(HostError, match=r"not been booted with systemd\. Host is down: run systemd"):
        units.read(lambda _command: (1, "", "not been booted with systemd.\nHost is down\n"), Unit(NAME))


def test_a_daemon_of_another_unit_is_not_enabled(systemctl):
    """Protects databases that run: systemd forgot them when their unit was enabled, and the next run began again."""
    systemctl.path.write_text("of a package")
    systemctl.loaded_content = "of a package"
    assert converge(systemctl, Unit(NAME, enabled=False)) == ["start"]
    assert converge(systemctl, Unit(NAME, enabled=False)) == [] and not systemctl.enabled
