# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects inventories whose values Ansible computes late: encrypted ones, and those made from facts.

The playbook runs with the ansible-core of the tests. What older versions give is stood in for by objects like theirs.
"""

from __future__ import annotations

import sys

import ansible_calls
import pytest
from ansible.parsing.vault import AnsibleVaultError, VaultLib, VaultSecret

from ansible_collections.ovn.kubernetes.plugins.filter.node_names import node_names
from ansible_collections.ovn.kubernetes.plugins.filter.problems import problems
from ansible_collections.ovn.kubernetes.plugins.filter.settings import settings

LOCKED = "it is encrypted, and no vault password of this run opens it"
SECRET = "sesame-open"

INVENTORY = """
all:
  vars:
    ansible_connection: local
    ansible_python_interpreter: PYTHON
    # This machine's own facts are read, and it must not use these: RFC 2544 has them for benchmarks.
    ovn_cluster_subnet: 198.18.0.0/16
    ovn_service_subnet: 198.19.0.0/16
    VARIABLES
  children:
    ovn_masters: {hosts: {ovn-master: {ansible_host: 10.33.74.10}}}
    ovn_nodes: {hosts: {ovn-node1: {ansible_host: 10.33.74.11}}}
"""


def vaulted(text):
    """Return the text as ``ansible-vault encrypt_string`` writes it."""
    ciphertext = VaultLib([("default", VaultSecret(b"pass"))]).encrypt(text).decode()
    return "!vault |\n" + "".join(f"          {line}\n" for line in ciphertext.splitlines())


@pytest.fixture
def run(tmp_path):
    """Return a function that runs a playbook with variables for all hosts, as lines of YAML. Words that name one of its
    files stand for that file."""

    def run(playbook, variables, *arguments):
        text = INVENTORY.replace("PYTHON", sys.executable).replace("VARIABLES", "\n    ".join(variables))
        (tmp_path / "inventory.yml").write_text(text, encoding="utf-8")
        (tmp_path / "pass").write_text("pass", encoding="utf-8")
        (tmp_path / "other").write_text("other", encoding="utf-8")
        (tmp_path / "facts.yml").write_text(
            "- hosts: all\n  gather_facts: false\n  tasks:\n"
            "  - import_role: {name: ovn.kubernetes.common, tasks_from: facts}\n"
            "  - debug: {msg: 'settings {{ hostvars | ovn.kubernetes.settings(groups, inventory_hostname) }}'}\n",
            encoding="utf-8",
        )
        given = [str(tmp_path / word) if (tmp_path / word).is_file() else word for word in (playbook, *arguments)]
        code, said = ansible_calls.run("ansible-playbook", "-i", str(tmp_path / "inventory.yml"), *given, limit=120)
        assert "Traceback" not in said and SECRET not in said, said
        return code, said

    return run


VAULT = [
    "ovn_kubernetes_api: https://10.33.74.10:6443",
    f"ovn_kubernetes_token: {vaulted(SECRET)}",
]


def test_a_token_of_the_vault(run):
    """Protects the usual way to keep the token in an inventory; with another password the play says so in a
    sentence."""
    code, said = run("ovn.kubernetes.validate", VAULT, "--vault-password-file", "pass")
    assert code == 0, said
    for arguments in ((), ("--vault-password-file", "other")):
        code, said = run("ovn.kubernetes.validate", VAULT, *arguments)
        assert code == 2 and f"ovn-master and ovn-node1: ovn_kubernetes_token can't be worked out: {LOCKED}" in said


def test_a_wrong_value_of_the_vault_is_not_shown(run):
    """Protects secrets under any name: known and unknown variables, on their own and by way of another one."""
    variables = [
        f"ovn_mtu: {vaulted(SECRET)}",
        f"ovn_site_note: {vaulted(SECRET)}",
        f"site_secret: {vaulted(SECRET)}",
        "ovn_join_subnet: '{{ site_secret }}'",
    ]
    code, said = run("ovn.kubernetes.validate", variables, "--vault-password-file", "pass")
    assert code == 2
    assert "ovn_mtu is not a whole number" in said
    assert "ovn_site_note is not a variable of this collection" in said
    assert "ovn_join_subnet is not a network" in said


FACTS = [
    "ovn_encap_ip: \"{{ ansible_facts.default_ipv4.address | default('') }}\"",
    'ovn_mtu: "{{ underlay_mtu }}"',
    'underlay_mtu: "{{ ansible_default_ipv4.mtu - 100 }}"',
    "ovn_kubernetes_api: \"http://{{ hostvars[groups['ovn_masters'][0]].ansible_host }}:6443\"",
]


def test_values_from_facts(run):
    """Protects inventories that use facts: before facts are gathered such a value is not judged, whether it can't be
    computed or its template has a default. Values of other hosts can be used as in a play."""
    code, said = run("ovn.kubernetes.validate", FACTS)
    assert code == 0, said
    # Both hosts are this one, and have one address.
    code, said = run("facts.yml", FACTS, "--limit", "ovn-master")
    assert code == 0, said
    assert "'server': 'http://10.33.74.10:6443'" in said


def test_values_from_facts_are_judged_with_facts(run):
    """Protects the second look: a fact that the host does not have is a sentence with host and variable."""
    variables = ['ovn_encap_ip: "{{ ansible_facts.no_such_link.ipv4.address }}"']
    code, said = run("ovn.kubernetes.validate", variables)
    assert code == 0, said
    code, said = run("facts.yml", variables, "--limit", "ovn-master")
    assert code == 2 and "ovn-master: ovn_encap_ip can't be worked out: " in said


class Encrypted:
    """Like AnsibleVaultEncryptedUnicode (ansible/parsing/yaml/objects.py up to ansible-core 2.18): no text, decrypted
    when asked."""

    __ENCRYPTED__ = True

    def __init__(self, data, vault="a vault"):
        self._data = data
        self.vault = vault

    @property
    def data(self):
        if isinstance(self._data, Exception):
            raise self._data
        return self._data


def test_inline_values_before_ansible_core_2_19(cluster):
    """Protects ansible-core 2.16 and 2.18: there an inline value is an object that decrypts itself."""
    cluster.everywhere(ovn_cluster_subnet=[Encrypted("192.168.0.0/16")], ovn_mtu=Encrypted("1400"))
    assert problems(cluster.hostvars, cluster.groups) == []
    for locked in (
        Encrypted(AnsibleVaultError("Decryption failed on $ANSIBLE_VAULT")),
        Encrypted("$ANSIBLE_VAULT", None),
    ):
        cluster.everywhere(ovn_mtu=locked)
        (sentence,) = problems(cluster.hostvars, cluster.groups)
        assert f"ovn_mtu can't be worked out: {LOCKED}" in sentence and "$ANSIBLE" not in sentence
    cluster.everywhere(ovn_mtu=Encrypted(SECRET))
    (sentence,) = problems(cluster.hostvars, cluster.groups)
    assert "ovn_mtu is not a whole number" in sentence


def test_how_a_host_is_reached_is_no_fact(cluster):
    """Protects the reader: ``ansible_host`` that is not set is wrong at once, not only after facts were gathered."""
    cluster.on("ovn-node1", ovn_encap_ip="{{ ansible_host }}")
    (sentence,) = problems(cluster.hostvars, cluster.groups)
    assert "ovn_encap_ip can't be worked out" in sentence
    cluster.on("ovn-node1", ovn_encap_ip="{{ ansible_eth0.ipv4.address }}")
    assert problems(cluster.hostvars, cluster.groups) == []


def test_a_name_from_facts_that_are_missing(cluster):
    """Protects whoever asks for names without facts: the sentence says what is missing, and what to do."""
    cluster.everywhere(ovn_node_name="{{ ansible_facts.hostname }}")
    assert problems(cluster.hostvars, cluster.groups) == []
    assert node_names(cluster.hostvars, cluster.groups) == {}
    with pytest.raises(Exception, match="ovn_node_name is made from facts, and the host's facts are not known: gather"):
        settings(cluster.hostvars, cluster.groups, "ovn-node1")
