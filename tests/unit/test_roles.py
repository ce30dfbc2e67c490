# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what users read about the roles' variables: defaults/main.yml and meta/argument_specs.yml say the same."""

from __future__ import annotations

import pathlib
import re

import jinja2
import pytest
import yaml
from ansible.plugins.test.core import changed, failed

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import (
    APIUnreachable,
    ClientMissing,
    KubernetesError,
)

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"


def differences(defaults, specs):
    """Return what differs between the two files, one sentence each.

    :param defaults: variable -> value.
    :param specs: entry point -> its specification.
    """
    options = {}
    for entry in specs.values():
        options.update(entry.get("options") or {})
    found = [
        f"{name} has a default and is missing in argument_specs.yml" for name in sorted(set(defaults) - set(options))
    ]
    for name, option in sorted(options.items()):
        if not option.get("description"):
            found.append(f"{name} has no description in argument_specs.yml")
        if option.get("required") and (name in defaults or "default" in option):
            found.append(f"{name} is required, so it cannot have a default")
        if "default" in option and name not in defaults:
            found.append(f"{name} has its default in argument_specs.yml only, where Ansible does not read it")
        if name in defaults and not is_template(defaults[name]) and option.get("default") != defaults[name]:
            found.append(
                "{}: defaults/main.yml says {!r}, argument_specs.yml says {!r}".format(
                    name, defaults[name], option.get("default")
                )
            )
    return found


def is_template(value):
    """Return whether the value is computed at run time; documentation then describes it in words."""
    return isinstance(value, str) and "{{" in value


def load(path):
    """Return the content of a YAML file, or an empty mapping when there is none."""
    return (yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None) or {}


@pytest.mark.parametrize("role", ["gateway", "master", "node"])
def test_defaults_and_argument_specs_agree(role):
    """Protects against a variable that is documented and does not exist, exists and is not documented, or has another
    default."""
    specs = load(ROLES / role / "meta" / "argument_specs.yml").get("argument_specs")
    assert specs, f"roles/{role} has no meta/argument_specs.yml"
    assert [name for name, entry in specs.items() if not entry.get("short_description")] == []
    assert differences(load(ROLES / role / "defaults" / "main.yml"), specs) == []


def spec(**option):
    """argument_specs with the one option ovn_mtu."""
    return {"main": {"options": {"ovn_mtu": {"description": "The pods' MTU.", **option}}}}


@pytest.mark.parametrize(
    ("defaults", "specs"),
    [
        ({"ovn_mtu": 1400}, spec(default=1400)),
        ({"ovn_mtu": "{{ ansible_facts['mtu'] }}"}, spec()),
        ({}, spec(required=True)),
        ({}, spec()),
    ],
)
def test_agreement_passes(defaults, specs):
    """Protects against a check that refuses roles in order."""
    assert differences(defaults, specs) == []


@pytest.mark.parametrize(
    ("defaults", "specs"),
    [
        ({"ovn_mtu": 1400}, {"main": {}}),
        ({"ovn_mtu": 1400}, spec(default=1500)),
        ({"ovn_mtu": 1400}, spec()),
        ({"ovn_mtu": 1400}, spec(default=1400, required=True)),
        ({}, spec(default=1400)),
        ({}, {"main": {"options": {"ovn_mtu": {}}}}),
    ],
)
def test_disagreement_is_found(defaults, specs):
    """Protects against a check that lets everything pass."""
    assert differences(defaults, specs) != []


def condition(role, file, task, keyword, **variables):
    """Return whether a condition of a role's task is met."""
    (text,) = (one[keyword] for one in load(ROLES / role / "tasks" / file) if one["name"] == task)
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    environment.tests.update(changed=changed, failed=failed)
    return bool(environment.compile_expression(text, undefined_to_none=False)(**variables))


