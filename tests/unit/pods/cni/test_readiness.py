# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""When the runtime is told that a node can't serve pods, and how often its configuration is written."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from types import SimpleNamespace

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.tasks import end
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.cni import configuration, conflist, readiness
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.cni.own_rows import NodeFacts

GRACE = 0.05  # seconds


@pytest.fixture
def grace(monkeypatch):
    """Seconds become hundredths."""
    monkeypatch.setattr(readiness, "GRACE", GRACE)
    monkeypatch.setattr(readiness, "STEADY", GRACE / 5)
    monkeypatch.setattr(readiness, "STARTUP", 0.01)


class Kept:
    """A readiness that keeps the configuration in a folder."""

    def __init__(self, folder):
        self.path = folder / "cni" / "10.conflist"
        self.path.parent.mkdir(exist_ok=True)
        self.need = self.delay = None
        own = SimpleNamespace(problem=lambda: None, flows_problem=lambda: None, facts=lambda: NodeFacts(1400, False))
        synced = asyncio.Event()
        synced.set()
        self.told = []
        self.readiness = readiness.Readiness(
            SimpleNamespace(own=own), synced, [lambda: self.need], [lambda: self.delay], self.told.append
        )
        self._keeping = asyncio.ensure_future(self.readiness.keep_configuration(str(self.path), str(folder / "run")))
        self.readiness.update()

    def set(self, need=None, delay=None):
        """Something changed."""
        self.need, self.delay = need, delay
        self.readiness.update()

    async def until(self, exists):
        """Wait for the file to come or go."""
        while self.path.exists() != exists:
            done, _pending = await asyncio.wait([self._keeping], timeout=0.01)
            assert not done, self._keeping

    async def until_told(self, problem):
        """Wait until others are told this."""
        while self.readiness.told() != problem or self.told[-1:] != [problem]:
            done, _pending = await asyncio.wait([self._keeping], timeout=0.01)
            assert not done, self._keeping

    async def pass_time(self, seconds):
        """Let it work."""
        await asyncio.wait([self._keeping], timeout=seconds)

    async def close(self):
        """End it."""
        await end([self._keeping])


def run(folder, scenario):
    """Run a scenario with a configuration that exists."""

    async def work():
        kept = Kept(folder)
        try:
            await asyncio.wait_for(kept.until(exists=True), 5)
            await asyncio.wait_for(scenario(kept), 10)
        finally:
            await kept.close()

    asyncio.run(work())


def test_a_node_that_is_cut_off_stays_in_its_services(grace, tmp_path):
    """Protects every Service of a cluster whose databases are away for a while: all nodes are cut off at once, what is
    set up goes on, and with a failing STATUS all pods would leave their Services. The configuration stays in any case.
    """

    async def scenario(kept):
        await kept.until_told(None)
        kept.set(delay="cut off")
        await kept.pass_time(4 * GRACE)
        assert kept.readiness.told() is None and kept.readiness.report() == "cut off"
        kept.set(need="dead", delay="cut off")
        await kept.until_told("dead")
        kept.path.unlink()
        await kept.until(exists=True)
        kept.set(delay="cut off")
        await kept.pass_time(GRACE)
        assert kept.readiness.told() == "cut off", "a node that can't take pods does not become ready"
        kept.set()
        await kept.until_told(None)
        assert kept.path.exists()

    run(tmp_path, scenario)


def test_a_problem_that_comes_and_goes_lasts():
    """Protects against a daemon in a crash loop, which was healthy for a moment in each grace."""
    patience = readiness.Patience()
    second = readiness.STEADY / 2
    times = itertools.count(0, second)
    while not patience.is_at_end:
        now = next(times)
        assert now <= readiness.GRACE + second
        patience.take(now % (2 * second) == 0, now)
    assert now >= readiness.GRACE
    healthy = now + second
    assert patience.take(False, healthy) == readiness.STEADY and patience.is_at_end
    assert patience.take(False, healthy + readiness.STEADY) is None and not patience.is_at_end
    assert patience.take(True, healthy + readiness.STEADY) == readiness.GRACE


def test_plugins_of_others_stay(grace, tmp_path, caplog):
    """Protects a service mesh, whose plugin was gone after each change of the node, and after each boot until it came
    again; and users, who are told when another file comes first.
    """
    folder = tmp_path / "cni"
    folder.mkdir()
    meshed = json.loads(conflist.configuration(1300))
    meshed["plugins"].append({"type": "istio-cni"})
    (folder / "10.conflist").write_text(json.dumps(meshed))

    async def scenario(kept):
        (folder / "05-flannel.conf").write_text('{"type": "flannel"}')
        kept.path.unlink()
        while "05-flannel.conf has flannel" not in caplog.text or not kept.path.exists():
            await kept.pass_time(0.01)
        plugins = json.loads(kept.path.read_text())["plugins"]
        assert plugins == [{"type": "ovn-k8s-cni-overlay", "mtu": 1400}, {"type": "istio-cni"}]
        kept.readiness.update()
        await kept.pass_time(GRACE)
        assert caplog.text.count("05-flannel.conf") == 1

    run(tmp_path, scenario)


def test_another_program_that_removes_the_configuration(grace, tmp_path, monkeypatch):
    """Protects the host from two programs that work against each other as fast as they can, and says so."""
    writes = []
    apply_steps = configuration.apply_steps
    monkeypatch.setattr(configuration, "apply_steps", lambda steps: (writes.append(1), apply_steps(steps)))

    async def scenario(kept):
        while not kept.readiness.report():
            with contextlib.suppress(FileNotFoundError):
                kept.path.unlink()
            await kept.pass_time(0.01)
        assert "another program again and again" in kept.readiness.report()
        assert len(writes) <= configuration.OFTEN + 1

    run(tmp_path, scenario)


def test_a_configuration_that_can_not_be_written(grace, tmp_path, monkeypatch):
    """Protects a host whose disk is full: each attempt changes the folder, which was the sign for the next one."""
    attempts = []

    def fail(_steps):
        attempts.append(1)
        (tmp_path / "cni" / "part").touch()
        raise configuration.HostError("disk full")

    async def scenario(kept):
        monkeypatch.setattr(configuration, "apply_steps", fail)
        kept.path.unlink()
        await kept.pass_time(1)
        assert 1 <= len(attempts) <= configuration.OFTEN and kept.readiness.report() == "disk full"

    run(tmp_path, scenario)
