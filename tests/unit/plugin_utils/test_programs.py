# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects how programs reach the API server: their files, and which of them get a new token."""

from __future__ import annotations

import json

from ansible_collections.ovn.kubernetes.plugins.action.ovn_host import with_texts
from ansible_collections.ovn.kubernetes.plugins.filter.access_files import access_files
from ansible_collections.ovn.kubernetes.plugins.filter.accounts_without_token import accounts_without_token
from ansible_collections.ovn.kubernetes.plugins.filter.token_files import token_files

PROGRAMS = [
    {
        "account": "ovn-k8s-watcher",
        "file": "/etc/ovn-kubernetes/kubernetes-watcher.json",
        "token_file": "/etc/ovn-kubernetes/kubernetes-watcher.token",
        "settings": {"server": "https://10.0.0.1:6443", "ca_file": "/etc/ovn-kubernetes/kubernetes-ca.crt"},
    },
    {
        "account": "ovn-k8s-node-n1",
        "file": "/etc/ovn-kubernetes/kubernetes-node.json",
        "token_file": "",
        "settings": {"ca_file": "/etc/ovn-kubernetes/kubernetes-ca.crt", "server": "https://10.0.0.1:6443"},
    },
]


def test_each_program_has_its_settings_and_all_have_one_authority():
    """Protects the files' bytes, which decide whether a program is restarted."""
    text = '{"ca_file": "/etc/ovn-kubernetes/kubernetes-ca.crt", "server": "https://10.0.0.1:6443"}'
    assert access_files(PROGRAMS, "PEM") == [
        {"path": "/etc/ovn-kubernetes/kubernetes-watcher.json", "content": text, "mode": "0644"},
        {"path": "/etc/ovn-kubernetes/kubernetes-node.json", "content": text, "mode": "0644"},
        {"path": "/etc/ovn-kubernetes/kubernetes-ca.crt", "content": "PEM", "mode": "0644"},
    ]


def test_settings_are_what_each_core_writes():
    """Protects programs from restarts, and verify, which compares the files' checksums: up to ansible-core 2.18 a
    template's JSON text becomes a dictionary, which the action plugin makes text again."""
    for program in (*PROGRAMS, dict(PROGRAMS[0], settings={"server": "https://h\u00f6st", "ca_file": None})):
        (file,) = access_files([program], "")[:1]
        assert with_texts({"files": [dict(file, content=json.loads(file["content"]))]}) == {"files": [file]}


def test_without_an_authority_there_is_no_file_of_one():
    """Protects API servers whose certificate the host's own authorities have signed."""
    program = dict(PROGRAMS[0], settings={"server": "https://10.0.0.1:6443", "ca_file": None})
    assert [file["path"] for file in access_files([program], "")] == [program["file"]]
    assert access_files([], "PEM") == []


def test_programs_without_a_token_have_no_file_of_one():
    """Protects programs that use none, and the call: it says whose token is waited for."""
    path = "/etc/ovn-kubernetes/kubernetes-watcher.token"
    assert token_files(PROGRAMS, True) == [{"account": "ovn-k8s-watcher", "path": path, "issued": True}]


def test_accounts_of_all_hosts_that_need_a_token_are_named_once():
    """Protects the API server from one request a host, and hosts without a token from having none."""
    missing, usable = {"problem": "is missing", "uid": ""}, {"problem": "", "uid": "u1"}
    states = [{"a": missing, "b": missing}, {"a": missing, "c": usable}, {}]
    assert accounts_without_token(states, {"a": "u1", "c": "u1"}) == ["a", "b"]
    assert accounts_without_token(states, {"c": "u2"}) == ["a", "b", "c"]