@pytest.mark.parametrize(
    ("error", "stops"),
    [
        (ClientMissing, False),
        (APIUnreachable, False),
        (KubernetesError, True),
        (None, True),
    ],
)
def test_what_stops_the_removal_of_accounts(error, stops):
    """Protects the removal on masters on which nothing was installed, or whose Kubernetes is gone. A module that ends
    without a code stops it.
    """
    gone = {"failed": True, "changed": False, "msg": "what is wrong"}
    if error:
        gone["error_code"] = error.code
    assert (
        condition(
            "common",
            "access_absent.yml",
            "Delete the accounts of the programs",
            "failed_when",
            common_accounts_absent=gone,
        )
        == stops
    )


@pytest.mark.parametrize("result", [{"changed": True}, {"changed": False}, {"changed": False, "failed": True}])
def test_a_check_of_a_bare_master_does_not_ask_for_accounts(result):
    """Protects check mode: the library that the task takes comes with packages that are not there yet, or that the
    package lists do not have yet."""
    known = {
        "common_with_accounts": True,
        "ansible_check_mode": True,
        "common_master": "m1",
        "hostvars": {"m1": {"common_packages_result": result}},
    }
    there = not any(result.values())
    assert condition("common", "access.yml", "Converge the accounts", "when", **known) == there


@pytest.mark.parametrize(
    ("southbound", "ends"),
    [
        ({"users": {"6642": ["10.44.0.13"], "16652": ["10.44.0.12"]}}, False),
        ({"users": {"6642": ["10.44.0.13"]}}, False),
        ({"users": {"16652": ["10.44.0.12", "10.44.0.13"]}}, True),
        ({"users": {}}, True),
        ({}, True),
    ],
)
def test_who_waits_for_the_protocol_of_before(southbound, ends):
    """Protects each change between tcp and ssl from a wait to its very end: all hosts are at the other port by then."""
    found = {"ansible_facts": {"ansible_ovn_kubernetes": {"central_databases": {"southbound": southbound}}}}
    task = "Wait until nobody uses the protocol of before"
    assert condition("master", "finish_or_end.yml", task, "until", master_facts=found) is ends


def test_no_master_changes_before_hosts_have_certificates():
    """Protects hosts that would go to ssl without one: what says so ends the play, when masters have theirs, and that
    play comes before the steps of the masters."""
    name = "Refuse to cut off hosts that have no certificate yet"
    for stops in ([], ["why"]):
        known = {"common_certificates_plan": {"stops": stops}}
        assert condition("common", "certificates_steps.yml", name, "when", **known) is bool(stops)
    steps = [task["name"] for task in load(ROLES / "common" / "tasks" / "certificates_steps.yml")]
    assert (
        steps.index("Issue certificates")
        < steps.index(name)
        < steps.index("Forget older CAs that no host needs any more")
    )
    plays = [play["name"] for play in load(ROLES.parent / "playbooks" / "site.yml")]
    change = "Bring the masters' databases to what the inventory asks for"
    assert plays.index("Give the hosts certificates") < plays.index(change)


@pytest.mark.parametrize("check", [True, False])
def test_hosts_of_a_later_play_foresee_the_steps_of_masters(check):
    """Protects check mode of a user's own plays: the decision about the databases is known to masters alone there."""
    text = load(ROLES / "common" / "vars" / "main.yml")["common_foreseen"].strip().removeprefix("{{").removesuffix("}}")
    foreseen = jinja2.Environment(undefined=jinja2.StrictUndefined).compile_expression(text)
    known = {"ansible_check_mode": check, "common_master": "m1"}
    decided = {"master_decision": {"steps": [{"action": "listen"}]}}
    assert foreseen(hostvars={"m1": decided, "n1": {}}, **known) is check
    assert foreseen(hostvars={"m1": {"master_decision": {"steps": []}}}, **known) is False
    assert foreseen(hostvars={"m1": {}}, **known) is False


