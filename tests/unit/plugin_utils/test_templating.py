# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the filters in the place where they are used: a play, with Ansible's own hostvars, templates in the
inventory, and tagged values."""

from __future__ import annotations

import json
import pathlib
import re

import ansible_calls
import pytest
import yaml

COLLECTIONS = pathlib.Path(__file__).resolve().parents[3] / ".cache" / "collections"
ROLES = COLLECTIONS.parents[1] / "roles"

PEM = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"

INVENTORY = {
    "all": {
        "vars": {
            "ansible_connection": "local",
            "site": {"pods": ["192.168.0.0/16", "fd10::/48"]},
            "ovn_cluster_subnet": "{{ site.pods }}",
            "ovn_node_subnet_prefix": "{{ [site_prefix, 64] }}",
            "site_prefix": 25,
            "outside": "10.55.0",
        },
        "children": {
            "ovn_masters": {"children": {"kube_control_plane": {"hosts": {"ovn-master": {}}}}},
            "ovn_nodes": {
                "hosts": {"ovn-node1": {"ovn_node_name": "{{ inventory_hostname | upper }}"}, "ovn-node2": {}}
            },
            "ovn_gateways": {
                "hosts": {
                    "ovn-node1": {
                        "ovn_gateway_interface": "eth1",
                        "ovn_gateway_ip": ["{{ outside }}.12/24", "fd55::12/64"],
                        "ovn_gateway_next_hop": "{{ outside }}.254",
                    }
                }
            },
        },
    },
}

PLAY = [
    {
        "name": "Ask the filters",
        "hosts": "ovn_masters:ovn_nodes:ovn_gateways",
        "gather_facts": False,
        "vars_files": [str(ROLES / role / "vars" / "main.yml") for role in ("common", "master")],
        "vars": {
            "ovn_play_variable": "is not the inventory's, and nobody's business",
            "known": {"nodes": {"ovn-node2": {"subnets": ["192.168.9.0/25"]}}},
        },
        "tasks": [
            {
                "name": "Give each host facts",
                "ansible.builtin.set_fact": {
                    "cacheable": True,
                    "interfaces": ["eth0", "eth1"],
                    "default_ipv4": {
                        "address": "10.44.0.{{ 11 + (groups['all'] | sort).index(inventory_hostname) }}",
                        "interface": "eth0",
                        "mtu": 1500,
                        "prefix": "24",
                    },
                },
            },
            {
                "name": "Ask all three",
                "run_once": True,
                "ansible.builtin.debug": {
                    "msg": (
                        "answers {{ {'problems': hostvars | ovn.kubernetes.problems(groups),"
                        " 'subnets': hostvars | ovn.kubernetes.node_subnets(groups, known),"
                        " 'api': common_api, 'packages': master_all_packages.Debian,"
                        " 'node': hostvars | ovn.kubernetes.settings(groups, 'ovn-node1'),"
                        " 'all': hostvars | ovn.kubernetes.settings(groups, ansible_play_hosts)} | to_json }}"
                    )
                },
                "when": "hostvars | ovn.kubernetes.problems(groups) | length == 0",
            },
            {
                "name": "Ask for problems",
                "run_once": True,
                "ansible.builtin.assert": {
                    "that": "problems | length == 0",
                    "fail_msg": "{{ problems }}",
                    "quiet": True,
                },
                "vars": {"problems": "{{ hostvars | ovn.kubernetes.problems(groups) }}"},
            },
        ],
    }
]


@pytest.fixture
def play(tmp_path):
    """Return a function that runs the play with extra variables, and returns the exit code, what was said, and the
    filters' results."""
    inventory, playbook = tmp_path / "inventory.yml", tmp_path / "play.yml"

    def run(**variables):
        inventory.write_text(yaml.safe_dump(INVENTORY), encoding="utf-8")
        playbook.write_text(yaml.safe_dump(PLAY), encoding="utf-8")
        command = ("ansible-playbook", "-i", str(inventory), str(playbook), "-e", json.dumps(variables))
        code, said = ansible_calls.run(*command, limit=120)
        answers = re.search(r'"msg": ("answers .*")$', said, re.MULTILINE)
        return code, said, json.loads(json.loads(answers[1]).partition(" ")[2]) if answers else None

    return run


def test_a_right_inventory_in_a_play(play):
    """Protects filters in a play: templates are computed for their own host, and results are plain and can be written
    as JSON."""
    code, said, answers = play()
    assert code == 0, said
    assert answers["problems"] == []
    assert answers["subnets"] == {
        "ovn-master": ["192.168.0.0/25", "fd10::/64"],
        "ovn-node1": ["192.168.0.128/25", "fd10:0:0:1::/64"],
        "ovn-node2": ["192.168.9.0/25", "fd10:0:0:2::/64"],
    }
    assert answers["node"]["node_name"] == "ovn-node1"
    assert answers["node"]["encap_ip"] == "10.44.0.12"
    assert answers["node"]["southbound_remote"] == "ssl:10.44.0.11:6642"
    assert answers["node"]["gateway"] == {
        "physical_interface": "eth1",
        "shared_interface": "",
        "bridge_interface": "",
        "physical_ips": ["10.55.0.12/24", "fd55::12/64"],
        "default_gws": ["10.55.0.254"],
    }
    assert sorted(answers["all"]) == ["ovn-master", "ovn-node1", "ovn-node2"]
    assert answers["all"]["ovn-node1"] == answers["node"]


