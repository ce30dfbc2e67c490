# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the order of what ovn_host does on a host, and that nothing runs before what it needs is there."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible import argument_spec, host
from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.result import Result
from ansible_collections.ovn.kubernetes.plugins.module_utils._host import central_ports, packages, units
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink import nftables_table

SPEC = argument_spec.OVN_HOST["argument_spec"]


class System:
    """A host's systemd, which knows no unit that was not started, and its package manager."""

    def __init__(self, *installed):
        self.installed = installed
        self.calls = []
        self.started = set()

    def __call__(self, command):
        if command[0] == packages.DPKG_QUERY:
            return 1, "".join(f"{name} installed\n" for name in command[4:] if name in self.installed), "no such"
        self.calls.append(" ".join(command[1:]))
        if command[1] == "show":
            return 0, "\n\n".join(self._show(name) for name in command[3:]) + "\n", ""
        if command[1] == "start":
            self.started.add(command[2])
        return 0, "", ""

    def _show(self, name):
        runs = name in self.started
        return (
            f"LoadState=loaded\nActiveState={'active' if runs else 'inactive'}\nSubState=x\nUnitFileState=enabled\n"
            "NeedDaemonReload=no"
        )

    @property
    def verbs(self):
        """What was done, without what was read."""
        return [call for call in self.calls if not call.startswith("show")]


@pytest.fixture
def call(monkeypatch, tmp_path):
    """A function that calls the module's work with options; the facts of its results, and the texts of its plan."""
    monkeypatch.setattr(
        packages.os.path, "exists", lambda path, real=packages.os.path.exists: path == packages.DPKG_QUERY or real(path)
    )
    monkeypatch.setattr(units, "DIRECTORY", str(tmp_path / "units"))

    def call(system, check=False, **options):
        params = {name: option.get("default") for name, option in SPEC.items()}
        for name in ("services", "programs", "files", "token_files"):
            defaults = {key: option.get("default") for key, option in SPEC[name]["options"].items()}
            options[name] = [{**defaults, **one} for one in options.get(name, ())]
        module = SimpleNamespace(params={**params, **options}, check_mode=check)
        facts, plan = {}, []
        for result in host.converge_host(module, system, []):
            facts.update(result.facts)
            plan += [operation.describe() for operation in result.plan]
        return facts, plan

    return call


def test_nothing_differs(call):
    """Protects what an unchanged run costs: systemd is asked once for all services, and once for all programs."""
    system = System("a")
    system.started = {"one.service", "two.service", "three.service"}
    services = [{"name": "one.service"}, {"name": "two.service"}]
    facts, plan = call(system, packages=["a"], services=services, programs=[{"name": "three.service"}])
    assert plan == [] and not facts["waits"] and facts["missing"] == []
    assert facts["found"] == ["one.service", "two.service", "three.service"]
    assert [verb.split()[0] for verb in system.calls] == ["show", "show"]


def test_what_is_missing_is_waited_for(call, tmp_path):
    """Protects fresh hosts: files come before the packages, whose installation starts the databases with them, and
    nothing is started that needs the packages or the archive."""
    system, file, archive = System("a"), tmp_path / "options", tmp_path / "archive"
    files = [{"path": str(file), "content": "text"}, {"path": str(archive), "sha256": "0"}]
    options = {"files": files, "packages": ["a", "b"], "services": [{"name": "one.service"}]}
    facts, plan = call(system, check=True, **options)
    assert facts["missing"] == ["b", str(archive)] and plan == [f"file {file}: add", "one.service: start"]
    assert system.verbs == [] and not file.exists()
    facts, plan = call(system, **options)
    assert facts["missing"] == ["b", str(archive)] and facts["waits"] and plan == [f"file {file}: add"]
    assert system.verbs == [] and file.exists()
    options["files"] = files[:1]
    facts, plan = call(system, **{**options, "packages": []})
    assert not facts["waits"] and plan == ["one.service: start"]


