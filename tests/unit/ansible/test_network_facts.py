# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects site runs on hosts with many pods: facts cost as many processes with a thousand links as with one."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

from ansible.module_utils.facts.network.linux import LinuxNetwork

from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible.network_facts import FewCalls, by_link

LEFT_OUT = ("features", "timestamping", "hw_timestamp_filters", "phc_index", "speed")


class Module:
    """The part of AnsibleModule that Ansible's facts about the network use."""

    def __init__(self):
        self.calls = []

    def get_bin_path(self, name):
        """Return where a program is."""
        return f"/sbin/{name}"

    def run_command(self, command, errors=None):
        """Run a program."""
        self.calls.append(command)
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        except FileNotFoundError:
            return 1, "", ""
        return done.returncode, done.stdout, done.stderr


def gathered(module):
    """Ansible's facts without those that only ethtool knows."""
    found = LinuxNetwork(module).populate()
    links = {name: facts for name, facts in found.items() if isinstance(facts, dict)}
    for facts in links.values():
        for name in LEFT_OUT:
            facts.pop(name, None)
    return {**found, "interfaces": sorted(found["interfaces"])}


# Links with one address, with several of both families, with a label, and without any. The kernel adds none
# of its own: it would do so a moment later, perhaps between the two looks.
LINKS = """
mount -t sysfs none /sys
ip link add nic0 type veth peer name nic1
ip link set nic0 addrgenmode none
ip link set nic1 addrgenmode none
for link in lo nic0 nic1; do ip link set $link up; done
ip address add 10.0.0.1/24 broadcast 10.0.0.255 dev nic0
ip address add 10.0.0.2/24 dev nic0
ip address add 10.1.0.1/16 dev nic0 label nic0:1
ip address add fd00::1/64 dev nic0 nodad
ip route add default via 10.0.0.254
for number in $(seq 20); do ip link add pod$number type veth peer name peer$number; done
exec "$@"
"""


def compare():
    """Gather both ways, and compare."""
    usual, few = Module(), Module()
    expected, found = gathered(usual), gathered(FewCalls(few))
    assert found == expected and found["nic0"]["ipv4"]["address"] == found["default_ipv4"]["address"] == "10.0.0.1"
    assert found["nic0"]["ipv4_secondaries"] and found["nic0"]["ipv6"] and found["all_ipv4_addresses"]
    assert len(usual.calls) > 80 and len(few.calls) <= 6


def test_the_facts_are_those_of_ansible():
    """Protects inventories that read facts: the same links, addresses, MTUs and default routes."""
    command = ["unshare", "--net", "--mount", "sh", "-ec", LINKS, "sh", sys.executable, __file__]
    collections = pathlib.Path(__file__).resolve().parents[3] / ".cache" / "collections"
    environment = {**os.environ, "PYTHONPATH": str(collections)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_parts_of_links():
    """Protects links whose names have an end after @, and text before the first link."""
    lines = ["noise", "1: lo: <UP> mtu 1", "    inet 127.0.0.1/8", "22: eth0@if5: <UP> mtu 1", "    inet 10.0.0.1/8"]
    assert by_link(lines) == {
        "": "noise\n",
        "lo": "1: lo: <UP> mtu 1\n    inet 127.0.0.1/8\n",
        "eth0": "22: eth0@if5: <UP> mtu 1\n    inet 10.0.0.1/8\n",
    }


if __name__ == "__main__":  # in a network and a /sys of its own
    compare()
