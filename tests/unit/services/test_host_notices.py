# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects whoever makes pods and services from what a host does not serve without a word."""

from __future__ import annotations

import os

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.reasons import (
    ADDRESS_REFUSED,
    HOST_PORT_NOT_SERVED,
    SERVICE_NOT_SERVED,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink import sctp
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.listening import Listener, LocalHost
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.model import pod_of_node
from ansible_collections.ovn.kubernetes.plugins.module_utils._services import host_notices
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.address_book import Served
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.host_notices import HostNotices

from .objects import service


class Told(list):
    """Events, and whoever writes them."""

    def __init__(self):
        super().__init__()
        self.notices = HostNotices(lambda about, reason, message: self.append((str(about), reason, message)), "node1")


def pod(*ports):
    meta = {"namespace": "ns", "name": "web", "uid": "u1"}
    return pod_of_node({"metadata": meta, "spec": {"containers": [{"ports": list(ports)}]}, "status": {}})


def test_host_ports_that_are_not_served():
    """Protects whoever makes a pod: an address that is none, and a port that is a program's, are said once."""
    told = Told()
    made = pod({"hostPort": 80, "containerPort": 8080, "hostIP": "x"}, {"hostPort": 81, "containerPort": 8081})
    for _time in range(2):
        told.notices.tell_of_pods([made], [Listener("tcp", None, 81), Listener("udp", None, 80)])
    ((about, reason, message),) = told
    assert (about, reason) == ("pod ns/web", HOST_PORT_NOT_SERVED)
    assert "hostIP 'x' is not an address" in message and "81/tcp: a program of the host listens" in message
    told.notices.tell_of_pods([made], [])
    assert len(told) == 2 and "81/tcp" not in told[1][2]
    told.notices.forget_pod("ns/web")
    told.notices.tell_of_pods([made], [])
    assert len(told) == 3
    told.notices.tell_of_pods([pod({"hostPort": 80, "containerPort": 8080})], [])
    assert len(told) == 3


def test_sctp_where_the_kernel_has_none(monkeypatch):
    """Protects whoever makes an SCTP service from hosts whose kernel knows no SCTP: one event, the same of each host;
    other services have none.
    """
    told, lacks = Told(), ["the module sctp"]
    monkeypatch.setattr(host_notices.sctp, "missing", lambda: lacks[0])
    services = [
        service(ports=[{"port": 1, "protocol": protocol}])._replace(name=protocol) for protocol in ("TCP", "SCTP")
    ]
    for _time in range(2):
        told.notices.tell_of_services({one.key: one for one in services}, [], LocalHost(), ())
    ((about, reason, message),) = told
    assert (about, reason) == (f"service {services[1].key}", SERVICE_NOT_SERVED)
    assert message == "not served: SCTP on hosts whose kernel lacks the module sctp: give such a host a kernel with it"
    lacks[0] = ""
    told.notices.tell_of_services({one.key: one for one in services}, [], LocalHost(), ())
    assert len(told) == 1


def test_addresses_that_only_this_host_knows():
    """Protects whoever makes a service from an address that is the host's router's, and a port that is a program's:
    both are said, the latter once it is so and until it is over.
    """
    told = Told()
    ips = ["10.0.0.1", "10.0.0.254"]
    made = service(externalIPs=ips, ports=[{"port": 80}, {"name": "a", "port": 81}])
    left = made._replace(external_ips=ips[:1])
    served = Served(left, ("10.0.0.254 is an address of an external router", "10.96.0.9 is in the services' network"))
    free = LocalHost(frozenset(["10.0.0.1"]), frozenset([Listener("udp", None, 80)]))
    taken = free._replace(listeners=frozenset([Listener("tcp", None, 81)]))
    for local in (free, taken, taken, free):
        told.notices.tell_of_services({made.key: made}, [served], local, {"10.0.0.254"})
    assert [(reason, message) for _about, reason, message in told] == [
        (ADDRESS_REFUSED, "not served: 10.0.0.254 is an address of an external router"),
        (
            SERVICE_NOT_SERVED,
            "not served: TCP port 81 of 10.0.0.1 on node node1: a program of the host listens there; stop that, or "
            "give the service another port or address",
        ),
    ]
    told.notices.tell_of_services({made.key: made}, [Served(made)], free, ())
    assert told.notices._of_services.keys() == []


@pytest.mark.parametrize(
    ("setting", "protocols", "modules", "lacks"),
    [
        (True, "SCTP 1024", None, ""),
        (True, "TCP 1024", "kernel/net/sctp/sctp.ko.xz:", ""),
        (True, "TCP 1024", "kernel/net/dccp/dccp.ko:", "the module sctp"),
        (True, "TCP 1024", None, "the module sctp"),
        (False, "SCTP 1024", None, "connection tracking of SCTP"),
        (None, "SCTP 1024", None, ""),
    ],
)
def test_what_a_kernel_lacks(monkeypatch, tmp_path, setting, protocols, modules, lacks):
    """Protects kernels with SCTP, built in, as a module, and without connection tracking in use, from being named."""
    if setting is not None:
        (tmp_path / "netfilter").mkdir()
        name = sctp.SETTING if setting else "nf_conntrack_max"
        (tmp_path / "netfilter" / name).write_text("1")
    (tmp_path / "protocols").write_text(f"protocol size\n{protocols}\n")
    if modules:
        folder = tmp_path / "modules" / os.uname().release
        folder.mkdir(parents=True)
        (folder / "modules.dep").write_text(modules)
    for constant, path in (("CONNTRACK", "netfilter"), ("PROTOCOLS", "protocols"), ("MODULES", "modules")):
        monkeypatch.setattr(sctp, constant, str(tmp_path / path))
    assert sctp.missing().partition(",")[0].partition(" (")[0] == lacks
