# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What goes over the wire: of a site run, and of programs that go on for a while, all packets but those of ssh."""

from __future__ import annotations

import os
import time

import pytest
from lab_hosts import HOSTS, on, wait
from lab_masters import converge

SECONDS = int(os.environ.get("OVN_KUBERNETES_CAPTURE_SECONDS", "60"))
FILE = "/var/tmp/lab-capture.pcap"
TCPDUMP = f"tcpdump -i any --immediate-mode -U -s 0 -w {FILE} 'tcp and not port 22'"
START = f"systemd-run --quiet --unit=lab-capture {TCPDUMP}"
STOP = "systemctl stop lab-capture"
# Words of OVSDB's protocol (RFC 7047) and of its clusters' (ovsdb/raft-rpc.c).
WORDS = ('"method":"', '"transact"', "monitor_cond", "OVN_Northbound", "OVN_Southbound", "append_request", "OVSDB JSON")


@pytest.fixture
def capture(site):
    """Captures on all hosts; returns a function that ends it and gives, per host, the words that were found."""
    for host in HOSTS:
        on(host, f"{STOP} 2>/dev/null; rm -f {FILE}; {START}", check=False)
    for host in HOSTS:
        wait(lambda host=host: on(host, f"test -s {FILE}", check=False).returncode == 0, 30, f"packets of {host}")

    def end(*words):
        found = {}
        for host in HOSTS:
            on(host, STOP, check=False)
            seen = [word for word in words if not on(host, f"grep -qaF '{word}' {FILE}", check=False).returncode]
            size = int(on(host, f"stat -c %s {FILE}"))
            found[host] = (seen, size)
        return found

    yield end
    for host in HOSTS:
        on(host, f"{STOP} 2>/dev/null; rm -f {FILE}", check=False)


def tokens():
    """The tokens of Kubernetes that the hosts have; none where there is no Kubernetes."""
    return [token for host in HOSTS for token in on(host, "cat /etc/ovn-kubernetes/*.token 2>/dev/null || :").split()]


def test_nothing_is_sent_in_the_clear(capture, tell):
    """Protects what OVN's databases and the API server are told: nobody on the way can read it. The run makes a port
    again that somebody has deleted, so that it has something to write."""
    on("ovn-node2", "ovs-vsctl del-port br-int k8s-ovn-node2")
    on(HOSTS[0], "ovn-nbctl lr-nat-del GR_ovn-node1 snat 192.168.0.0/16")
    converge("site").ok()
    time.sleep(SECONDS)  # what the programs do by themselves
    found = capture(*WORDS, *tokens())
    tell("captured", ", ".join(f"{host} {size} bytes" for host, (_seen, size) in found.items()))
    assert all(size > 10_000 for _seen, size in found.values()), found
    assert {host: seen for host, (seen, _size) in found.items() if seen} == {}


def test_the_capture_sees_what_is_in_the_clear(capture):
    """Protects the test above from a capture that sees nothing."""
    on(HOSTS[1], "systemd-run --quiet --collect --unit=lab-listener timeout 30 python3 -m http.server 8099")
    ask = f"curl --silent --fail --output /dev/null --header 'X-Word: {WORDS[0]}' http://{HOSTS[1]}:8099/"
    wait(lambda: on(HOSTS[0], ask, check=False).returncode == 0, 20, "an answer in the clear")
    found = capture(WORDS[0])
    assert found[HOSTS[0]][0] == found[HOSTS[1]][0] == [WORDS[0]] and found[HOSTS[2]][0] == []
