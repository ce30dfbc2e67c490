# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who keeps credentials out of the inventory: files that the environment names count like variables, and what
is wrong with them is said without showing them."""

from __future__ import annotations

import json

import pytest

from ansible_collections.ovn.kubernetes.plugins.filter.api_access import api_access

API = {"ovn_service_subnet": "10.96.0.0/16", "ovn_kubernetes_api": "https://10.0.0.1:6443"}
SECRET = "c2VjcmV0LW9mLXRoZS10ZXN0"
PEM = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"
KUBECONFIG = {
    "current-context": "a",
    "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
    "clusters": [{"name": "a", "cluster": {"server": "https://10.0.0.1:6443"}}],
    "users": [{"name": "a", "user": {"token": SECRET}}],
}


@pytest.fixture
def give(tmp_path, monkeypatch):
    """Return a function that names a file with this text in the environment."""

    def write(name, text):
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        monkeypatch.setenv(f"OVN_KUBERNETES_{name}_FILE", str(file))
        return str(file)

    return write


def test_files_of_the_environment(cluster, give):
    """Protects jobs of AWX: token and authority are those of the files, also with the empty line at their end that a
    form leaves."""
    give("TOKEN", f"{SECRET}\n")
    give("CA", PEM)
    cluster.everywhere(**API)
    assert cluster.problems() == []
    access = api_access(cluster.hostvars, cluster.groups)
    assert access == {"server": "https://10.0.0.1:6443", "token": SECRET, "ca": PEM}


def test_an_administrators_kubeconfig(cluster, give):
    """Protects jobs that make the accounts: the kubeconfig's credential is used."""
    give("ADMIN_KUBECONFIG", json.dumps(KUBECONFIG))
    cluster.everywhere(**API)
    assert cluster.problems() == []
    assert api_access(cluster.hostvars, cluster.groups)["token"] == SECRET


def test_the_inventory_goes_first(cluster, give):
    """Protects what an inventory says, as variables do everywhere in Ansible."""
    give("TOKEN", SECRET)
    cluster.everywhere(**API, ovn_kubernetes_token="other")
    assert api_access(cluster.hostvars, cluster.groups)["token"] == "other"


def test_without_kubernetes_nothing_is_asked(cluster, give):
    """Protects templates that have the credential although the overlay has no Kubernetes."""
    give("TOKEN", SECRET)
    assert cluster.problems() == [] and api_access(cluster.hostvars, cluster.groups) == {}


def test_a_file_that_is_not_there(cluster, monkeypatch):
    """Protects who misspells a path: it is named, with the variable that it stands for."""
    monkeypatch.setenv("OVN_KUBERNETES_TOKEN_FILE", "/nowhere/token")
    cluster.everywhere(**API)
    assert cluster.problems() == [
        "ovn-master, ovn-node1 and ovn-node2: ovn_kubernetes_token can't be worked out: OVN_KUBERNETES_TOKEN_FILE "
        'names "/nowhere/token", which can\'t be read on the controller: No such file or directory'
    ]


@pytest.mark.parametrize("name", ["TOKEN", "CA", "ADMIN_KUBECONFIG"])
def test_files_of_another_kind_are_not_shown(cluster, give, name):
    """Protects secrets in a file that is named for another: one sentence says what is wrong, and shows none of it."""
    give(name, f"{SECRET} {SECRET}\n{SECRET}\n")
    cluster.everywhere(**API, **({"ovn_kubernetes_token": "abc"} if name == "CA" else {}))
    found = cluster.problems()
    assert len(found) == 1 and f"ovn_kubernetes_{name.lower()}" in found[0] and SECRET not in found[0], found
