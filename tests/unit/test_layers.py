# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the layers of plugins/: imports go down only, the library stays free of Ansible, and nothing forks a command.

The layers, from the top: modules, plugins and programs; the subjects (_topology, _pods, _services, _nic); _host and _reconcile (one plan, and the
loop for ever); the mechanisms (_ovsdb, _kube, _netlink, _openflow); _common.
"""

from __future__ import annotations

import ast
import pathlib

import pytest

PLUGINS = pathlib.Path(__file__).resolve().parents[2] / "plugins"
FILES = sorted(path.relative_to(PLUGINS).as_posix() for path in PLUGINS.rglob("*.py"))
OURS = "ansible_collections.ovn.kubernetes.plugins"

# layer -> the layers below it, which it may import, or one public file of a subject beside it ("_nic/uplink").
GROUND = {"_common"}
MECHANISM = GROUND | {"_ovsdb", "_kube", "_netlink", "_openflow"}
SUBJECTS = {"_topology", "_pods", "_services", "_nic"}
MAY_IMPORT = {
    "_common": {"_common"},
    "_ovsdb": GROUND | {"_ovsdb"},
    "_kube": GROUND | {"_kube"},
    "_netlink": GROUND | {"_netlink"},
    "_openflow": GROUND | {"_openflow"},
    "_host": MECHANISM | {"_host"},
    "_reconcile": MECHANISM | {"_reconcile"},
    "_nic": MECHANISM | {"_host", "_reconcile", "_nic"},
    "_services": MECHANISM | {"_host", "_reconcile", "_services", "_pods/interface"},
    "_pods": MECHANISM | {"_host", "_reconcile", "_pods"},
    "_topology": MECHANISM
    | {
        "_host",
        "_reconcile",
        "_topology",
        "_services/hosts",
        "_nic/uplink",
        "_nic/saved",
        "_nic/executor",
        "_nic/plan",
    },
    "_ansible": MECHANISM | SUBJECTS | {"_host", "_reconcile", "_ansible"},
    "_programs": MECHANISM | SUBJECTS | {"_host", "_reconcile", "_ansible", "_programs"},
    "face": MECHANISM | SUBJECTS | {"_host", "_reconcile", "_ansible", "_programs", "face"},
    "documentation": set(),
}
FACES = {"modules", "filter", "lookup", "action", "inventory", "plugin_utils"}
MAY_FORK = {"module_utils/_openflow/flows"}  # no library that is light enough speaks OpenFlow: docs/architecture.md
FORKING = {"system", "popen", "posix_spawn", "create_subprocess_exec", "create_subprocess_shell"}


def layer_of(name):
    """The layer of a file or module named like "modules/ovn_gateway" or "module_utils/_topology/node"; None if it has none."""
    parts = name.split("/")
    if parts[0] in FACES:
        return "face"
    if parts[0] == "doc_fragments":
        return "documentation"
    if parts[0] != "module_utils" or len(parts) < 2:
        return None
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
    """Whether a file of the layer may import the target, named like "module_utils/_ovsdb/rows/Row"."""
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
            target = module[len(OURS) + 1 :].replace(".", "/")
            if not allowed(layer, target):
                found.append("%s imports %s, which the layer %s may not" % (where, target, layer))
        elif module.split(".")[0] in ("ansible", "ansible_collections") and name.startswith("module_utils/"):
            found.append("%s imports %s: the library has to run on hosts without Ansible" % (where, module))
    for node in ast.walk(ast.parse(source)):
        forks = (
            isinstance(node, ast.Attribute)
            and node.attr in FORKING
            and isinstance(node.value, ast.Name)
            and node.value.id in ("os", "asyncio")
        )
        if forks and name not in MAY_FORK:
            found.append("%s:%d starts a process; speak the protocol instead" % (name, node.lineno))
        if (
            isinstance(node, ast.ImportFrom)
            and not node.level
            and name.startswith("module_utils/")
            and (node.module or "").startswith(OURS)
        ):
            found.append(
                "%s:%d names the collection: inside the library imports are relative, so that it also runs from its archive"
                % (name, node.lineno)
            )
    return found


@pytest.mark.parametrize("path", FILES)
def test_file_keeps_to_its_layer(path):
    """Protects the one direction of imports, file by file."""
    assert faults(path[: -len(".py")], (PLUGINS / path).read_text(encoding="utf-8")) == []


def test_there_is_something_to_check():
    """Protects the test above against looking in a place where no file is."""
    assert "module_utils/_common/names.py" in FILES


@pytest.mark.parametrize(
    ("name", "source"),
    [
        (
            "modules/ovn_gateway",
            "from ..module_utils._ovsdb.converge import converge_rows\nfrom ansible.module_utils.basic import AnsibleModule",
        ),
        (
            "modules/ovn_gateway",
            "from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import gateway",
        ),
        ("module_utils/_programs/watcher", "from . import egress\nfrom .._kube import client"),
        (
            "modules/ovn_gateway",
            "from ..module_utils._ansible import module\nfrom ..module_utils._topology.host import Host",
        ),
        (
            "module_utils/_topology/host",
            "from .._common import names\nfrom .._host.converge import converge_host\nfrom .._nic.uplink import USERS",
        ),
        (
            "module_utils/_topology/node",
            "from .._ovsdb.rows import Row\nfrom .._host.desired import Link\nfrom . import cluster",
        ),
        ("module_utils/_ovsdb/transaction", "from .rows import Row\nfrom .._common.names import owner\nimport json"),
        ("module_utils/_common/names", "from __future__ import annotations\nimport re"),
    ],
)
def test_imports_that_go_down_pass(name, source):
    """Protects against a check that refuses what the layers allow."""
    assert faults(name, source) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("module_utils/_common/names", "from .._ovsdb import rows"),
        ("module_utils/_ovsdb/rows", "from .._host import desired"),
        ("module_utils/_netlink/routes", "from .._ovsdb.rows import Row"),
        ("module_utils/_ovsdb/replica", "from .._topology import node"),
        ("module_utils/_host/apply", "from .._nic import plan"),
        ("module_utils/_nic/plan", "def late():\n    from .._topology.host import Host"),
        ("module_utils/_pods/northbound", "from .._services import northbound"),
        ("module_utils/_reconcile/engine", "from .._programs import watcher"),
        ("module_utils/_topology/host", "from .._ansible import module"),
        ("module_utils/_ovsdb/converge", "from ...modules import ovn_gateway"),
        ("module_utils/_ovsdb/converge", "from ansible.module_utils.basic import AnsibleModule"),
        (
            "module_utils/_ovsdb/converge",
            "from ansible_collections.ovn.kubernetes.plugins.module_utils._common.names import owner",
        ),
        ("module_utils/_netlink/links", "import subprocess"),
        ("modules/ovn_gateway", "from subprocess import run"),
        ("filter/subnets", "import os\nos.system('ip link')"),
        (
            "module_utils/_programs/cni",
            "import asyncio\nasync def f():\n    await asyncio.create_subprocess_exec('ip')",
        ),
        ("module_utils/helpers", "import re"),
    ],
)
def test_imports_that_go_up_or_sideways_are_found(name, source):
    """Protects against a check that lets everything pass."""
    assert faults(name, source) != []
