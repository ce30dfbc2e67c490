# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the layers of plugins/: imports go down only, the library stays free of Ansible, and nothing forks a command.

The layers, from the top: the faces, host (for modules and programs alike) and cni (pods' interfaces), uplinks, converge and reconcile (once, and
for ever), desired (policy), ovsdb, hostnet and kube (mechanism), names and addressing (ground).
"""

from __future__ import annotations

import ast
import pathlib

import pytest

PLUGINS = pathlib.Path(__file__).resolve().parents[2] / "plugins"
FILES = sorted(path.relative_to(PLUGINS).as_posix() for path in PLUGINS.rglob("*.py"))
OURS = "ansible_collections.ovn.kubernetes.plugins"

# layer -> what it may import of ours: a layer, or one file of a layer ("hostnet/state").
GROUND = {"names", "addressing"}
MECHANISM = {"ovsdb", "hostnet", "kube", "openflow"}
MAY_IMPORT = {
    "names": set(),
    "addressing": set(),
    "ovsdb": GROUND | {"ovsdb"},
    "hostnet": GROUND | {"hostnet"},
    "kube": GROUND | {"kube"},
    "openflow": GROUND | {"openflow"},
    # Policy knows what rows and interfaces are, and nothing of how they are read or written.
    "desired": GROUND | {"desired", "ovsdb/rows", "hostnet/state", "hostnet/managed", "hostnet/errors"},
    "converge": GROUND | MECHANISM | {"desired"},
    "converge_host": GROUND | MECHANISM | {"desired", "converge"},
    "reconcile": GROUND | MECHANISM | {"desired", "reconcile"},
    "uplinks": GROUND | MECHANISM | {"desired", "converge", "converge_host", "uplinks"},
    "host": GROUND | MECHANISM | {"desired", "converge", "converge_host", "uplinks"},
    "cni": GROUND | MECHANISM | {"desired", "cni"},
    "face": GROUND | MECHANISM | {"desired", "converge", "converge_host", "reconcile", "uplinks", "host", "cni", "face"},
    "documentation": set(),
}
FACES = {"modules", "filter", "lookup", "action", "inventory", "plugin_utils"}
FACES_IN_LIBRARY = {"programs", "doors"}
MAY_FORK = {"module_utils/openflow/bridge"}  # no library that is light enough speaks OpenFlow: docs/architecture.md
FORKING = {"system", "popen", "posix_spawn", "create_subprocess_exec", "create_subprocess_shell"}


def layer_of(name):
    """The layer of a file or module named like "modules/ovn_gateway" or "module_utils/desired/node"; None if it has none."""
    parts = name.split("/")
    if parts[0] in FACES:
        return "face"
    if parts[0] == "doc_fragments":
        return "documentation"
    if parts[0] != "module_utils" or len(parts) < 2:
        return None
    if parts[1] in FACES_IN_LIBRARY:
        return "face"
    return parts[1] if parts[1] in MAY_IMPORT and parts[1] not in ("face", "documentation") else None


def imports_of(name, source):
    """Yields (line, dotted module) of every import in the file, wherever it stands; relative ones are made absolute."""
    package = (OURS + "." + name.replace("/", ".")).split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = base + (node.module.split(".") if node.module else [])
            for alias in node.names:
                yield node.lineno, ".".join([*base, alias.name])


def allowed(layer, target):
    """Whether a file of the layer may import the target, named like "module_utils/ovsdb/rows/Row"."""
    below = target.split("/")[1:] if target.startswith("module_utils/") else []
    files = {"/".join(below[:length]) for length in (1, 2)}
    return bool(MAY_IMPORT[layer] & files) or layer_of(target) in MAY_IMPORT[layer] & {"face"}


def faults(name, source):
    """What the file breaks, one sentence each; `name` is its path below plugins/ without the suffix."""
    layer = layer_of(name)
    if layer is None:
        return ["%s belongs to no layer: move it into one, or give it a place in MAY_IMPORT" % name]
    found = []
    for line, module in imports_of(name, source):
        where = "%s:%d" % (name, line)
        if module.split(".")[0] == "subprocess":
            found.append("%s starts a process; speak the protocol instead" % where)
        elif module == OURS or module.startswith(OURS + "."):
            target = module[len(OURS) + 1:].replace(".", "/")
            if not allowed(layer, target):
                found.append("%s imports %s, which the layer %s may not" % (where, target, layer))
        elif module.split(".")[0] in ("ansible", "ansible_collections") and name.startswith("module_utils/"):
            found.append("%s imports %s: the library has to run on hosts without Ansible" % (where, module))
    for node in ast.walk(ast.parse(source)):
        forks = isinstance(node, ast.Attribute) and node.attr in FORKING and isinstance(node.value, ast.Name) and node.value.id in ("os", "asyncio")
        if forks and name not in MAY_FORK:
            found.append("%s:%d starts a process; speak the protocol instead" % (name, node.lineno))
        if isinstance(node, ast.ImportFrom) and not node.level and name.startswith("module_utils/") and (node.module or "").startswith(OURS):
            found.append("%s:%d names the collection: inside the library imports are relative, so that it also runs from its archive" % (name, node.lineno))
    return found


@pytest.mark.parametrize("path", FILES)
def test_file_keeps_to_its_layer(path):
    """Protects the one direction of imports, file by file."""
    assert faults(path[: -len(".py")], (PLUGINS / path).read_text(encoding="utf-8")) == []


def test_there_is_something_to_check():
    """Protects the test above against looking in a place where no file is."""
    assert "module_utils/names.py" in FILES


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("modules/ovn_gateway", "from ..module_utils.converge import converge\nfrom ansible.module_utils.basic import AnsibleModule"),
        ("modules/ovn_gateway", "from ansible_collections.ovn.kubernetes.plugins.module_utils.desired import gateway"),
        ("module_utils/programs/watcher", "from . import egress\nfrom ..kube import client"),
        ("modules/ovn_gateway", "from ..module_utils import doors\nfrom ..module_utils.host import Host"),
        ("module_utils/host", "from . import names\nfrom .converge_host import converge_host\nfrom .hostnet.state import HostState"),
        ("module_utils/converge", "from .hostnet.links import Links\nfrom . import names\nfrom .desired.node import node"),
        ("module_utils/desired/node", "from ..ovsdb.rows import Row\nfrom ..ovsdb import rows\nfrom ..hostnet.state import Link\nfrom . import cluster"),
        ("module_utils/ovsdb/transaction", "from .rows import Row\nfrom ..names import owner\nimport json"),
        ("module_utils/names", "from __future__ import annotations\nimport re"),
    ],
)
def test_imports_that_go_down_pass(name, source):
    """Protects against a check that refuses what the layers allow."""
    assert faults(name, source) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("module_utils/names", "from .addressing import subnet"),
        ("module_utils/ovsdb/rows", "from ..hostnet import state"),
        ("module_utils/hostnet/links", "from ..ovsdb.rows import Row"),
        ("module_utils/ovsdb/replica", "from ..desired import node"),
        ("module_utils/desired/node", "from ..ovsdb.connection import Connection"),
        ("module_utils/desired/node", "from ..ovsdb import connection"),
        ("module_utils/desired/node", "from ..hostnet import links"),
        ("module_utils/desired/node", "def late():\n    from ..converge import converge"),
        ("module_utils/converge", "from .programs import watcher"),
        ("module_utils/converge", "from .host import Host"),
        ("module_utils/host", "from . import doors"),
        ("module_utils/converge", "from ..modules import ovn_gateway"),
        ("module_utils/converge", "from ansible.module_utils.basic import AnsibleModule"),
        ("module_utils/converge", "from ansible_collections.ovn.kubernetes.plugins.module_utils.names import owner"),
        ("module_utils/hostnet/links", "import subprocess"),
        ("modules/ovn_gateway", "from subprocess import run"),
        ("filter/subnets", "import os\nos.system('ip link')"),
        ("module_utils/programs/cni", "import asyncio\nasync def f():\n    await asyncio.create_subprocess_exec('ip')"),
        ("module_utils/helpers", "import re"),
    ],
)
def test_imports_that_go_up_or_sideways_are_found(name, source):
    """Protects against a check that lets everything pass."""
    assert faults(name, source) != []
