# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects whoever gives an administrator's kubeconfig: each usual kind is read, and what can't be used is said in a
sentence."""

from __future__ import annotations

import base64
import json
import pathlib
import time

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.ovn.kubernetes.plugins.filter.api_access import api_access
from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible.host import token_state
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._kubeconfig import Unusable, authority, kubeconfig
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._programs import accounts_without_token

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


def test_text_instead_of_a_path(config):
    """Protects users of a vault, of a credential of AWX, or of a lookup: the text itself, in YAML and in JSON."""
    text = pathlib.Path(config({"token": "t"}, {"certificate-authority-data": encoded(PEM)})).read_text()
    answer = {"server": "https://10.0.0.1:6443", "ca": PEM, "token": "t"}
    assert kubeconfig(text) == kubeconfig(json.dumps(yaml.safe_load(text))) == answer


def test_a_dictionary_instead_of_text(cluster, config):
    """Protects users of a lookup: before ansible-core 2.19 a template's text in JSON becomes a dictionary."""
    given = yaml.safe_load(pathlib.Path(config({"token": "t"})).read_text())
    api = {"ovn_kubernetes_api": "https://10.0.0.1:6443", "ovn_service_subnet": "10.96.0.0/16"}
    cluster.everywhere(**api, ovn_kubernetes_admin_kubeconfig=given)
    assert cluster.problems() == []
    assert api_access(cluster.hostvars, cluster.groups) == {"server": "https://10.0.0.1:6443", "token": "t"}


def test_text_that_names_a_file_beside_it(config):
    """Protects against files of whatever folder the play was started in, and the text against being shown."""
    text = pathlib.Path(config({"token": "hidden"}, {"certificate-authority": "ca.crt"})).read_text()
    with pytest.raises(Unusable) as error:
        kubeconfig(text)
    assert "hidden" not in str(error.value)
    assert str(error.value).endswith(
        'was given as text, and names the file "ca.crt" without its folder: give one that holds all itself, as '
        "kubectl config view --raw --flatten writes it"
    )


@pytest.mark.parametrize("text", ["no kubeconfig\nat all\n", "{", "a: [\n", "\0\n"])
def test_text_that_is_no_kubeconfig(text):
    with pytest.raises(Unusable, match="is no kubeconfig: give the path of one"):
        kubeconfig(text)


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
        ({"token": "t"}, "two", 'is no complete kubeconfig: it has no context "two"'),
        ({"client-key-data": "%%%"}, "one", "has a client-key-data that is not base64"),
    ],
)
def test_what_can_not_be_used(config, user, context, text):
    path = config(user, context=context)
    with pytest.raises(Unusable) as error:
        kubeconfig(path)
    assert str(error.value) == text


def test_an_authority_is_text_or_a_path(tmp_path):
    path = tmp_path / "ca.crt"
    path.write_text(PEM)
    assert authority(PEM) == authority(PEM.strip()) == authority(str(path)) == PEM


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
def test_a_token_is_replaced_only_when_it_can_not_be_used(make, expected, tmp_path):
    """Protects a second site run against changing tokens, and a first run after a long time against keeping an expired
    one."""
    account, file = "ovn-k8s-watcher", tmp_path / "token"
    file.write_text(make(), encoding="utf-8")
    state = token_state({"account": account, "path": str(file)})
    assert bool(accounts_without_token([{account: state}], {account: "u1"})) is expected
    assert make() == "" or make() not in str(state)


def test_how_the_play_reaches_the_api_server(cluster, config):
    """Protects whoever has a kubeconfig for another network: what the inventory names goes before it."""
    assert api_access(cluster.hostvars, cluster.groups) == {}
    cluster.everywhere(ovn_kubernetes_api="https://10.0.0.7:6443/", ovn_kubernetes_token="watcher")
    assert api_access(cluster.hostvars, cluster.groups) == {"server": "https://10.0.0.7:6443", "token": "watcher"}
    path = config({"token": "admin"}, {"certificate-authority-data": encoded(PEM)})
    cluster.everywhere(ovn_kubernetes_admin_kubeconfig=path)
    assert api_access(cluster.hostvars, cluster.groups) == {
        "server": "https://10.0.0.7:6443",
        "token": "admin",
        "ca": PEM,
    }


def test_what_can_not_be_read_names_its_variable(cluster):
    cluster.everywhere(ovn_kubernetes_api="https://10.0.0.7:6443", ovn_kubernetes_ca="/nowhere")
    with pytest.raises(AnsibleFilterError, match="ovn_kubernetes_ca can't be read on the controller"):
        api_access(cluster.hostvars, cluster.groups)


def test_an_address_from_facts_that_are_missing(cluster):
    """Protects ansible-core before 2.19, which computes templates that it does not use: what can't be known yet is no
    error."""
    cluster.everywhere(ovn_kubernetes_api="https://{{ ansible_facts.default_ipv4.address }}:6443")
    assert api_access(cluster.hostvars, cluster.groups) == {}
