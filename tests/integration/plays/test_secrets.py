# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the secrets that modules get: whatever they answer, and whatever Ansible is told to say, none is shown."""

from __future__ import annotations

import json
import pathlib
import sys

import ansible_calls
import yaml
from telltale_server import TelltaleServer

from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible import argument_spec

MODULES = pathlib.Path(__file__).resolve().parents[3] / "plugins" / "modules"
SECRET = "e30.c2VjcmV0.of-somebody"
LINES = f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n"
REQUIRED = {"str": "kube-minion1", "path": "/nonexistent", "list": [], "dict": {}, "int": 1, "bool": False}


def secrets(module):
    """The options of a module that are secret -> their types."""
    spec = getattr(argument_spec, module.upper(), {}).get("argument_spec", {})
    return {name: option.get("type", "str") for name, option in spec.items() if option.get("no_log")}


WITH_SECRETS = sorted(path.stem for path in MODULES.glob("*.py") if secrets(path.stem))


def value(kind, name):
    """A secret of an option's type, as plays have it: from a variable, since Ansible shows a task's own text."""
    text = f"{{{{ {name} }}}}"
    return {"dict": {"account": text}, "list": [text]}.get(kind, text)


def calls(module, server):
    """Arguments of a module, each with other secrets."""
    spec = getattr(argument_spec, module.upper())["argument_spec"]
    needed = {name: REQUIRED[option["type"]] for name, option in spec.items() if option.get("required")}
    if "server" in spec:
        needed["server"] = server
    if module == "ovn_kubernetes_token":
        needed["accounts"] = ["ovn-k8s-watcher"]
    if module == "ovn_info":
        needed["pods_of"] = ["kube-minion1"]
    options = secrets(module)
    if {"certificate", "key"} <= set(options):  # in place of the token
        yield {**needed, **{name: value(options.pop(name), "lines") for name in ("certificate", "key")}}
    yield {**needed, **{name: value(kind, "secret") for name, kind in options.items()}}


def test_no_module_shows_a_secret(tmp_path):
    """Protects logs of runs, which many can read: -vvvv and --diff, results that a later task shows, and errors of a
    server that shows what it was sent. Modules whose calls would change this host are called in check mode.
    """
    assert {"ovn_host", "ovn_info", "ovn_kubernetes_access", "ovn_kubernetes_token", "ovn_verify"} <= set(WITH_SECRETS)
    with TelltaleServer(403, 500, 401, 307) as server:
        tasks = []
        for module in WITH_SECRETS:
            for number, arguments in enumerate(calls(module, server.url)):
                name = f"{module}_{number}"
                # Only what asks the API server, which refuses everything, may be carried out.
                harmless = "server" in arguments and module != "ovn_verify"
                tasks += [
                    {
                        "name": name,
                        f"ovn.kubernetes.{module}": arguments,
                        "register": name,
                        "ignore_errors": True,
                        "check_mode": not harmless,
                    },
                    {"name": f"result of {name}", "ansible.builtin.debug": {"var": name}},
                ]
        (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
        variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        variables |= {"secret": SECRET, "lines": LINES}
        (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": {"host1": variables}}}), encoding="utf-8")
        files = (str(tmp_path / name) for name in ("hosts.json", "play.yml"))
        _code, said = ansible_calls.run("ansible-playbook", "-vvvv", "--diff", "-i", *files, limit=280)
    for module in WITH_SECRETS:
        assert f"result of {module}_0" in said, said[-3000:]
    assert f"Bearer {SECRET}" in server.seen, said[-9000:]  # it was used
    assert [line for line in said.splitlines() if SECRET in line] == []
