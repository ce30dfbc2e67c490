# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects hosts with a second Python, which Ansible prefers and which has none of the distribution's libraries."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys

import ansible_calls
import pytest
import yaml

from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible import interpreter

SECRET = "a-token-in-the-arguments"
ROOT = pathlib.Path(__file__).resolve().parents[3]
MODULE = """
import sys
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common import respawn
from ..module_utils.interpreter import with_libraries
with_libraries(respawn, "ovs", "pyroute2", "a_library_that_nobody_has")
module = AnsibleModule(argument_spec={"text": {"type": "str", "no_log": True}}, supports_check_mode=True)
started = [open(f"/proc/{pid}/cmdline").read() for pid in ("self", __import__("os").getppid())]
module.exit_json(python=sys.executable, characters=len(module.params["text"]), check=module.check_mode, started=started)
"""


@pytest.fixture
def play(tmp_path):
    """Return a function that runs a module with a Python that lacks the libraries, and returns its result."""
    collection = tmp_path / "collections" / "ansible_collections" / "some" / "where" / "plugins"
    code = pathlib.Path(interpreter.__file__).read_text(encoding="utf-8")
    code, replaced = re.subn(r"INTERPRETERS = .*", f"INTERPRETERS = ('/nowhere', {sys.executable!r})", code)
    assert replaced == 1
    for folder, name, text in (("modules", "probe.py", MODULE), ("module_utils", "interpreter.py", code)):
        (collection / folder).mkdir(parents=True)
        (collection / folder / name).write_text(text, encoding="utf-8")
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True, timeout=60)

    def run(text, *arguments):
        tasks = [
            {"name": "Probe", "some.where.probe": {"text": text}, "register": "probe"},
            {"name": "Show", "ansible.builtin.debug": {"msg": "result {{ probe | to_json }}"}},
        ]
        play = [{"name": "Probe", "hosts": "localhost", "gather_facts": False, "tasks": tasks}]
        (tmp_path / "play.yml").write_text(yaml.safe_dump(play), encoding="utf-8")
        command = ["ansible-playbook", "-i", "localhost,", "-c", "local", str(tmp_path / "play.yml")]
        command += ["-e", f"ansible_python_interpreter={bare / 'bin' / 'python'}", *arguments]
        code, said = ansible_calls.run(*command, limit=120)
        assert code == 0, said
        shown = re.search(r'"msg": ("result .*")$', said, re.MULTILINE)
        return json.loads(json.loads(shown[1]).partition(" ")[2])

    return run


def test_the_python_that_has_the_libraries(play):
    """Protects modules on such a host, also with the arguments of a large inventory. Arguments, which may have a token,
    are in no command line, where each user of the host reads them."""
    result = play(SECRET * 10000, "--check")
    assert result["python"] == sys.executable and result["check"] is True
    assert result["characters"] == len(SECRET) * 10000
    assert result["started"] and SECRET not in str(result["started"])


class Respawn:
    """Stands in for Ansible's respawn: what an interpreter has is given, and the choice is recorded."""

    def __init__(self, has=(), respawned=False):
        self.has, self.respawned, self.chosen = has, respawned, []

    def has_respawned(self):
        return self.respawned

    def probe_interpreters_for_module(self, paths, names):
        return paths[0] if set(names.split(", ")) <= set(self.has) else None

    def respawn_module(self, path):
        self.chosen.append(path)
        raise SystemExit


@pytest.mark.parametrize(
    ("needed", "has", "respawned", "chosen"),
    [
        (["json"], ["json"], False, False),
        (["no_such_1", "no_such_2"], ["no_such_1", "no_such_2"], False, True),
        (["no_such_1", "json"], ["no_such_1"], False, False),
        (["no_such_1", "json"], ["no_such_1", "json"], False, True),
        (["no_such_1", "no_such_2", "json"], ["no_such_2", "json"], False, True),
        (["no_such_1", "no_such_2"], ["no_such_1"], False, True),
        (["no_such_1"], [], False, False),
        (["no_such_1"], ["no_such_1"], True, False),
    ],
)
def test_when_another_interpreter_is_chosen(monkeypatch, needed, has, respawned, chosen):
    """Protects hosts whose Python has everything, hosts where none has it, and against processes without end."""
    monkeypatch.setattr(sys.modules["__main__"], "_module_fqn", "some.module", raising=False)
    monkeypatch.setattr(interpreter, "INTERPRETERS", ("/other/python3",))
    respawn = Respawn(has, respawned)
    pipe = os.pipe
    if chosen:
        with pytest.raises(SystemExit):
            interpreter.with_libraries(respawn, *needed)
    else:
        interpreter.with_libraries(respawn, *needed)
    assert respawn.chosen == (["/other/python3"] if chosen else []) and os.pipe is pipe
    monkeypatch.delattr(sys.modules["__main__"], "_module_fqn")
    other = Respawn(has)
    interpreter.with_libraries(other, *needed)
    assert other.chosen == []


@pytest.mark.parametrize("path", sorted((ROOT / "plugins" / "modules").glob("*.py")), ids=lambda path: path.stem)
def test_each_module_looks_for_its_libraries(path):
    """Protects a new module: only ovn_services needs no library at all."""
    text = path.read_text(encoding="utf-8")
    assert path.stem == "ovn_services" or re.search(r'    with_libraries\(respawn, "', text)