@pytest.mark.parametrize(
    ("tls", "remote", "before", "said"),
    [
        (True, "tcp:10.0.0.1:6642", {}, True),
        (False, "ssl:10.0.0.1:6642", {}, True),
        (True, "tcp:10.0.0.1:6642", {"common_protocol_said": True}, False),
        (True, "ssl:10.0.0.1:6642,ssl:10.0.0.1:16652", {}, False),
        (False, "tcp:10.0.0.1:6642", {}, False),
    ],
)
def test_hosts_that_stay_with_the_protocol_of_before_are_named_once(tls, remote, before, said):
    """Protects who runs a role alone after ovn_tls has changed: the run says what it has left as it was, once, and
    where hosts have what is asked for it says nothing."""
    one = {"southbound_remote": remote, "tls": tls}
    known = {"common_all_settings": {"n1": one}, "common_any": one, "common_master": "m1", "hostvars": {"m1": before}}
    task = "Say once that the masters have to change before the hosts"
    assert condition("common", "plan.yml", task, "when", **known) is said
    assert not condition("common", "plan.yml", task, "when", **{**known, "common_all_settings": {}})


VARIABLE = re.compile(r"\b(?:common|node|gateway|master)_(?!settings|has_pods)\w+")
ROLE_OF = re.compile(r"ovn\.kubernetes\.(common|node|master|gateway)$")


def tasks(path):
    """Yield all tasks of a file, those in blocks too."""
    waiting = list(load(path) or [])
    while waiting:
        task = waiting.pop(0)
        waiting[:0] = task.get("block") or []
        yield task


@pytest.mark.parametrize("role", sorted(path.name for path in ROLES.glob("*") if path.is_dir()))
def test_roles_use_only_the_common_role(role):
    """Protects against circles between roles: master, node and gateway use tasks of common, and common those of
    none."""
    used = set()
    for path in (ROLES / role / "tasks").glob("*.yml"):
        for task in tasks(path):
            for action in ("ansible.builtin.include_role", "ansible.builtin.import_role"):
                if action in task:
                    used.add(ROLE_OF.search(task[action]["name"]).group(1))
    assert used <= ({"common"} - {role})


PROGRAMS = {
    ("master", "master_watcher_units"): (
        "ovn-k8s-watcher.service",
        {names.ARCHIVE, names.LOG_SETTINGS, names.CENTRAL_ACCESS, names.WATCHER_ACCESS, names.KUBERNETES_CA},
    ),
    ("master", "master_egress_units"): (
        "ovn-k8s-egress.service",
        {names.ARCHIVE, names.LOG_SETTINGS, names.CENTRAL_ACCESS},
    ),
    ("node", "node_server_units"): (
        "ovn-k8s-node.service",
        {names.ARCHIVE, names.LOG_SETTINGS, names.NODE_ACCESS, names.KUBERNETES_CA, names.NODE_SETTINGS},
    ),
    ("gateway", "gateway_helper_units"): (
        "ovn-k8s-gateway-helper.service",
        {names.ARCHIVE, names.LOG_SETTINGS, names.NODE_SETTINGS, names.GATEWAY_SETTINGS},
    ),
}


@pytest.mark.parametrize(("role", "variable"), sorted(PROGRAMS), ids=lambda part: part)
def test_a_program_is_restarted_when_a_file_that_it_reads_is_newer(role, variable):
    """Protects runs that failed between copying a file and restarting its program: the restart depends on files, not on
    results of this run."""
    unit, files = PROGRAMS[role, variable]
    variables = load(ROLES / role / "vars" / "main.yml")
    assert any(
        variable in task["ovn.kubernetes.ovn_host"].get("programs", "")
        for path in (ROLES / role / "tasks").glob("*.yml")
        for task in tasks(path)
        if "ovn.kubernetes.ovn_host" in task
    )
    (service,) = variables[variable]
    assert service["name"] == unit
    assert (ROLES / role / "files" / unit).is_file()
    assert service["unit"] == f"{{{{ lookup('ovn.kubernetes.runtime', '{unit}') }}}}"
    assert set(resolved(service["started_from"], variables)) == files


def resolved(value, variables):
    """Return the variable that a template names; anything else as it is."""
    named = re.fullmatch(r"{{ (\w+) }}", value) if isinstance(value, str) else None
    return variables[named[1]] if named else value


