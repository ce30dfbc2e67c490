# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What an operator changes while pods ping each other: the number of masters, the protocol, and the secrets.

Each change is one site run, after which another one changes nothing; the pods lose no more packets than in a control
run of the same length.
"""

from __future__ import annotations

import json

import pytest
from lab_hosts import HOSTS, on, wait
from lab_masters import MASTERS, ONE, converge, counts, leader, member, whole

TLS = "/etc/ovn-kubernetes/tls"


def test_three_to_one_to_three(change):
    """Protects the rows and the traffic while masters leave and join: it is one cluster all the time."""
    whole()
    before = counts()
    change("3 to 1 masters", inventories=ONE)
    assert counts() == before
    assert [host for host in HOSTS if member(host)] in ([], [MASTERS[0]])
    assert set(converge("site", inventories=ONE).ok().changed.values()) == {0}
    change("1 to 3 masters")
    whole()
    assert counts() == before and counts(MASTERS[2]) == before
    assert set(converge("site").ok().changed.values()) == {0}
    converge("verify").ok()


def remotes():
    """Host -> what its chassis was told."""
    return {host: on(host, "ovs-vsctl get Open_vSwitch . external_ids:ovn-remote").strip().strip('"') for host in HOSTS}


def test_ssl_to_tcp_to_ssl(change):
    """Protects a running cluster from the change of its protocol: chassis stay connected, tcp closes last."""
    before = counts()
    change("ssl to tcp", "-e", json.dumps({"ovn_tls": False}))
    assert all(one.startswith("tcp:") for one in remotes().values())
    whole()
    change("tcp to ssl")
    assert all(one.startswith("ssl:") for one in remotes().values())
    whole()
    assert counts() == before
    for host in MASTERS:
        listening = on(host, "ss -Hltn")
        assert ":6642 " in listening
        for port in (6641, 6642, 16642):
            said = on("ovn-outside", f"echo '{{}}' | timeout 3 nc -w 2 {host} {port} | head -c 100", check=False).stdout
            assert said == ""
    assert set(converge("site").ok().changed.values()) == {0}


def fingerprints():
    """(host, file) -> fingerprint of the certificate, and of the key."""
    ask = (
        f"for file in {TLS}/chassis.pem {TLS}/central.pem; do [ -e $file ] && echo $file "
        "$(openssl x509 -in $file -noout -fingerprint -sha256) $(openssl pkey -in $file -pubout | sha256sum); done; :"
    )
    return {(host, line.split()[0]): line.split()[1:3] for host in HOSTS for line in on(host, ask).splitlines()}


@pytest.mark.parametrize("what", ["keys", "chassis_ca", "central_ca"])
def test_secrets_are_rotated(change, what):
    """Protects connections while keys, certificates or a CA are replaced: nobody is without a server that trusts it."""
    before = fingerprints()
    change(f"rotation of {what}", "-e", json.dumps({"ovn_tls_rotate": [what]}))
    after = fingerprints()
    changed = {place for place in before if before[place] != after[place]}
    wanted = {"keys": "", "chassis_ca": "chassis.pem", "central_ca": "central.pem"}[what]
    assert {place for place in before if place[1].endswith(wanted)} <= changed
    whole()
    wait(lambda: leader("sb"), 20, "a leader")
    if what != "keys":
        change(f"the CA of before leaves after the rotation of {what}")
        whole()
    assert set(converge("site").ok().changed.values()) == {0}
    converge("verify").ok()
