# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects tokens and keys against being printed, wherever somebody has written them."""

from __future__ import annotations

import re

import pytest

from ansible_collections.ovn.kubernetes.plugins.plugin_utils._variables import VARIABLES

MASTER, NODE1 = "ovn-master", "ovn-node1"


def test_secrets_are_not_shown(cluster):
    """Protects tokens against being printed, also under a misspelt name."""
    cluster.everywhere(
        ovn_kubernetes_token=["hidden-1"], ovn_kubernetes_tokn="hidden-2", ovn_the_password="hidden-3"
    ).on(NODE1, ovn_kubernetes_ca="hidden-4")
    said = cluster.problems()
    assert len(said) == 5
    assert "hidden" not in "".join(said)


SECRETS = (
    "apiVersion: v1\nclusters: []\nusers: [{user: {token: hidden}}]\n",
    "-----BEGIN RSA PRIVATE KEY-----hidden",
    "LS0tLS1CRUdJTiBSU0EgaGlkZGVu",
    "eyJhbGciOiJSUzI1NiJ9.hidden.c2ln",
    "token: hidden",
    {"user": {"token": "hidden"}},
    {"client-key-data": "hidden"},
    ["password=hidden"],
    "hidden.0123456789abcdef",
)


@pytest.mark.parametrize("secret", SECRETS, ids=range(len(SECRETS)))
@pytest.mark.parametrize("name", sorted({*VARIABLES, "ovn_nonsense"}))
def test_a_secret_in_the_wrong_place_is_not_shown(cluster, name, secret):
    """Protects tokens and keys against being printed where they were given as something else, by mistake."""
    said = "".join(cluster.everywhere(**{"ovn_kubernetes_api": "https://10.0.0.1:6443", name: secret}).problems())
    assert said
    assert not {"hidden", "aGlkZGVu", "0123456789abcdef"}.intersection(re.findall(r"\w+", said))


def test_secrets_that_differ_are_not_shown(cluster):
    """Protects tokens against being printed where two hosts have different ones, or one has none."""
    cluster.on(MASTER, ovn_kubernetes_token="hidden-1").on(NODE1, ovn_kubernetes_token="hidden-2")
    said = cluster.problems()
    assert len(said) == 3
    assert "hidden" not in "".join(said)