# Which units Debian's wrapper units start: those whose files say PartOf= or which they require.
DAEMONS = {
    ("node", "node_daemons"): ["ovsdb-server", "ovs-vswitchd", "ovn-controller"],
    ("master", "master_daemons"): ["ovn-ovsdb-server-nb", "ovn-ovsdb-server-sb", "ovn-northd"],
}


@pytest.mark.parametrize(("role", "variable"), sorted(DAEMONS))
def test_each_daemon_is_started_by_its_own_unit(role, variable):
    """Protects hosts whose daemon was stopped: Debian's wrapper units stay active then, and to start them does
    nothing."""
    units = [unit["name"] for unit in load(ROLES / role / "vars" / "main.yml")[variable]["Debian"]]
    assert [unit for unit in units if unit.split(".")[0] in DAEMONS[role, variable]] == [
        f"{daemon}.service" for daemon in DAEMONS[role, variable]
    ]


# Tasks that write there, and nothing on a host.
ON_THE_CONTROLLER = ("certificates_authorities.yml", "certificates_leaving.yml")


@pytest.mark.parametrize("name", ON_THE_CONTROLLER)
def test_a_ca_is_made_on_the_controller(name):
    """Protects the CAs' keys: no host gets one, and the controller is not asked for root's rights."""
    (block,) = load(ROLES / "common" / "tasks" / name)
    assert block["delegate_to"] == "localhost" and block["run_once"] is True
    assert block["vars"]["ansible_become"] is False and block["vars"]["ansible_connection"] == "local"
    assert all("delegate_to" not in task for task in block["block"])


def test_verify_looks_for_all_that_the_roles_write():
    """Protects the rule that what is wrong and ours is found: a new file, package list or unit of a role is compared
    too."""
    looked_for = (ROLES / "common" / "vars" / "main.yml").read_text(encoding="utf-8")
    looked_for += (ROLES / "common" / "tasks" / "verify.yml").read_text(encoding="utf-8")
    written = set()
    for path in sorted(ROLES.glob("*/tasks/*.yml")):
        if "absent" in path.name or path.name in ON_THE_CONTROLLER:
            continue
        for task in tasks(path):
            # Everything else is written by this module, or not at all.
            assert not {"ansible.builtin.blockinfile", "ansible.builtin.file", "ansible.builtin.template"} & set(task)
            host = task.get("ovn.kubernetes.ovn_host") or {}
            written |= {
                name for key in ("files", "services", "programs") for name in VARIABLE.findall(host.get(key, ""))
            }
            written |= set(VARIABLE.findall(str((task.get("vars") or {}).get("common_packages", ""))))
    # The folder of files that are looked for; of node_files; of master_central_files; of master_central_units.
    written -= {"common_folders", "common_archive_files", "master_changing_files"}
    written -= {"master_relay_files", "master_relay_units", "master_first_units"}
    assert len(written) > 8
    assert [name for name in sorted(written) if name not in looked_for] == []


def test_an_unchanged_host_needs_one_call_of_each_role():
    """Protects site runs from growing again, task by task: beside the first one, tasks of a host run only where that
    one says that there is something to do, or once for all hosts."""
    for role, file in (
        ("node", "host.yml"),
        ("gateway", "host.yml"),
        ("master", "central.yml"),
        ("master", "programs.yml"),
    ):
        first, *rest = tasks(ROLES / role / "tasks" / file)
        assert {"ovn.kubernetes.ovn_host", "ansible.builtin.import_tasks"} & set(first), (role, file)
        for task in rest:
            assert "when" in task or task.get("ansible.builtin.import_tasks") == "access.yml", task["name"]
    for task in tasks(ROLES / "common" / "tasks" / "access.yml"):
        assert task["run_once"] and "when" in task


def test_no_restart_depends_on_a_result():
    """Protects against "restarted" that a registered result decides, which a run that failed in between takes along."""
    for path in sorted(ROLES.glob("*/tasks/*.yml")):
        assert "restarted" not in path.read_text(encoding="utf-8"), path
