# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects credentials against being shown: in every form in which people give them, in the right variable and in a
wrong one."""

from __future__ import annotations

import base64
import json

import pytest
import yaml

from ansible_collections.ovn.kubernetes.plugins.filter.api_access import api_access

API, ADMIN = "ovn_kubernetes_api", "ovn_kubernetes_admin_kubeconfig"
TOKEN, CA = "ovn_kubernetes_token", "ovn_kubernetes_ca"
SECRET = "Zm9yLW5vYm9keQ1"
KEY = f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"
JWT = f"eyJhbGciOiJSUzI1NiJ9.{SECRET}.c2ln"


def config(user=None, cluster=None, **more):
    """A kubeconfig; its user has a token by default."""
    content = {
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "clusters": [{"name": "a", "cluster": {"server": "https://10.0.0.1:6443", **(cluster or {})}}],
        "users": [{"name": "a", "user": user or {"token": SECRET}}],
    }
    return yaml.safe_dump({**content, **more})


def encoded(text):
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "text",
    [
        config(),
        config().replace("\n", "\r\n"),
        f"\ufeff{config()}",
        f" \n{config()}\n\n",
        json.dumps(yaml.safe_load(config())),
    ],
    ids=["yaml", "crlf", "bom", "lines around", "json"],
)
def test_a_kubeconfigs_text(cluster, text):
    """Protects kubeconfigs from vaults, forms and other systems."""
    cluster.everywhere(**{API: "https://10.0.0.1:6443", "ovn_service_subnet": "10.96.0.0/16", ADMIN: text})
    assert cluster.problems() == []
    assert api_access(cluster.hostvars, cluster.groups)["token"] == SECRET


KUBECONFIGS = {
    "one line": config().replace("\n", " "),
    "old lines": config().replace("\n", "\r"),
    "escaped lines": config().replace("\n", "\\n"),
    "json in quotes": json.dumps(json.dumps(yaml.safe_load(config()))),
    "base64": encoded(config()),
    "base64 in lines": "\n".join(encoded(config())[at : at + 76] for at in range(0, 300, 76)),
    "a list": [config()],
    "a list of lines": config().splitlines(),
    "a mapping without its context": {**yaml.safe_load(config()), "current-context": "b"},
    "two documents": f"{config()}---\n{config()}",
    "broken": f"{config()}\n  : [\n",
    "no users": config(users={"a": {"token": SECRET}}),
    "no contexts": config(contexts=7),
    "a list as token": config({"token": [SECRET]}),
    "a token of two lines": config({"token": f"{SECRET}\n{SECRET}"}),
    "a number as key": config({"client-certificate-data": "YQ==", "client-key-data": 7, "username": SECRET}),
    "a key that is no base64": config({"client-certificate-data": "YQ==", "client-key-data": f"{SECRET}%"}),
    "a key in place of its file": config({"client-certificate": "/c", "client-key": KEY}),
    "an authority with its key": config(cluster={"certificate-authority-data": encoded(CERTIFICATE + KEY)}),
    "the token alone": SECRET,
    "a binary file": f"a\0{SECRET}",
}
WRONG = {
    **{f"{ADMIN}: {name}": {ADMIN: value} for name, value in KUBECONFIGS.items()},
    "a token in a list": {TOKEN: [SECRET]},
    "a token in a mapping": {TOKEN: {SECRET: SECRET}},
    "a header": {TOKEN: f"Bearer {SECRET}"},
    "a token with another one": {TOKEN: f"{SECRET}\n{SECRET}"},
    "a token beyond ASCII": {TOKEN: f"{SECRET}\u00e9"},
    "an authority with a key": {CA: CERTIFICATE + KEY, TOKEN: "abc"},
    "an authority in base64": {CA: encoded(CERTIFICATE), TOKEN: "abc"},
    "an authority without lines": {CA: CERTIFICATE.replace("\n", " "), TOKEN: "abc"},
    "a token as authority": {CA: SECRET, TOKEN: "abc"},
    "a token in a query": {API: f"https://10.0.0.1:6443/?token={SECRET}", TOKEN: "abc"},
    "a user in a URL": {API: f"https://me:{SECRET}@10.0.0.1:6443", TOKEN: "abc"},
    "a token in a URL": {API: f"https://{SECRET}@10.0.0.1:6443", TOKEN: "abc"},
    "a user without scheme": {API: f"me:{SECRET}@10.0.0.1:6443", TOKEN: "abc"},
    "a header as URL": {API: f"Bearer {SECRET}", TOKEN: "abc"},
    "a token as URL": {API: JWT, TOKEN: "abc"},
    "a key in another variable": {"ovn_mtu": KEY, TOKEN: "abc"},
    "a key without its lines": {"ovn_mtu": KEY.replace("\n", ""), TOKEN: "abc"},
    "the inner lines of a key": {"ovn_mtu": f"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC{SECRET}", TOKEN: "abc"},
    "a kubeconfig in a list": {"ovn_cluster_subnet": ["192.168.0.0/16", config()], TOKEN: "abc"},
    "a kubeconfig where a list is": {"ovn_remove_hosts": {"token": SECRET}, TOKEN: "abc"},
    "words of a kubeconfig": {"ovn_cluster_subnet": f"192.168.0.0/16 token: {SECRET}", TOKEN: "abc"},
    "base64 in another variable": {"ovn_encap_type": encoded(config()), TOKEN: "abc"},
    **{
        f"ovn_{name}": {f"ovn_{name}": SECRET, TOKEN: "abc"}
        for name in ("pass", "credential", "bearer", "kubeconfig", "KUBERNETES_TOKEN", "authorization", "ca_cert")
    },
    "a field of another variable": {"ovn_kubernetes": {"auth": {"passwd": SECRET}}, TOKEN: "abc"},
}


@pytest.mark.parametrize("variables", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_without_the_secret(cluster, variables):
    """Protects what a job's output is kept in: the variable is named, and nothing is shown of it."""
    api = {API: "https://10.0.0.1:6443", "ovn_service_subnet": "10.96.0.0/16"}
    found = "\n".join(cluster.everywhere(**{**api, **variables}).problems())
    assert next(iter(variables)) in found
    shown = [part for part in (SECRET, encoded(config())[:20], encoded(CERTIFICATE)[:20]) if part in found]
    assert shown == [], found


def test_a_credential_in_place_of_its_file(cluster, monkeypatch):
    """Protects who gives the token where the environment names its file, and who gives an empty file."""
    cluster.everywhere(**{API: "https://10.0.0.1:6443", "ovn_service_subnet": "10.96.0.0/16"})
    for value, said in ((SECRET, "can't be read on the controller"), ("/dev/null", "which is empty")):
        monkeypatch.setenv("OVN_KUBERNETES_TOKEN_FILE", value)
        (found,) = cluster.problems()
        assert said in found and SECRET not in found, found


def test_the_scheme_of_a_url_in_capitals(cluster):
    """Protects a token against being sent in clear text, because nobody knew HTTP:// for http://."""
    cluster.everywhere(
        ovn_kubernetes_api="HTTP://10.0.0.1", ovn_service_subnet="10.96.0.0/16", ovn_kubernetes_token="a"
    )
    assert "clear text" in "".join(cluster.problems())
