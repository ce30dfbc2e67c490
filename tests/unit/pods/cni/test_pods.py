# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what is kept of a pod: its text goes into rules that root loads."""

from __future__ import annotations

import logging

from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.cni.pods import trimmed


def host_ports(*ports, **status):
    """What is kept of these ports."""
    meta = {"namespace": "ns", "name": "web", "uid": "uid-1"}
    return trimmed({"metadata": meta, "spec": {"containers": [{"ports": list(ports)}]}, "status": status}).host_ports


def test_a_host_port_at_what_is_no_address(caplog):
    """Protects the host's firewall against a pod's hostIP, which the API server takes as it is; the pod's other ports are served."""
    with caplog.at_level(logging.WARNING):
        made = host_ports(
            *(
                {"hostPort": 80, "containerPort": 8080, "hostIP": text}
                for text in ("10.0.0.1 drop; }; chain evil {", "bogus", "fe80::1%a b")
            ),
            {"hostPort": 81, "containerPort": 8081, "hostIP": "FD00::01"},
        )
    assert made == (("tcp", 81, "fd00::1", 8081),)
    assert len(caplog.records) == 3 and "pod ns/web: hostIP 'bogus' of host port 80 is not an address" in caplog.text


def test_host_ports_at_all_addresses():
    """Protects the spellings of "all", and the end of a pod, which gives its ports back."""
    ports = [
        {"hostPort": 80, "containerPort": 8080, "protocol": "UDP", "hostIP": text}
        for text in ("", "0.0.0.0", "::", "0:0::0")
    ]
    assert host_ports(*ports) == (("udp", 80, None, 8080),) * 4
    assert host_ports(*ports, phase="Succeeded") == ()
