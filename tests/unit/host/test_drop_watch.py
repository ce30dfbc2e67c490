# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects that the program which keeps ingress drops runs on each host that has some, and on no other."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names, systemd
from ansible_collections.ovn.kubernetes.plugins.module_utils._host import drop_watch
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.drop_watch import DropWatch
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.liberal_conntrack import LiberalConntrack
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import gateway_host, node, node_host

NODE = node.Node("node1", ("192.168.2.0/24",), ("192.168.0.0/16",))


@pytest.fixture
def started(monkeypatch, tmp_path):
    """A host with systemd and with the programs; what systemd has started there."""
    units = []
    monkeypatch.setattr(names, "ARCHIVE", str(tmp_path / "archive"))
    (tmp_path / "archive").touch()
    monkeypatch.setattr(drop_watch, "is_booted", lambda: True)
    monkeypatch.setattr(drop_watch, "is_loaded", units.__contains__)

    def keep_running(unit, _description, _command, confined):
        assert confined
        units.append(unit)
        return units.count(unit) == 1

    monkeypatch.setattr(drop_watch, "keep_running", keep_running)
    return units


def steps():
    watch = DropWatch()
    return watch.plan(watch.read())


def test_it_is_started_once(started):
    """Protects: a second run changes nothing; one that somebody has ended is started again."""
    (step,) = steps()
    assert step.describe() == "watch over the nftables ingress drops, ovn-k8s-drops.service: add"
    assert step.undo() is None and step.apply(None) and started == ["ovn-k8s-drops.service"]
    assert steps() == [] and not step.apply(None)
    started.clear()
    assert len(steps()) == 1


def test_systemd_never_gives_it_up(monkeypatch):
    """Protects the drops of a host that had no memory for a moment: systemd counts the starts of other units."""
    given = {}
    monkeypatch.setattr(systemd, "is_loaded", lambda _unit: False)
    monkeypatch.setattr(systemd, "_start", lambda _unit, _mode, properties: given.update(properties))
    systemd.keep_running("ovn-k8s-drops.service", "drops", ["/bin/true"])
    assert given["StartLimitIntervalUSec"] == ("t", 0)


def test_its_log_has_its_name(monkeypatch):
    """Protects whoever looks for its lines in the journal, where they had the name of the interpreter."""
    given = {}
    monkeypatch.setattr(systemd, "is_loaded", lambda _unit: False)
    monkeypatch.setattr(systemd, "call", lambda *arguments: given.update(arguments[-1][2]))
    systemd.keep_running("ovn-k8s-drops.service", "drops", ["/bin/true"])
    assert given["SyslogIdentifier"] == ("s", "ovn-k8s-drops")


def test_a_host_that_can_not_have_it(started, monkeypatch):
    """Protects hosts that modules alone converge, without programs, and containers without systemd."""
    monkeypatch.setattr(names, "ARCHIVE", "/nowhere")
    assert steps() == []


@pytest.mark.parametrize("datapath", ["system", "netdev"])
def test_hosts_with_drops_have_it(datapath):
    """Protects nodes and gateways with a NIC of their own, without Kubernetes too."""
    of_node = node_host.state(node_host.NodeHost(NODE, "tcp:10.0.0.1:6642", "geneve", "10.0.0.2", 1400, datapath))
    of_gateway = gateway_host.state(gateway_host.GatewayHost("eth1", "52:54:00:00:00:01", datapath))
    wanted = (DropWatch(), LiberalConntrack()) if datapath == "netdev" else ()
    assert of_node.companions == of_gateway.companions == wanted


def test_it_is_started_for_drops_that_nobody_else_has_asked_for(started, monkeypatch):
    """Protects NICs that were moved by request alone, also after a boot; other hosts get no program."""
    for nics, wanted in ((None, []), (frozenset(), []), (frozenset({"eth0"}), ["ovn-k8s-drops.service"])):
        monkeypatch.setattr(drop_watch, "kept_nics", lambda nics=nics: nics)
        assert drop_watch.start_watch_of_drops() == bool(wanted) and started == wanted
