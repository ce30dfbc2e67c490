# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects users who read a module's documentation: its options are those that the module takes."""

from __future__ import annotations

import importlib
import json
import pathlib

import pytest
import yaml
from ansible.module_utils import basic

from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible import argument_spec

PLUGINS = pathlib.Path(__file__).resolve().parents[3] / "plugins"
PACKAGE = "ansible_collections.ovn.kubernetes.plugins."
MODULES = sorted(path.stem for path in (PLUGINS / "modules").glob("*.py") if path.stem != "__init__")
KEYS = ("type", "elements", "choices", "default", "required")


class Called(Exception):
    """Ends a module where it hands over its arguments."""


def arguments_of(name, monkeypatch):
    """The keyword arguments that a module hands to AnsibleModule."""
    module = importlib.import_module(PACKAGE + "modules." + name)

    def stop(**arguments):
        raise Called(arguments)

    monkeypatch.setattr(module, "AnsibleModule", stop)
    with pytest.raises(Called) as called:
        module.main()
    return called.value.args[0]


def documented_options(name):
    """The options of a module's documentation, with those of its fragments."""
    documentation = yaml.safe_load(importlib.import_module(PACKAGE + "modules." + name).DOCUMENTATION)
    options = dict(documentation.get("options") or {})
    for fragment in fragments(documentation):
        options.update(fragment["options"])
    return options


def fragments(documentation):
    """Yield the fragments that a documentation names: ovn.kubernetes.FILE, or with .PART another part of the file."""
    for name in documentation.get("extends_documentation_fragment", ()):
        file, _dot, part = name.removeprefix("ovn.kubernetes.").partition(".")
        code = importlib.import_module(PACKAGE + "doc_fragments." + file)
        yield yaml.safe_load(getattr(code.ModuleDocFragment, part.upper() or "DOCUMENTATION"))


def facts(options, suboptions):
    """What documentation and argument spec both say of options."""
    said = {}
    for name, option in options.items():
        if not name.startswith("_"):  # between the action plugin and its module
            said[name] = {
                key: option[key]
                for key in KEYS
                if option.get(key) not in (None, False)
                or (key == "default" and key in option and option[key] is not None)
            }
            if option.get(suboptions):
                said[name]["options"] = facts(option[suboptions], suboptions)
    return said


@pytest.mark.parametrize("name", MODULES)
def test_the_documentation_has_the_options_that_the_module_takes(name, monkeypatch):
    """Protects against an option, a default or a choice that only one of the two knows."""
    assert facts(documented_options(name), "suboptions") == facts(
        arguments_of(name, monkeypatch)["argument_spec"], "options"
    )


@pytest.mark.parametrize("name", MODULES)
def test_a_failure_is_documented_with_its_code(name):
    """Protects plays that act on error_code: each module's documentation names it."""
    returned = yaml.safe_load(importlib.import_module(PACKAGE + "modules." + name).RETURN)
    assert returned["error_code"]["returned"] == "failure"


KEY = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0c2VjcmV0\nc2VjcmV0MnNlY3JldDI=\n-----END PRIVATE KEY-----\n"
WITH_KEY = ("OVN_INFO", "OVN_VERIFY", "OVN_KUBERNETES_ACCESS", "OVN_KUBERNETES_TOKEN")


@pytest.mark.parametrize("name", WITH_KEY)
def test_no_line_of_a_key_comes_into_the_log(name, monkeypatch):
    """Protects an administrator's credential: Ansible writes each call of a module into the host's journal, with what
    it knows to be secret left out."""
    logged = []
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda self, text, log_args=None: logged.append((text, log_args)))
    secret = {"token": "token-that-is-secret", "certificate": KEY, "key": KEY}
    arguments = {"server": "https://master:6443", "ca": "authority", **secret}
    if name == "OVN_KUBERNETES_TOKEN":
        arguments["accounts"] = ["ovn-k8s-watcher"]
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    basic.AnsibleModule(**getattr(argument_spec, name))
    said = repr(logged)
    assert "https://master:6443" in said
    assert not [text for text in ("c2VjcmV0", "token-that-is-secret", "PRIVATE") if text in said]


def with_secrets(options, inside=False):
    """The options within dictionaries that are secret."""
    for name, option in options.items():
        if inside and option.get("no_log"):
            yield name
        yield from with_secrets(option.get("options") or {}, inside=True)


@pytest.mark.parametrize("name", MODULES)
def test_no_dictionary_has_a_secret_in_it(name, monkeypatch):
    """Protects credentials of every module: Ansible logs a dictionary as text, where a secret of several lines is not
    found."""
    assert not list(with_secrets(arguments_of(name, monkeypatch)["argument_spec"]))


GROUPS = {  # of meta/runtime.yml -> the options that it is for
    "ovn": ("northbound", "timeout"),
    "kubernetes": tuple(argument_spec.KUBERNETES_READER),
}


def memberships(name):
    """The groups that a module's documentation, or one of its fragments, says that it is in."""
    documentation = yaml.safe_load(importlib.import_module(PACKAGE + "modules." + name).DOCUMENTATION)
    attributes = {}
    for fragment in fragments(documentation):
        attributes.update(fragment.get("attributes") or {})
    attributes.update(documentation.get("attributes") or {})
    return attributes.get("action_group", {}).get("membership", [])


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_has_the_modules_that_share_its_options(group, monkeypatch):
    """Protects module_defaults of a group: a member without one of the options would refuse it, and a module that has
    all of them would be left out; the documentation says the same."""
    runtime = yaml.safe_load((PLUGINS.parent / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    sharing = [name for name in MODULES if set(GROUPS[group]) <= set(arguments_of(name, monkeypatch)["argument_spec"])]
    assert runtime["action_groups"][group] == sharing
    assert [name for name in MODULES if f"ovn.kubernetes.{group}" in memberships(name)] == sharing
    assert set(runtime["action_groups"]) == set(GROUPS)
