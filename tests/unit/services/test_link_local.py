# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects link-local addresses that hosts carry for their own pods (NodeLocal DNSCache)."""

from __future__ import annotations

import asyncio

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import KubernetesError
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.retry import Pause
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.records import KernelAddress
from ansible_collections.ovn.kubernetes.plugins.module_utils._services import link_local, node_report
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.link_local import MOST, Carriers
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.link_local_report import LinkLocalReport
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.nodes import Node
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.northbound import HAIRPIN

from .objects import host

KEY = "ovn.kubernetes/link-local-addresses"
KUBESPRAY, UPSTREAM = "169.254.25.10", "169.254.20.10"
OTHERS = (
    *("169.254.169.254", "169.254.169.253", HAIRPIN[4], "169.254.0.0", "169.254.255.255", "10.0.0.1", "127.0.0.1"),
    *("fe80::1", "fd00::1", "::ffff:169.254.25.10", "169.254.25.10/16", "169.254.25", "x} || 1", None, 3, ""),
)


def annotated(text):
    """A node with the annotation."""
    return Node.from_object({"metadata": {"name": "n1", "annotations": {KEY: text}}})


def test_what_a_node_may_tell():
    """Protects clouds' metadata, what OVN uses itself, and the watcher: whatever a kubelet writes, few addresses count,
    and only those that may be a host's own service.
    """
    assert link_local.usable([*OTHERS, KUBESPRAY, UPSTREAM, KUBESPRAY]) == (UPSTREAM, KUBESPRAY)
    assert annotated(f"{KUBESPRAY},169.254.169.254,{UPSTREAM}").link_local == (UPSTREAM, KUBESPRAY)
    assert annotated("").link_local == annotated(None).link_local == ()
    assert len(annotated(",".join(f"169.254.1.{number}" for number in range(255))).link_local) == MOST
    assert annotated("1," * 200_000).link_local == ()


def test_what_a_host_carries(caplog):
    """Protects NodeLocal DNSCache on a host with many addresses: those without a network come first, and the log says
    once which are too many.
    """
    networks = [KernelAddress("eth1", f"169.254.1.{number}/16") for number in range(1, 20)]
    cache = KernelAddress("nodelocaldns", f"{KUBESPRAY}/32")
    others = [
        KernelAddress("eth0", "10.0.0.1/24"),
        KernelAddress("eth0", "fe80::1/64"),
        KernelAddress("lo", "127.0.0.1/8"),
    ]
    found = link_local.candidates([*others, *networks, cache, *networks])
    assert found[0] == KUBESPRAY and len(found) == 20 and link_local.candidates(others) == []
    report = LinkLocalReport(None, "node1")
    for _time in range(2):
        report.set([*networks, cache])
    assert report.problem().endswith("8 link-local addresses of a host count") and KUBESPRAY not in report.problem()
    assert [record.getMessage() for record in caplog.records] == [report.problem()]
    report.set([cache])
    assert report.problem() is None


def test_a_node_that_can_not_be_annotated(monkeypatch, caplog):
    """Protects users with a token of their own that lacks the right: the log says it once, the node's findings as long
    as it lasts.
    """
    answers = [KubernetesError("forbidden"), KubernetesError("forbidden"), None]

    class Client:
        async def strategic_patch(self, path, body):
            assert (path, body) == ("/api/v1/nodes/N1/status", {"metadata": {"annotations": {KEY: KUBESPRAY}}})
            said.append(report.problem())
            answer = answers.pop(0)
            if answer:
                raise answer

    monkeypatch.setattr(node_report, "AGAIN", Pause(0.001))
    monkeypatch.setattr(node_report, "PACE", 0.0)
    report, said = LinkLocalReport(Client(), "N1"), []
    report.set([KernelAddress("nodelocaldns", f"{KUBESPRAY}/32")])
    report.told(annotated(None).link_local)

    async def story():
        work = asyncio.ensure_future(report.run())
        while answers or report.problem():
            await asyncio.sleep(0.001)
        report.told(annotated(KUBESPRAY).link_local)
        await asyncio.sleep(0.01)
        work.cancel()

    asyncio.run(asyncio.wait_for(story(), 10))
    wrong = f"pods don't reach {KUBESPRAY}, or where it was: node N1 can't be annotated: forbidden"
    assert said == [None, wrong, wrong] and caplog.text.count(wrong) == 1


def test_the_rows_of_a_host():
    """Protects pods' name resolution, where there is no gateway too, and hosts from pods of others."""
    both = (UPSTREAM, KUBESPRAY)
    found = {row.role: row.columns for row in link_local.rows(host(link_local=both, leading=(KUBESPRAY,)))}
    assert found == {
        f"link-local-{KUBESPRAY}": {
            "ip_prefix": f"{KUBESPRAY}/32",
            "nexthop": "192.168.1.2",
            "output_port": ("rtos-node1",),
        },
        "link-local": {
            "priority": 121,
            "action": "reroute",
            "nexthops": ("192.168.1.2",),
            "match": f'inport == "rtos-node1" && ip4.dst == {{{UPSTREAM}, {KUBESPRAY}}}',
        },
        "link-local-others": {"priority": 120, "action": "drop", "match": f"ip4.dst == {{{KUBESPRAY}}}"},
    }
    assert link_local.rows(host(link_local=both, subnets=("fd10::/64",))) == link_local.rows(host()) == []


@pytest.fixture
def overlay():
    """The hosts of the overlay."""
    return {"n1", "n2", "n3"}


def test_one_host_leads(overlay):
    """Protects pods of all hosts: exactly one of those that carry an address has its route, whoever comes and goes; and
    a change concerns two hosts at most.
    """
    carriers = Carriers(overlay.__contains__)
    assert carriers.replace("n2", (KUBESPRAY,)) == {"n2"} and carriers.led_by("n2") == (KUBESPRAY,)
    assert carriers.replace("n3", (KUBESPRAY,)) == {"n3"} and carriers.led_by("n3") == ()
    assert carriers.replace("n1", (KUBESPRAY, UPSTREAM)) == {"n1", "n2"}
    assert (carriers.led_by("n1"), carriers.led_by("n2")) == ((KUBESPRAY, UPSTREAM), ())
    assert carriers.replace("n1", (KUBESPRAY, UPSTREAM)) == set()
    assert carriers.replace("n0", (KUBESPRAY,)) == {"n0"} and carriers.led_by("n0") == (), "no host of the overlay"
    overlay.remove("n1")
    assert carriers.recheck("n1") == {"n1", "n2"} and carriers.led_by("n2") == (KUBESPRAY,)
    overlay.add("n0")
    assert carriers.recheck("n0") == {"n0", "n2"} and carriers.led_by("n0") == (KUBESPRAY,)
    assert carriers.replace("n0", ()) == {"n0", "n2"} and carriers.recheck("n9") == set()
    for name in ("n1", "n2", "n3"):
        carriers.replace(name, ())
    assert not carriers._addresses and not carriers._leaders and not len(carriers._hosts)
