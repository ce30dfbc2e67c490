# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what the site play makes of a host's tokens: its real tasks, with modules in the place of those that ask the
API server."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
SECRET = "e30.c2VjcmV0.of-the-second-program"
MODULE = f"""#!{sys.executable}
# WANT_JSON
print('{{"changed": false, ANSWER}}')
"""
PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: ovn.kubernetes.master, tasks_from: access}
"""
# On the machine the folder of the settings is another one.
SCRIPT = """
mkdir -p /etc/ovn-kubernetes; mount -t tmpfs none /etc/ovn-kubernetes; cd /etc/ovn-kubernetes
chmod 750 .; printf old >node.token; chmod 644 node.token; chown 1000 node.token
"$@" --check --diff; ls; stat -c '%a %u' . node.token
ANSIBLE_HOME=$ANSIBLE_HOME-other "$@" -vvv --diff >"$ANSIBLE_HOME-said" 2>&1 & "$@" -vvv --diff; wait $!
stat -c '%a %u' . node.token b.token; cat node.token b.token >&2
"$@"; ls
"""


def test_tokens_of_a_host(tmp_path):
    """Protects the API server: a token that is there is root's alone again, and keeps its text; a new one is written
    once, in the first run already, which brings the programs, and is shown nowhere. Check mode only says what differs,
    and the last run changes nothing.

    Two plays make it at the same moment, as from two controllers: both end right, and what one has written the other
    leaves."""
    collection = tmp_path / "ansible_collections" / "ovn" / "kubernetes"
    (collection / "plugins" / "modules").mkdir(parents=True)
    for name in ("galaxy.yml", "meta", "roles"):
        (collection / name).symlink_to(ROOT / name)
    for name in ("action", "filter", "lookup", "plugin_utils", "module_utils", "modules/ovn_host.py"):
        (collection / "plugins" / name).symlink_to(ROOT / "plugins" / name)
    for name, answer in (("access", {"accounts": {"b": "u1"}}), ("token", {"tokens": {"b": SECRET}})):
        text = MODULE.replace("ANSWER", json.dumps(answer)[1:-1])
        (collection / "plugins" / "modules" / f"ovn_kubernetes_{name}.py").write_text(text, encoding="utf-8")
    programs = [
        {"account": name, "file": f"/etc/ovn-kubernetes/{name}.json", "settings": {"ca_file": ""}} for name in "ab"
    ]
    programs[0]["token_file"], programs[1]["token_file"] = (
        f"/etc/ovn-kubernetes/{name}.token" for name in ("node", "b")
    )
    kubernetes = {"accounts": True, "server": "https://127.0.0.1:1", "programs": programs}
    variables = {
        "common_all_settings": {"host1": {"kubernetes": kubernetes, "log_level": "info"}},
        "common_all_names": {},
        "common_all_former": {},
        "common_api": {"server": "https://127.0.0.1:1"},
        "common_archive": "/etc/ovn-kubernetes/programs.pyz",
        "common_archive_checksum": "{{ lookup('ovn.kubernetes.runtime', checksum=true) }}",
        "ansible_python_interpreter": sys.executable,
    }
    (tmp_path / "play.yml").write_text(PLAY, encoding="utf-8")
    (tmp_path / "variables.json").write_text(json.dumps(variables), encoding="utf-8")
    (tmp_path / "hosts").write_text("[ovn_masters]\nhost1 ansible_connection=local\n", encoding="utf-8")
    (tmp_path / "ansible.cfg").write_text("[defaults]\n", encoding="utf-8")
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(tmp_path),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    playbook = [sys.executable, "-m", "ansible", "playbook", "-i", str(tmp_path / "hosts"), str(tmp_path / "play.yml")]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", SCRIPT, "sh", *playbook, "-e", f"@{tmp_path / 'variables.json'}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    recaps = [number for number, line in enumerate(lines) if line.startswith("host1 ")]
    assert "+file /etc/ovn-kubernetes/a.json mode 0644" in lines[: recaps[0]]
    assert lines[recaps[0] + 2 : recaps[0] + 5] == ["node.token", "750 0", "644 1000"]
    assert lines[recaps[1] + 2 : recaps[1] + 5] == ["755 0", "600 0", "600 0"]
    assert done.stderr.endswith(f"old{SECRET}\n")
    other = (tmp_path / "home-said").read_text(encoding="utf-8")
    written = [*lines[recaps[0] :], *other.splitlines()]
    assert written.count("+file /etc/ovn-kubernetes/a.json mode 0644") == 1
    assert "unreachable=0    failed=0 " in other and SECRET not in other
    assert "changed=0 " in lines[recaps[2]]
    assert lines[recaps[2] + 2 :] == ["a.json", "b.json", "b.token", "log.env", "node.token", "programs.pyz"]
    assert SECRET not in done.stdout and SECRET not in done.stderr[: -len(SECRET) - 1]
