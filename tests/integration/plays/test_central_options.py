# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the options of OVN central as the role writes them: where the Southbound database listens."""

from __future__ import annotations

import pathlib

import ansible_calls
import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
COMMON = "--db-nb-create-insecure-remote=no --db-sb-create-insecure-remote=yes"


@pytest.mark.parametrize(
    ("address", "options"), [("10.44.0.11", COMMON), ("fd44::11", f"{COMMON} --db-sb-addr=[::]")], ids=["IPv4", "IPv6"]
)
def test_options_follow_the_masters_tunnel_address(tmp_path, address, options):
    """Protects both kinds of underlay: on IPv4 the options stay as they were, and nothing is restarted."""
    local = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
    inventory = {
        "all": {"vars": {"ovn_cluster_subnet": "192.168.0.0/16", **local}},
        "ovn_masters": {"hosts": {"master": {"ovn_encap_ip": address}}},
    }
    show = {"ansible.builtin.copy": {"content": "{{ master_options_text }}", "dest": str(tmp_path / "text")}}
    variables = [str(ROOT / "roles" / "master" / "vars" / "main.yml")]
    play = {"hosts": "ovn_masters", "gather_facts": False, "vars_files": variables, "tasks": [show]}
    for name, content in (("hosts.yml", inventory), ("play.yml", [play])):
        (tmp_path / name).write_text(yaml.safe_dump(content), encoding="utf-8")
    code, said = ansible_calls.run(
        "ansible-playbook", "-i", str(tmp_path / "hosts.yml"), str(tmp_path / "play.yml"), limit=120
    )
    assert code == 0, said
    assert (tmp_path / "text").read_text(encoding="utf-8").splitlines()[1:] == [
        f'OVN_CTL_OPTS="{options}"',
        f'OVN_NORTHD_OPTS="{options}"',
    ]
