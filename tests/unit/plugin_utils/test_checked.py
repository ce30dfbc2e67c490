# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who validates an inventory from silence: what was looked at is said, and what has no effect."""

from __future__ import annotations

import authorities
import pytest

from ansible_collections.ovn.kubernetes.plugins.filter.checked import checked

HOSTS = "Nothing is wrong with the variables of 3 hosts, 1 master and 1 gateway among them; "


@pytest.fixture
def said(cluster):
    """What is said of an inventory with these variables."""

    def find(**variables):
        cluster.everywhere(**variables)
        assert cluster.problems() == []
        return checked(cluster.hostvars, cluster.groups)

    return find


def test_what_was_looked_at(said, tmp_path):
    """Protects the plain cases: no CA yet, one in the folder, one in variables."""
    folder = tmp_path / "ca"
    folder.mkdir(mode=0o700)
    not_yet = "the {} CA is not there yet, and a site run makes it in " + f'"{folder}"'
    assert said(ovn_tls=True, ovn_tls_folder=str(folder)) == [
        f"{HOSTS}{not_yet.format('central')}; {not_yet.format('chassis')}."
    ]
    one, other = authorities.authority("one"), authorities.authority("other")
    for name, text in (("central-ca.crt", one.certificate), ("central-ca.key", one.key)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    given = {"ovn_tls_chassis_ca_certificate": other.certificate, "ovn_tls_chassis_ca_key": other.key}
    assert said(**given) == [
        f'{HOSTS}the central CA is "one" of ovn_tls_folder "{folder}"; the chassis CA is "other" of '
        "ovn_tls_chassis_ca_certificate."
    ]


def test_what_has_no_effect(said, cluster, monkeypatch):
    """Protects who believes in certificates that nobody makes. What the environment of all jobs gives is no mistake."""
    monkeypatch.setenv("OVN_TLS_CENTRAL_CA_KEY_FILE", "/dev/null")
    plain = f"{HOSTS}the databases have no TLS (ovn_tls: false), and need no CA."
    assert said(ovn_tls=False) == [plain]
    cluster.on("ovn-node1", ovn_tls_days=30).on("ovn-node2", ovn_tls_days=30).on("ovn-master", ovn_tls_days=30)
    assert said(ovn_tls_folder="/tls") == [
        plain,
        "Without effect on hosts while ovn_tls is false: ovn_tls_folder, ovn_tls_days.",
    ]
