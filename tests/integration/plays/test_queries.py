# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects users who copy the tasks of docs/plays.md: each of them gives the answer that it promises."""

from __future__ import annotations

import json
import pathlib
import re
import sys

import ansible_calls
import yaml

PAGE = pathlib.Path(__file__).resolve().parents[3] / "docs" / "plays.md"
OVERLAY = {
    "nodes": {
        "node1": {
            "subnets": ["192.168.1.0/24", "fd10:0:0:1::/64"],
            "chassis": "id-1",
            "pods": {"192.168.1.0/24": {"count": 2}, "fd10:0:0:1::/64": {"count": 2}},
        },
        "node2": {"subnets": ["192.168.2.0/25"], "chassis": "id-2", "pods": {}},
    },
    "gateways": {"node1": {"alive": True}, "node2": {"alive": False}},
    "chassis": {"id-1": {}},
}
# Stands in for ovn_info: values of a module are others than those of a variable since ansible-core 2.19.
SAVED_OVERLAY = """
import json
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({"path": {"type": "path"}})
with open(module.params["path"]) as stream:
    module.exit_json(**json.load(stream))
"""
ANSWERS = {
    "Name the gateways that carry no default traffic": ["node2"],
    "Count the pods of each node": [{"node": "node1", "pods": 4}, {"node": "node2", "pods": 0}],
    "Name the nodes whose chassis has not registered": ["id-2"],
    "Say how many addresses each node's IPv4 network has": {"node1": 256, "node2": 128},
    "Say which node an address of a pod is of": "node2",
}


def test_each_query_gives_its_answer(tmp_path):
    """Protects the documented play and its queries: they run as they are, on an overlay whose answers are known."""
    (play,), tasks = (
        yaml.safe_load(block) for block in re.findall(r"(?ms)^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"))
    )
    asked = [{**task, "register": f"answer_{number}"} for number, task in enumerate(tasks)]
    save = {
        "name": "Save the answers",
        "ansible.builtin.copy": {"content": "{{ answers | to_json }}", "dest": str(tmp_path / "answers")},
        "vars": {"answers": ["{{ " + task["register"] + ".msg }}" for task in asked]},
    }
    library = tmp_path / "library"
    library.mkdir()
    (library / "saved_overlay.py").write_text(SAVED_OVERLAY, encoding="utf-8")
    (tmp_path / "overlay.json").write_text(json.dumps(OVERLAY), encoding="utf-8")
    (read,) = play["tasks"]
    instead = {"name": read["name"], "saved_overlay": {"path": str(tmp_path / "overlay.json")}, "register": "overlay"}
    assert set(read) == {"name", "ovn.kubernetes.ovn_info", "register", "run_once"} and read["register"] == "overlay"
    whole = {**play, "hosts": "localhost", "gather_facts": False, "tasks": [instead, *asked, save]}
    (tmp_path / "play.yml").write_text(json.dumps([whole]), encoding="utf-8")
    here = ("-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}")
    code, said = ansible_calls.run("ansible-playbook", *here, str(tmp_path / "play.yml"))
    assert code == 0 and "WARNING" not in said, said
    answers = json.loads((tmp_path / "answers").read_text(encoding="utf-8"))
    assert dict(zip([task["name"] for task in tasks], answers, strict=True)) == ANSWERS
