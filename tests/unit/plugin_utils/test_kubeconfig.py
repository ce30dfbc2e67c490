# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects whoever gives an administrator's kubeconfig: each usual kind is read, and what can't be used is said in a
sentence."""

from __future__ import annotations

import base64
import json
import time

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.ovn.kubernetes.plugins.filter.authority import authority
from ansible_collections.ovn.kubernetes.plugins.filter.kubeconfig import kubeconfig
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._programs import needs_token

PEM = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"


def encoded(text):
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def config(tmp_path):
    """Return a function that writes a kubeconfig with a user of this kind, and returns its path."""

    def write(user, cluster=None, context="one"):
        path = tmp_path / "config"
        path.write_text(
            yaml.safe_dump(
                {
                    "current-context": context,
                    "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u"}}],
                    "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443", **(cluster or {})}}],
                    "users": [{"name": "u", "user": user}],
                }
            )
        )
        return str(path)

    return write


def test_a_client_certificate_in_the_file(config):
    user = {"client-certificate-data": encoded("cert"), "client-key-data": encoded("key")}
    assert kubeconfig(config(user, {"certificate-authority-data": encoded(PEM)})) == {
        "server": "https://10.0.0.1:6443",
        "ca": PEM,
        "certificate": "cert",
        "key": "key",
    }


def test_files_beside_the_kubeconfig(config, tmp_path):
    (tmp_path / "ca.crt").write_text(PEM)
    (tmp_path / "token").write_text("secret\n")
    assert kubeconfig(config({"tokenFile": "token"}, {"certificate-authority": "ca.crt"})) == {
        "server": "https://10.0.0.1:6443",
        "ca": PEM,
        "token": "secret",
    }


@pytest.mark.parametrize(
    ("user", "context", "text"),
    [
        (
            {"exec": {"command": "get-token"}},
            "one",
            "asks a program for its credential: give a kubeconfig with a token, or with a client certificate and "
            "its key",
        ),
        ({}, "one", "has no credential: give a kubeconfig with a token, or with a client certificate and its key"),
        ({"token": "t"}, "two", "is no complete kubeconfig: it has no context 'two'"),
        ({"client-key-data": "%%%"}, "one", "has a client-key-data that is not base64"),
    ],
)
def test_what_can_not_be_used(config, user, context, text):
    path = config(user, context=context)
    with pytest.raises(AnsibleFilterError) as error:
        kubeconfig(path)
    assert str(error.value) == f"ovn.kubernetes.kubeconfig: {path} {text}"


def test_an_authority_is_text_or_a_path(tmp_path):
    path = tmp_path / "ca.crt"
    path.write_text(PEM)
    assert authority(PEM) == authority(str(path)) == PEM


def token(account="ovn-k8s-watcher", uid="u1", age=0, life=1000):
    issued = time.time() - age
    claims = {
        "sub": f"system:serviceaccount:ovn-kubernetes:{account}",
        "iat": issued,
        "exp": issued + life,
        "kubernetes.io": {"serviceaccount": {"uid": uid}},
    }
    return f"e30.{encoded(json.dumps(claims)).rstrip('=')}.x"


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (token, False),
        (lambda: token(age=70000, life=100000), False),  # its program renews it now
        (lambda: token(age=80001, life=100000), True),  # it has not
        (lambda: token(uid="of an account that was deleted"), True),
        (lambda: token(account="other"), True),
        (lambda: "", True),
        (lambda: "static-token", True),
    ],
)
def test_a_token_is_replaced_only_when_it_can_not_be_used(make, expected):
    """Protects a second site run against changing tokens, and a first run after a long time against keeping an expired
    one."""
    assert needs_token(make(), "ovn-k8s-watcher", "u1") is expected
