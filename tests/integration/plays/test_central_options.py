# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the options of OVN central as the role writes them."""

from __future__ import annotations

import pathlib

import ansible_calls
import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("address", "local"), [("10.44.0.11", "10.44.0.11"), ("fd44::11", "[fd44::11]")], ids=["IPv4", "IPv6"]
)
def test_options_follow_the_masters_tunnel_address(tmp_path, address, local):
    """Protects both kinds of underlay, and the form in which units read the options."""
    options = "--db-nb-create-insecure-remote=no --db-sb-create-insecure-remote=no"
    for key in ("nb", "sb"):
        for end in ("local", "remote"):
            options += f" --db-{key}-cluster-{end}-addr={local} --db-{key}-cluster-{end}-proto=tcp"
    variables_of_all = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
    inventory = {
        "all": {"vars": {"ovn_cluster_subnet": "192.168.0.0/16", "ovn_tls": False, **variables_of_all}},
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
