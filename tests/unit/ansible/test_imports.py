# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the time of each task on a host: the archive as which a module is sent is compiled there each time."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible import imports

SCRIPT = """
import collections, json, sys
sys.path.insert(0, sys.argv[1])
import first.imports
first.imports.compile_once()
compiled = collections.Counter()
sys.addaudithook(lambda event, what: event == "compile" and compiled.update([str(what[1])]))
import package.inner.module
found = [compiled, package.inner.module.__file__, package.inner.__file__, package.inner.module.__name__]
print(json.dumps(found), len(sys.path_hooks))
"""


@pytest.fixture
def archive(tmp_path):
    """An archive with our importer in one folder, and a package in another one."""
    path = tmp_path / "archive.zip"
    with open(imports.__file__, encoding="utf-8") as source, zipfile.ZipFile(path, "w") as packed:
        packed.writestr("first/imports.py", source.read())
        for name in ("first/__init__.py", "package/__init__.py", "package/inner/__init__.py"):
            packed.writestr(name, "")
        packed.writestr("package/inner/module.py", "from . import other\n")
        packed.writestr("package/inner/other.py", "VALUE = 1\n")
    return path


def test_each_module_is_compiled_once(archive):
    """Protects against Python's own importer, which compiles each one twice. Names and paths stay as they are."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", SCRIPT, str(archive)], capture_output=True, text=True, timeout=60, check=True
    )
    compiled, module, inner, name = json.loads(done.stdout.rpartition(" ")[0])
    assert {path: count for path, count in compiled.items() if "/inner/" in path} == {
        f"{archive}/package/inner/{file}.py": 1 for file in ("__init__", "module", "other")
    }
    assert module == f"{archive}/package/inner/module.py" and inner == f"{archive}/package/inner/__init__.py"
    assert name == "package.inner.module"


def test_nothing_changes_outside_of_an_archive():
    """Protects the controller and the tests, where modules are imported from files."""
    before = list(sys.path_hooks)
    imports.compile_once()
    assert sys.path_hooks == before
