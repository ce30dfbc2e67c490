# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects how programs reach the API server: their files, and which of them get a new token."""

from __future__ import annotations

import base64
import json

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
        {"dest": "/etc/ovn-kubernetes/kubernetes-watcher.json", "content": text},
        {"dest": "/etc/ovn-kubernetes/kubernetes-node.json", "content": text},
        {"dest": "/etc/ovn-kubernetes/kubernetes-ca.crt", "content": "PEM"},
    ]


def test_settings_are_what_each_core_writes():
    """Protects verify, which compares the files' checksums: up to ansible-core 2.18 a template's JSON text becomes a
    dictionary, which ``copy`` makes text again in this way."""
    for program in (*PROGRAMS, dict(PROGRAMS[0], settings={"server": "https://h\u00f6st", "ca_file": None})):
        content = access_files([program], "")[0]["content"]
        assert json.dumps(json.loads(content)) == content


def test_without_an_authority_there_is_no_file_of_one():
    """Protects API servers whose certificate the host's own authorities have signed."""
    program = dict(PROGRAMS[0], settings={"server": "https://10.0.0.1:6443", "ca_file": None})
    assert [file["dest"] for file in access_files([program], "")] == [program["file"]]
    assert access_files([], "PEM") == []


def test_only_new_tokens_are_written():
    """Protects tokens that programs have renewed themselves, and programs that use none."""
    assert token_files(PROGRAMS, {"ovn-k8s-watcher": "abc", "ovn-k8s-node-n1": "def"}) == [
        {"dest": "/etc/ovn-kubernetes/kubernetes-watcher.token", "content": "abc\n"}
    ]
    assert token_files(PROGRAMS, {}) == []


def test_accounts_of_all_hosts_that_need_a_token_are_named_once():
    """Protects the API server from one request a host, and hosts without a token, or with bytes that are none, from
    having none."""
    bad = base64.b64encode(b"\xff\xfe").decode()
    reads = [
        {"results": [{"item": {"account": "a"}, "failed": True}, {"item": {"account": "b"}, "content": bad}]},
        {"results": [{"item": {"account": "a"}, "content": ""}]},
        {"skipped": True},
    ]
    assert accounts_without_token(reads, {"a": "u1"}) == ["a", "b"]
