# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the playbook verify: one table of all hosts at the end, whatever fails on the way.

Two hosts are this machine, which is no part of an overlay; the third can't be reached. Verify only looks.
"""

from __future__ import annotations

import re

import ansible_calls
import pytest

INVENTORY = """
all:
  vars:
    ovn_cluster_subnet: 192.168.0.0/16
    ovn_tls: false
    ansible_connection: local
    ansible_python_interpreter: /usr/bin/python3
  children:
    ovn_masters:
      hosts:
        host1:
    ovn_nodes:
      hosts:
        host2:
        host3:
          ansible_connection: ssh
          ansible_host: 127.0.0.1
          ansible_port: 9
          ansible_ssh_retries: 0
    ovn_gateways:
      hosts:
        host2:
          ovn_gateway_interface: nosuchnic
          ovn_gateway_ip: 10.55.0.12/24
"""


@pytest.fixture
def verify(tmp_path):
    """Run the playbook; its exit code, its output, and the cells of its table's rows."""
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(INVENTORY)

    def run(*arguments):
        command = ("ansible-playbook", "-i", str(inventory), "ovn.kubernetes.verify", *arguments)
        code, said = ansible_calls.run(*command, limit=120)
        lines = re.findall(r'^ +"(.* \| (?:error|warning) *\| .*)",?$', said, re.M)
        return code, said, [[cell.strip() for cell in line.split(" | ")] for line in lines]

    return run


def counts(output):
    """Host to the counts of Ansible's recap."""
    lines = re.findall(r"^(\S+)\s+: (ok=.*)$", output, re.M)
    return {host: dict(pair.split("=") for pair in text.split()) for host, text in lines}


def test_all_hosts_are_in_one_table(verify):
    """Protects: a dead host and hosts with nothing on them are rows, none hides another, and the exit code is 2.

    Ansible itself shows one failure, the last task's, no change, and no host as unreachable.
    """
    code, said, rows = verify()
    assert code == 2, said
    assert said.count("WHAT IS WRONG") == 1 and said.count("fatal: ") == 1
    assert len(rows) == len({tuple(row) for row in rows})
    assert {row[0] for row in rows} == {"host1", "host2", "host3"}
    assert [row[2].startswith("can't be reached: ") for row in rows if row[0] == "host3"] == [True]
    texts = {(row[0], row[2]) for row in rows}
    for host in ("host1", "host2"):
        assert (host, "file /usr/local/lib/ovn_kubernetes.pyz is missing") in texts
    assert any(host == "host2" and "nosuchnic" in text for host, text in texts)
    assert any(row[4].endswith("hosts.yml ovn.kubernetes.site") for row in rows)
    for of_host in counts(said).values():
        assert (of_host["changed"], of_host["unreachable"]) == ("0", "0")


def test_check_mode_tags_and_limit(verify):
    """Protects: each of them works; what they leave out is not compared."""
    code, said, rows = verify("--check", "--tags", "gateway", "--limit", "host2")
    assert code == 2, said
    assert {row[0] for row in rows} == {"host2"}
    assert not [row for row in rows if "ovn_kubernetes.pyz" in row[2]]
    assert [row for row in rows if "nosuchnic" in row[2]]
