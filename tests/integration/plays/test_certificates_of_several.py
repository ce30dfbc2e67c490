# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the hosts of a cluster from each other's needs: who is new, off or fails costs the others nothing."""

from __future__ import annotations

import authorities
import pytest
from certified_master import ROLES
from stand_in_plays import FACTS, databases

from .conftest import BOTH

OFF = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}


class Several:
    """The master and two nodes, with stand-ins for what writes on hosts.

    :ivar certificates: host to what ovn_facts finds there.
    """

    def __init__(self, plays):
        self.plays = plays
        self.pairs = {role: authorities.authority(role) for role in ROLES}
        self.folder = plays.folder / "ca"
        self.folder.mkdir(mode=0o700)
        for role, one in self.pairs.items():
            self.write(role, one.certificate, one.key)
        plays.variables.update(ovn_tls=True, ovn_tls_folder=str(self.folder), ovn_mtu=1400)
        plays.answers.update(
            apt={},
            openssl_privatekey={},
            openssl_csr_pipe={},
            **{f"openssl_csr_pipe {host}": {"csr": authorities.request(f"id-{host}")} for host in plays.hosts},
            x509_certificate_pipe={"certificate": "certificate"},
        )
        for number, host in enumerate(plays.hosts, 11):
            self.has(host, f"10.44.0.{number}")

    def write(self, role, certificate, key):
        (self.folder / f"{role}-ca.crt").write_text(certificate)
        (self.folder / f"{role}-ca.key").write_text(key)
        (self.folder / f"{role}-ca.key").chmod(0o600)

    def has(self, host, address):
        """Let a host have the right certificates."""
        central, chassis = (self.pairs[role] for role in ROLES)
        found = {"now": 1, "central_ca": central.certificate, "chassis": authorities.issue(chassis, f"id-{host}")}
        if host == "ovn-master":
            found["southbound_ca"] = central.certificate + chassis.certificate
            found["central"] = authorities.issue(central, host, [address, host])
        for role in found.keys() & set(ROLES):
            found[role] = {"certificate": found[role].certificate, "fits": True, "exposed": False}
        self.knows(host, found)

    def knows(self, host, found):
        own = {**FACTS["ovn_kubernetes"], "system_id": f"id-{host}", "certificates": found}
        if host == "ovn-master":
            own["central_databases"] = databases()
        self.plays.facts(host, ovn_kubernetes=own)

    def run(self, *arguments, **keywords):
        """Give certificates; the exit code, what was said, and the calls: host -> modules. Keywords are the play's."""
        facts = {"name": "Gather facts", "ovn.kubernetes.ovn_facts": {}}
        given = {"ansible.builtin.import_role": {"name": "ovn.kubernetes.common", "tasks_from": "certificates_or_end"}}
        groups = "ovn_masters:ovn_nodes:ovn_gateways"
        play = {"hosts": groups, "gather_facts": False, "tasks": [facts, given], **keywords}
        code, said, calls = self.plays.run(self.plays.play(play), *arguments)
        found = {}
        for host, module, call in calls:
            if module == "x509_certificate_pipe":
                module = call["ownca_content"]
            elif module == "ovn_host":
                module = "files" if call["files"] else "pair"
            found.setdefault(host, []).append(module)
        return code, said, found


@pytest.fixture
def several(plays):
    return Several(plays)


@BOTH
def test_the_unchanged_run_of_several_hosts(several):
    """Protects site runs from growing: where nothing differs there is no task at all but the gathering of facts."""
    code, said, calls = several.run()
    assert code == 0 and calls == {host: ["ovn_facts"] for host in several.plays.hosts}, said
    assert said.count("ok: [") == len(several.plays.hosts)


@BOTH
def test_one_host_in_need(several):
    """Protects all other hosts from work, when one is new."""
    several.knows("ovn-node2", {"now": 1})
    code, said, calls = several.run()
    assert code == 0 and calls["ovn-master"] == calls["ovn-node1"] == ["ovn_facts"], said
    assert calls["localhost"] == [several.pairs["chassis"].certificate]
    assert calls["ovn-node2"] == ["ovn_facts", "files", "apt", "openssl_privatekey", "openssl_csr_pipe", "pair"]


@pytest.mark.parametrize("left_out", ["off", "limit", "batch"])
def test_a_new_authority_and_a_host_that_is_left_out(several, left_out):
    """Protects a host that is off, outside of --limit, or in a later batch of the play: the new CA does not sign before
    that host trusts it."""
    new = authorities.authority("new")
    old = several.pairs["central"]
    several.write("central", new.certificate + old.certificate, new.key)
    (several.folder / "central-ca.key.old").write_text(old.key)
    (several.folder / "central-ca.key.old").chmod(0o600)
    arguments, keywords = [], {}
    if left_out == "off":
        several.plays.hosts["ovn-node2"].update(OFF)
    elif left_out == "limit":
        arguments = ["--limit", "ovn-master,ovn-node1"]
    else:
        keywords = {"serial": 2}
    code, said, calls = several.run(*arguments, **keywords)
    assert code == (4 if left_out == "off" else 0), said
    assert "the new central CA signs when ovn-node2 trusts it" in said and "localhost" not in calls
    assert calls["ovn-master"] == calls["ovn-node1"] == ["ovn_facts", "files"]


def test_a_new_authority_in_batches(several):
    """Protects the old CA from being there for good: no batch of a play sees that all hosts trust the new one, and
    nothing is made."""
    before = sorted(path.name for path in several.folder.iterdir())
    code, said, calls = several.run("-e", "ovn_tls_rotate=chassis_ca,central_ca", serial=2)
    assert code == 2 and set(calls) == {"ovn-master", "ovn-node1"}, said
    assert "run ansible-playbook ovn.kubernetes.site -e ovn_tls_rotate=central_ca,chassis_ca, which has none." in said
    assert before == sorted(path.name for path in several.folder.iterdir())


def test_a_host_that_fails_meanwhile(several):
    """Protects a host whose disk is full: what it could not write it does not trust, and the new CA waits."""
    new = authorities.authority("new")
    several.write("central", new.certificate + several.pairs["central"].certificate, new.key)
    several.plays.answers["ovn_host ovn-node2"] = {"failed": True, "msg": "no room"}
    code, said, calls = several.run()
    assert code == 2 and "localhost" not in calls, said
    assert "the new central CA signs when ovn-node2 trusts it" in said
