# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who gives values as forms, vaults and other systems have them, and who gives wrong ones, on the oldest and
the newest ansible-core. Each value on its own is in tests/unit/plugin_utils; here all of them are in one play."""

from __future__ import annotations

import json

import yaml

from .conftest import BOTH, KUBECONFIG

SECRET = KUBECONFIG["users"][0]["user"]["token"]
ADMIN = "ovn_kubernetes_admin_kubeconfig"
EMPTY = {
    "ovn_cluster_subnet": ["", " "],
    "ovn_service_subnet": [],
    "ovn_mtu": " ",
    "ovn_tls": "",
    "ovn_join_subnet": "[]",
    "ovn_node_subnet_prefix": "''",
    "ovn_log_level": "\ufeff",
    ADMIN: "",
}


@BOTH
def test_what_is_right(plays):
    """Protects a whole run: the text of a kubeconfig with ends of lines of another system, answers of a form that
    nobody gave, lists and booleans as text. The credential is in no output, not in the results that -vvv shows, and in
    no cache. Nothing is written into a project, which may be under version control or can't be written."""
    plays.variables.update(
        {
            "ovn_kubernetes_api": " HTTPS://10.0.0.1:6443\n",
            "ovn_service_subnet": "- 10.96.0.0/16",
            "ovn_mtu": "'1400' ",
            "ovn_tls": "off",
            ADMIN: yaml.safe_dump(KUBECONFIG).replace("\n", "\r\n"),
        }
    )
    extra = {**EMPTY, "ovn_egress_rebalance": "'y' "}
    (plays.folder / "extra.json").write_text(json.dumps(extra), encoding="utf-8")
    environment = {
        "ANSIBLE_CACHE_PLUGIN": "jsonfile",
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(plays.folder / "facts"),
    }
    code, said, calls = plays.run(
        "ovn.kubernetes.site", "-vvv", "--diff", "-e", f"@{plays.folder / 'extra.json'}", **environment
    )
    assert code == 0, said
    (access,) = [call for _host, module, call in calls if module == "ovn_kubernetes_access"]
    assert (access["server"], access["token"]) == ("https://10.0.0.1:6443", SECRET)
    (rows,) = [call for _host, module, call in calls if module == "ovn_master_init"]
    assert (rows["cluster_ip_subnet"], rows["rebalance_egress"]) == (["192.168.0.0/16"], True)
    kept = [file.read_text("utf-8") for file in (plays.folder / "facts").iterdir()]
    assert len(kept) > 2 and [text for text in (said, *kept) if SECRET in text] == []
    assert sorted(path.name for path in plays.project.iterdir()) == ["hosts.yml"]


@BOTH
def test_what_is_wrong(plays):
    """Protects who makes every mistake at once: each is named before a host is reached, and no secret is shown, also
    not by the lines that newer versions of Ansible show of a file."""
    plays.variables.update(
        {
            "ovn_kubernetes_api": f"https://me:{SECRET}@10.0.0.1:6443",
            "ovn_service_subnet": "10.96.0.0/16",
            "ovn_kubernetes_token": f"Bearer {SECRET}",
            "ovn_mtu": "{{ nowhere }}",
            ADMIN: [KUBECONFIG],
            "ovn_node_subnet_prefix": "{{ size | default(omit) }}",
            "ovn_join_subnet": "{{ a_secret | to_datetime }}",
            "a_secret": f"token: {SECRET}",
            "ovn_tls": f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n",
            "ovn_pass": SECRET,
            "ovn_MTU": 1400,
        }
    )
    plays.hosts.update(stray={"onv_gateway_ip": "10.55.0.13/24"}, lost={})
    plays.groups["ovn-gw"] = ["lost"]
    code, said, calls = plays.run("ovn.kubernetes.validate", "-vvv", "-e", "OVN_REMOVE_HOSTS=ovn-node2")
    assert code == 2 and calls == [] and SECRET not in said, said
    named = (
        "lost: the group ovn-gw is not one of this collection, and the host is in none that is: did you mean",
        "stray: onv_gateway_ip is set, and the host is in none of ovn_masters",
        "ovn_MTU 1400 is not a variable of this collection: did you mean ovn_mtu?",
        "OVN_REMOVE_HOSTS is not a variable of this collection: did you mean ovn_remove_hosts?",
        "ovn_pass is not a variable of this collection",
        "ovn_kubernetes_api (not shown, since it may be a secret) has a user or a query",
        "ovn_kubernetes_token has spaces, several lines",
        f"{ADMIN} is not text",
        "ovn_tls (not shown, since it may be a secret) is neither true nor false",
        "ovn_mtu can't be worked out: ",
        "ovn_join_subnet can't be worked out: (not shown, since it may be a secret)",
        "ovn_node_subnet_prefix can't be worked out: omit is for options of modules",
    )
    assert [text for text in named if text not in said] == [], said