def test_answers_of_a_survey(play):
    """Protects AWX job templates, whose surveys give text, and which set extra variables."""
    code, said, answers = play(
        ovn_mtu="1400", ovn_tls="false", ovn_join_subnet="100.70.0.0/16,fd99::/64", ovn_remove_hosts="ovn-node2"
    )
    assert code == 0, said
    assert answers["node"]["mtu"] == 1400
    assert answers["node"]["tls"] is False
    assert answers["node"]["join_subnets"] == ["100.70.0.0/16", "fd99::/64"]


def test_questions_that_were_not_answered(play, monkeypatch):
    """Protects AWX job templates: an optional question without an answer is an empty extra variable, which must not
    hide what the inventory has, nor be refused. What -e has else stays."""
    monkeypatch.setitem(INVENTORY["all"]["vars"], "ovn_mtu", 1380)
    code, said, answers = play(ovn_mtu="", ovn_kubernetes_api=" ", ovn_remove_hosts="", ovn_join_subnet="100.70.0.0/16")
    assert code == 0, said
    assert answers["node"]["mtu"] == 1380
    assert answers["node"]["join_subnets"][0] == "100.70.0.0/16"
    assert answers["node"]["kubernetes"] is None
    assert answers["api"] == {} and "python3-aiohttp" not in answers["packages"]


def test_how_the_roles_reach_the_api_server(play, monkeypatch, tmp_path):
    """Protects the roles' own variables: they have what the filters have, without an empty extra variable that hides
    the inventory's value, and without spaces around it; the administrator's credential goes before a token."""
    (tmp_path / "ca.crt").write_text(PEM, encoding="utf-8")
    user = {"name": "u", "user": {"token": "of-the-administrator"}}
    config = {
        "current-context": "one",
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://10.9.9.9:6443"}}],
        "users": [user],
    }
    (tmp_path / "config").write_text(json.dumps(config), encoding="utf-8")
    for name, value in (
        ("api", "https://10.0.0.1:6443/ "),
        ("ca", f"{tmp_path / 'ca.crt'} "),
        ("token", " of-the-watcher\n"),
    ):
        monkeypatch.setitem(INVENTORY["all"]["vars"], f"ovn_kubernetes_{name}", value)
    monkeypatch.setitem(INVENTORY["all"]["vars"], "ovn_service_subnet", "10.96.0.0/16")
    server = {"server": "https://10.0.0.1:6443", "ca": PEM}
    code, said, answers = play(
        ovn_kubernetes_api="", ovn_kubernetes_ca=" ", ovn_kubernetes_token="", ovn_kubernetes_admin_kubeconfig=""
    )
    assert code == 0, said
    assert answers["api"] == {**server, "token": "of-the-watcher"}
    assert "python3-aiohttp" in answers["packages"]
    code, said, answers = play(ovn_kubernetes_admin_kubeconfig=f" {tmp_path / 'config'}")
    assert code == 0, said
    assert answers["api"] == {**server, "token": "of-the-administrator"}


def test_removal_is_not_confirmed_in_the_inventory(play, monkeypatch):
    """Protects clusters against an inventory that confirms the removal of everything in every run."""
    monkeypatch.setitem(INVENTORY["all"]["vars"], "ovn_remove_confirmed", True)
    code, said, _answers = play()
    assert code == 2, said
    assert (
        "ovn_remove_confirmed is set in the inventory, where it would apply to every run: remove the line, and "
        "give it with -e" in said
    )
    code, said, answers = play(ovn_remove_confirmed="true")
    assert code == 0 and answers["problems"] == []


def test_a_wrong_inventory_stops_the_play(play):
    """Protects the reader: the sentence with host, variable, value and what is right is what the play shows; a template
    without its variable too."""
    code, said, answers = play(outside="10.55", ovn_mtu="{{ site_mtu }}")
    assert code == 2, said
    assert answers is None
    said = said.replace("\\", "")
    assert (
        'ovn-node1: ovn_gateway_ip "10.55.12/24" is not an address with a prefix length: write it like 10.33.74.138/24'
        in said
    )
    assert (
        "ovn-master, ovn-node1 and ovn-node2: ovn_mtu can't be worked out: " in said
    )  # the rest is Ansible's, and differs by its version
    assert "Traceback" not in said