def test_the_ports_of_the_databases_come_before_the_databases(call, monkeypatch, tmp_path):
    """Protects the databases of a fresh master: the installation of their packages starts them, and what they load the
    table from is there by then. On a master that has all of it, the table comes before a service starts."""
    drop_in = str(tmp_path / "{0}.service.d" / "ovn-kubernetes-ports.conf")
    monkeypatch.setattr(names, "CENTRAL_PORTS", str(tmp_path / "central-ports.json"))
    monkeypatch.setattr(names, "CENTRAL_PORTS_DROP_IN", drop_in)
    tables = []
    monkeypatch.setattr(nftables_table, "read_table", lambda family, name: list(tables))
    monkeypatch.setattr(nftables_table, "run", lambda commands: tables.append(commands))
    ports = {"state": "present", "masters": ["10.0.0.1"], "withdrawn": [], "complete": True}
    options = {"packages": ["a"], "central_ports": ports, "services": [{"name": "one.service"}]}
    facts, plan = call(System(), **options)
    units_of = ("ovn-ovsdb-server-nb", "ovn-ovsdb-server-sb", "ovn-northd", "nftables")
    files = [f"file {path}: add" for path in (names.CENTRAL_PORTS, *map(drop_in.format, units_of))]
    assert facts["waits"] and plan == files and not tables
    with monkeypatch.context() as bare:  # in check mode a task before this one has not installed them
        bare.setattr(central_ports, "has_nftables", lambda: False)
        bare.setattr(nftables_table, "read_table", None)
        facts, plan = call(System("a"), check=True, **options)
        assert plan == ["one.service: start"]
    with monkeypatch.context() as upgraded:  # databases of an earlier version run, and would not start without nft
        upgraded.setattr(host, "has_package", lambda: True)
        upgraded.setattr(names, "CENTRAL_PORTS_DROP_IN", str(tmp_path / "{0}" / "upgraded.conf"))
        facts, plan = call(System(), **options)
        assert facts["missing"] == ["a"] and plan == []
        upgraded.setattr(central_ports, "NFT", str(tmp_path / "no-nft"))
        with pytest.raises(HostError, match="no-nft is missing on this host"):
            call(System("a"), **options)
        assert not list(tmp_path.glob("*/upgraded.conf"))
    facts, plan = call(System("a"), **options)
    table = f"nftables table inet {names.CENTRAL_TABLE}: add"
    assert plan == [table, "one.service: start"] and len(tables) == 1 and not facts["waits"]
    facts, plan = call(System(), central_ports={**ports, "state": "absent"})
    assert plan[-2:] == [f"file {names.CENTRAL_PORTS}: remove", f"nftables table inet {names.CENTRAL_TABLE}: remove"]
    assert list(tmp_path.iterdir()) == []


def test_a_program_waits_for_its_token(call, tmp_path):
    """Protects programs from a start without a token, and from one that this host's clock judges right after it was
    issued."""
    system, token = System(), tmp_path / "token"
    options = {"programs": [{"name": "one.service"}], "token_files": [{"account": "a", "path": str(token)}]}
    facts, plan = call(system, **options)
    assert facts["waits"] and facts["tokens"] == {"a": {"problem": "is missing", "uid": ""}} and plan == []
    facts, plan = call(system, tokens={"a": "new"}, **options)
    assert not facts["waits"] and plan == [f"file {token}: add", "one.service: start"]
    assert token.read_text() == "new\n"


def test_a_token_of_the_user_is_not_judged(call, tmp_path):
    """Protects clusters whose tokens the inventory has: any kind will do, and none is asked for."""
    files = [{"account": "a", "path": str(tmp_path / "token"), "issued": False}]
    facts, _plan = call(System(), token_files=files, tokens={"a": "static"}, programs=[])
    assert not facts["waits"] and facts["tokens"] == {}


def test_a_nic_moves_before_what_needs_it(call, monkeypatch):
    """Protects tunnels and gateways: the call ends with the NICs that must be moved, and what comes after is left for
    the call after the move. Check mode shows all."""
    bridge = []

    class Host:
        def __init__(self, remote, check):
            pass

        def plan_uplinks(self, nics, present, user, datapath):
            return SimpleNamespace(items=[] if bridge else nics)

    def part(module, converge, spec, options, notes):
        return Result(facts={"underlay_nic": "eth0", "datapath_type": "netdev", "spare_nics": []})

    monkeypatch.setattr(host, "Host", Host)
    monkeypatch.setattr(host, "_part", part)
    monkeypatch.setattr(host, "moved_nics", lambda user: ["eth9"])
    programs = [{"name": "one.service"}]
    gateway = {"node_name": "n1", "shared_interface": "eth1", "datapath_type": None}
    of_node = {"nics": ["eth0"], "state": "present", "used_by": "node", "datapath_type": "netdev"}
    of_gateway = {"nics": ["eth1"], "state": "present", "used_by": "gateway", "datapath_type": None}
    facts, plan = call(System(), node={"node_name": "n1"}, gateway=gateway, programs=programs)
    assert facts["moves"] == [of_node] and facts["waits"] and plan == []
    facts, plan = call(System(), gateway=gateway, programs=programs)
    assert facts["moves"] == [of_gateway] and facts["waits"] and plan == [] and facts["others"] == ["eth9"]
    facts, plan = call(System(), check=True, node={"node_name": "n1"}, gateway=gateway, programs=programs)
    assert facts["moves"] == [of_node, of_gateway] and plan == ["one.service: start"]
    bridge.append("eth0")
    facts, plan = call(System(), node={"node_name": "n1"}, gateway=gateway, programs=programs)
    assert facts["moves"] == [] and not facts["waits"] and plan == ["one.service: start"]
