# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what plugins/ may import: the library is free of Ansible and starts no process; layers import downwards.
Caches of the library have a limit.

The layers are contracts in .importlinter; the rest is checked here, file by file.
"""

from __future__ import annotations

import ast
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
FILES = sorted(path.relative_to(PLUGINS).as_posix() for path in PLUGINS.rglob("*.py"))
OURS = "ansible_collections.ovn.kubernetes.plugins"
MAY_FORK = {"module_utils/_openflow/client"}  # no library that is light enough speaks OpenFlow: docs/architecture.md
FORKING = {"system", "popen", "posix_spawn", "create_subprocess_exec", "create_subprocess_shell"}


def imports_of(name, source):
    """Yield (line, dotted module) of every import in the file, wherever it stands; relative ones are made absolute."""
    package = f"{OURS}.{name.replace('/', '.')}".split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = base + (node.module.split(".") if node.module else [])
            for alias in node.names:
                yield node.lineno, ".".join([*base, alias.name])


def is_fork(node):
    """Return whether the node names a function that starts a process."""
    return (
        isinstance(node, ast.Attribute)
        and node.attr in FORKING
        and isinstance(node.value, ast.Name)
        and node.value.id in ("os", "asyncio")
    )


def is_endless_cache(node):
    """Return whether the node is a cache of results that may grow for ever: of programs that run for ever."""
    if isinstance(node, ast.keyword):
        return node.arg == "maxsize" and isinstance(node.value, ast.Constant) and node.value.value is None
    return isinstance(node, ast.Attribute) and node.attr == "cache" and getattr(node.value, "id", "") == "functools"


def names_the_collection(node):
    """Return whether the node is an absolute import from the collection."""
    return isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").startswith(OURS)


def faults(name, source):
    """Return what the file breaks, one sentence each; `name` is its path below plugins/ without the suffix."""
    library = name.startswith("module_utils/")
    found = []
    for line, module in imports_of(name, source):
        first = module.split(".")[0]
        if first == "subprocess":
            found.append(f"{name}:{line} starts a process; speak the protocol instead")
        elif library and first in ("ansible", "ansible_collections") and not module.startswith(f"{OURS}."):
            found.append(f"{name}:{line} imports {module}: the library has to run on hosts without Ansible")
    for node in ast.walk(ast.parse(source)):
        if is_fork(node) and name not in MAY_FORK:
            found.append(f"{name}:{node.lineno} starts a process; speak the protocol instead")
        if library and is_endless_cache(node):
            found.append(f"{name} has a cache of results without a limit: say maxsize")
        if library and names_the_collection(node):
            found.append(f"{name}:{node.lineno} names the collection: imports are relative, for its archive")
    return found


@pytest.mark.parametrize("path", FILES)
def test_file_imports_what_it_may(path):
    """Protects hosts without Ansible, the archive of the programs, and the rule that nothing starts a process.

    Each file is checked.
    """
    assert faults(path[: -len(".py")], (PLUGINS / path).read_text(encoding="utf-8")) == []


def test_there_is_something_to_check():
    """Protects the test above against looking in a place where no file is."""
    assert "module_utils/_common/names.py" in FILES


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("modules/ovn_gateway", f"from {OURS}.module_utils._topology import gateway"),
        ("modules/ovn_gateway", "from ..module_utils import x\nfrom ansible.module_utils.basic import AnsibleModule"),
        ("module_utils/_topology/node", "from .._ovsdb.rows import Row\nfrom . import cluster"),
        ("module_utils/_common/names", "from __future__ import annotations\nimport re"),
    ],
)
def test_what_is_allowed_passes(name, source):
    """Protects against a check that refuses what is right."""
    assert faults(name, source) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("module_utils/_ovsdb/converge", "from ansible.module_utils.basic import AnsibleModule"),
        ("module_utils/_ovsdb/converge", f"from {OURS}.module_utils._common.names import owner"),
        ("module_utils/_netlink/links", "import subprocess"),
        ("modules/ovn_gateway", "from subprocess import run"),
        ("filter/subnets", "import os\nos.system('ip link')"),
        ("module_utils/_pods/model", "import functools\n@functools.cache\ndef f(text):\n    return text"),
        ("module_utils/_pods/model", "import functools\nf = functools.lru_cache(maxsize=None)(str)"),
        (
            "module_utils/_programs/cni",
            "import asyncio\nasync def f():\n    await asyncio.create_subprocess_exec('ip')",
        ),
    ],
)
def test_what_is_not_allowed_is_found(name, source):
    """Protects against a check that lets everything pass."""
    assert faults(name, source) != []


# (file below plugins/, what it imports): up, sideways into another subject, and from a folder that has no layer.
FORBIDDEN = (
    ("module_utils/_common/bad.py", "from .._ovsdb import rows"),
    ("module_utils/_ovsdb/bad.py", "from .._host import desired"),
    ("module_utils/_netlink/bad.py", "from .._ovsdb.rows import Row"),
    ("module_utils/_kube/bad.py", "from .._topology import node"),
    ("module_utils/_host/bad.py", "from .._nic import plan"),
    ("module_utils/_nic/bad.py", "def late():\n    from .._topology.host import Host"),
    ("module_utils/_pods/bad.py", "from .._services import northbound"),
    ("module_utils/_reconcile/bad.py", "from .._programs import watcher"),
    ("module_utils/_topology/bad.py", "from .._programs import watcher"),
    ("module_utils/_services/bad.py", "from ...modules import ovn_gateway"),
)


def lint_imports(folder):
    """Check the contracts for the collection in the folder; return the exit code and the names that it prints."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]
    done = subprocess.run(
        [*command, "--config", str(ROOT / ".importlinter")],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    return done.returncode, set(re.findall(r"[\w.]+", done.stdout)), done.stdout + done.stderr


def test_imports_that_go_up_or_sideways_are_found(tmp_path):
    """Protects against contracts that let everything pass: a tree is right, and then one file in each layer is not."""
    collection = tmp_path / "ansible_collections" / "ovn" / "kubernetes"
    shutil.copytree(PLUGINS, collection / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
    code, _names, output = lint_imports(tmp_path)
    assert code == 0, output
    for path, source in FORBIDDEN:
        (collection / "plugins" / path).write_text(source, encoding="utf-8")
    code, names, output = lint_imports(tmp_path)
    assert code == 1, output
    wrong = {f"{OURS}.{path[: -len('.py')].replace('/', '.')}" for path, _source in FORBIDDEN}
    assert wrong <= names, output


def test_a_folder_without_a_layer_is_found(tmp_path):
    """Protects the contracts against a new folder that they say nothing of."""
    collection = tmp_path / "ansible_collections" / "ovn" / "kubernetes"
    shutil.copytree(PLUGINS, collection / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
    (collection / "plugins" / "module_utils" / "helpers.py").write_text("import re\n", encoding="utf-8")
    code, names, output = lint_imports(tmp_path)
    assert code == 1, output
    assert f"{OURS}.module_utils.helpers" in names or "helpers" in names, output
