# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the plan of a host, made of its current and its desired state without any kernel."""

from __future__ import annotations

import json

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.files import FileContent
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.current import CurrentState
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.desired import (
    Address,
    AddressMove,
    File,
    HostState,
    IngressDrop,
    Link,
    NoOffload,
    Route,
    Sysctl,
    Unaddressed,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.plan import plan_host
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.constants import IfaFlag, RtProt, RtScope
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.records import (
    KernelAddress,
    KernelLink,
    KernelRoute,
    Nexthop,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.steps import Handover

IP_FORWARD = Sysctl("net.ipv4.ip_forward", "1")
RP_FILTER = Sysctl("net/ipv4/conf/k8s-n1/rp_filter", "2")


def link(name, up=True, mtu=1500, mac="02:00:00:00:00:01"):
    return KernelLink(name, up, mtu, mac)


def route(destination, name, via=None, **more):
    return KernelRoute(destination, (Nexthop(name, via),), **more)


def connected(destination, name, **more):
    return route(destination, name, protocol=RtProt.KERNEL, scope=RtScope.LINK, **more)


def texts(steps):
    return [step.describe() for step in steps]


def test_the_order_of_a_plan():
    """Protects steps that depend on earlier ones. Files come last: they tell other programs that the host is ready."""
    desired = HostState(
        links=(Link("k8s-n1", mtu=1400),),
        addresses=(Address("k8s-n1", "192.168.2.2/24"),),
        routes=(Route("k8s-n1", "192.168.0.0/16", "192.168.2.1"),),
        sysctls=(RP_FILTER, IP_FORWARD),
        files=(File("/etc/cni/net.d/10-ovn.conf", "{}\n"),),
        moves=(AddressMove("eth0", "breth0"),),
        no_offloads=(NoOffload("eth0"),),
        drops=(IngressDrop("eth0"),),
        absent_drops=(IngressDrop("eth9"),),
    )
    current = CurrentState(
        links={"k8s-n1": None, "eth0": link("eth0"), "breth0": None},
        addresses=(KernelAddress("eth0", "10.44.0.12/24"),),
        sysctls={IP_FORWARD: "0", RP_FILTER: None},
        files={"/etc/cni/net.d/10-ovn.conf": None},
        offloads={"eth0": ("tx",)},
        drops=frozenset({"eth9"}),
    )
    assert texts(plan_host(current, desired)) == [
        "sysctl net.ipv4.ip_forward: 0 -> 1",
        "nftables ingress drop on eth9, whose packets are for bridge breth9: remove",
        "10.44.0.12/24: move from eth0 to breth0",
        "link k8s-n1: up, mtu 1400",
        "sysctl net/ipv4/conf/k8s-n1/rp_filter: 2",
        "address 192.168.2.2/24 on k8s-n1: add",
        "route 192.168.0.0/16 via 192.168.2.1 dev k8s-n1: add",
        "ethtool offloads of eth0: tx off",
        "nftables ingress drop on eth0, whose packets are for bridge breth0: add",
        "file /etc/cni/net.d/10-ovn.conf: add",
    ]


def test_a_host_with_the_desired_state_has_no_plan():
    """Protects "unchanged": it does not matter who made a thing, or how its address is written."""
    desired = HostState(
        links=(Link("k8s-n1", mtu=1400, mac="0A:58:C0:A8:02:02"),),
        addresses=(Address("k8s-n1", "192.168.2.2/24"), Address("k8s-n1", "FD10:0:0::2/64")),
        routes=(
            Route("k8s-n1", "192.168.5.5/16", "192.168.2.1"),
            Route("k8s-n1", "fd10::/48", "fd10:0::1"),
            Route("k8s-n1", "0.0.0.0/0", "192.168.2.1", 50, 7),
        ),
        sysctls=(IP_FORWARD, Sysctl("net.ipv4.ip_local_port_range", "1 2")),
        files=(File("/f", "x"), File("/gone", None)),
        no_offloads=(NoOffload("eth0"),),
        drops=(IngressDrop("eth0"),),
        absent_drops=(IngressDrop("eth9"),),
        moves=(AddressMove("eth0", "breth0"),),
        unaddressed=(Unaddressed("eth1"),),
    )
    current = CurrentState(
        links={
            "k8s-n1": link("k8s-n1", mtu=1400, mac="0a:58:c0:a8:02:02"),
            "eth0": link("eth0"),
            "breth0": link("breth0"),
            "eth1": link("eth1"),
        },
        addresses=(
            KernelAddress("k8s-n1", "192.168.2.2/24"),
            KernelAddress("k8s-n1", "fd10::2/64"),
            KernelAddress("k8s-n1", "fe80::1/64", scope=RtScope.LINK),
        ),
        routes=(
            connected("192.168.2.0/24", "k8s-n1"),
            connected("fd10::/64", "k8s-n1", metric=256),
            connected("fe80::/64", "k8s-n1", metric=256),
            route("192.168.0.0/16", "k8s-n1", "192.168.2.1", protocol=99),
            route("fd10::/48", "k8s-n1", "fd10::1", metric=1024),
            route("0.0.0.0/0", "k8s-n1", "192.168.2.1", metric=50, table=7),
        ),
        sysctls={IP_FORWARD: "1", Sysctl("net.ipv4.ip_local_port_range", "1 2"): "1\t2"},
        files={"/f": FileContent("x", 0o644), "/gone": None},
        offloads={"eth0": ()},
        drops=frozenset({"eth0"}),
    )
    assert plan_host(current, desired) == []


def test_an_address_that_the_kernel_removes_too_is_removed_and_added_by_steps():
    """Protects an exact rollback: the kernel removes a secondary address together with its primary one."""
    current = CurrentState(
        links={"k8s-n1": link("k8s-n1")},
        addresses=(
            KernelAddress("k8s-n1", "192.168.2.3/24"),
            KernelAddress("k8s-n1", "192.168.2.2/24", flags=IfaFlag.PERMANENT | IfaFlag.SECONDARY),
        ),
        routes=(connected("192.168.2.0/24", "k8s-n1"), route("192.168.0.0/16", "k8s-n1", "192.168.2.1")),
    )
    desired = HostState(
        (Link("k8s-n1"),), (Address("k8s-n1", "192.168.2.2/24"),), (Route("k8s-n1", "192.168.0.0/16", "192.168.2.1"),)
    )
    assert texts(plan_host(current, desired)) == [
        "route 192.168.0.0/16 via 192.168.2.1 dev k8s-n1: remove",
        "address 192.168.2.2/24 on k8s-n1: remove",
        "address 192.168.2.3/24 on k8s-n1: remove",
        "address 192.168.2.2/24 on k8s-n1: add",
        "route 192.168.0.0/16 via 192.168.2.1 dev k8s-n1: add",
    ]


def test_a_route_of_a_network_manager_moves_like_any_other():
    """Protects routes of NetworkManager: their protocol is "kernel" too, but the address has noprefixroute."""
    current = CurrentState(
        links={"eth0": link("eth0"), "breth0": link("breth0")},
        addresses=(KernelAddress("eth0", "10.44.0.12/24", flags=IfaFlag.PERMANENT | IfaFlag.NOPREFIXROUTE),),
        routes=(connected("10.44.0.0/24", "eth0", metric=100),),
    )
    (step,) = plan_host(current, HostState(moves=(AddressMove("eth0", "breth0"),)))
    assert texts(step.parts()) == [
        "address 10.44.0.12/24 on breth0: add",
        "route 10.44.0.0/24 dev eth0 metric 100: remove",
        "route 10.44.0.0/24 dev breth0 metric 100: add",
        "address 10.44.0.12/24 on eth0: remove",
    ]


def test_a_move_is_in_an_order_that_the_kernel_accepts():
    """Protects against routes that the kernel refuses, and the host's connections: the NIC loses its addresses last."""
    current = CurrentState(
        links={"eth0": link("eth0"), "breth0": link("breth0", up=False)},
        addresses=(
            KernelAddress("eth0", "10.44.0.12/24", label="eth0"),
            KernelAddress("eth0", "fe80::1/64", scope=RtScope.LINK),
        ),
        routes=(
            route("0.0.0.0/0", "eth0", "172.16.0.1"),
            route("10.9.0.0/16", "eth0", "10.44.0.1"),
            route("172.16.0.1/32", "eth0"),
            connected("10.44.0.0/24", "eth0"),
            route("10.8.0.0/16", "eth9", "10.1.1.1"),
        ),
    )
    (step,) = plan_host(current, HostState(moves=(AddressMove("eth0", "breth0"),)))
    assert texts(step.parts()) == [
        "link breth0: up",
        "address 10.44.0.12/24 on breth0: add",
        "route 0.0.0.0/0 via 172.16.0.1 dev eth0: remove",
        "route 10.9.0.0/16 via 10.44.0.1 dev eth0: remove",
        "route 172.16.0.1/32 dev eth0: remove",
        "route 172.16.0.1/32 dev breth0: add",
        "route 10.9.0.0/16 via 10.44.0.1 dev breth0: add",
        "route 0.0.0.0/0 via 172.16.0.1 dev breth0: add",
        "address 10.44.0.12/24 on eth0: remove",
    ]
    assert step.given_addresses[0].label == "breth0"
    assert step.before() == [line.replace("breth0", "eth0") for line in step.after()]


def test_later_steps_are_planned_from_the_state_after_the_move():
    """Protects against adding what has just moved, and against leaving what an owned bridge may not have."""
    current = CurrentState(
        links={"eth0": link("eth0"), "breth0": link("breth0")},
        addresses=(KernelAddress("eth0", "10.44.0.12/24"), KernelAddress("eth0", "10.44.1.12/24")),
    )
    desired = HostState(
        (Link("breth0"),), (Address("breth0", "10.44.0.12/24"),), moves=(AddressMove("eth0", "breth0"),)
    )
    assert texts(plan_host(current, desired)) == [
        "10.44.0.12/24, 10.44.1.12/24: move from eth0 to breth0",
        "address 10.44.1.12/24 on breth0: remove",
    ]


def test_a_move_back_is_the_same_move_in_the_other_direction():
    current = CurrentState(
        links={"eth0": link("eth0"), "breth0": link("breth0")}, addresses=(KernelAddress("breth0", "10.44.0.12/24"),)
    )
    assert texts(plan_host(current, HostState(moves=(AddressMove("breth0", "eth0"),)))) == [
        "10.44.0.12/24: move from breth0 to eth0"
    ]
    assert plan_host(current, HostState(moves=(AddressMove("eth0", "breth0"),))) == []


def test_a_route_keeps_its_next_hops_over_other_links():
    """Protects a route over two links, of which one loses its addresses."""
    both = KernelRoute("10.8.0.0/16", (Nexthop("eth1", "10.55.0.1"), Nexthop("eth0", "10.44.0.1")))
    current = CurrentState(
        links={"eth1": link("eth1")}, addresses=(KernelAddress("eth1", "10.55.0.12/24"),), routes=(both,)
    )
    (step,) = plan_host(current, HostState(unaddressed=(Unaddressed("eth1"),)))
    assert texts(step.parts()) == [
        "route 10.8.0.0/16 via 10.55.0.1 dev eth1 nexthop via 10.44.0.1 dev eth0: remove",
        "route 10.8.0.0/16 via 10.44.0.1 dev eth0: add",
        "address 10.55.0.12/24 on eth1: remove",
    ]


def test_a_route_to_the_network_of_another_link_is_an_error():
    """Protects the other link, which would lose its network."""
    current = CurrentState(links={"k8s-n1": link("k8s-n1")}, routes=(connected("10.44.0.0/24", "eth0"),))
    with pytest.raises(
        HostError, match=r"^route 10\.44\.0\.0/24 to k8s-n1 can't be made: eth0 has an address in that network"
    ):
        plan_host(current, HostState(routes=(Route("k8s-n1", "10.44.0.0/24", "10.1.1.1"),)))


@pytest.mark.parametrize(
    ("key", "parts", "of"),
    [
        ("net.ipv4.ip_forward", ("net", "ipv4", "ip_forward"), None),
        ("net.ipv4.conf.all.rp_filter", ("net", "ipv4", "conf", "all", "rp_filter"), None),
        ("net.ipv4.conf.eth0.rp_filter", ("net", "ipv4", "conf", "eth0", "rp_filter"), "eth0"),
        ("net/ipv6/neigh/eth0.5/gc_stale_time", ("net", "ipv6", "neigh", "eth0.5", "gc_stale_time"), "eth0.5"),
        ("net.ipv4.conf.eth0/5.rp_filter", ("net", "ipv4", "conf", "eth0.5", "rp_filter"), "eth0.5"),
    ],
)
def test_keys_of_settings_are_parsed_as_by_sysctl(key, parts, of):
    assert (Sysctl(key, "1").parts, Sysctl(key, "1").link) == (parts, of)


def test_no_text_shows_a_secret():
    """Protects private keys in plans, diffs and reprs, also when a file was a secret or becomes one."""
    for old, new in ((0o600, 0o600), (0o600, 0o644), (0o644, 0o640)):
        (step,) = plan_host(
            CurrentState(files={"/key": FileContent("OLD-PRIVATE", old)}),
            HostState(files=(File("/key", "NEW-PRIVATE", new),)),
        )
        shown = [
            step.describe(),
            json.dumps(step.as_dict()),
            *step.before(),
            *step.after(),
            repr(step),
            repr(step.undo()),
        ]
        assert "PRIVATE" not in "".join(shown) and "/key" in shown[0]
    assert "PRIVATE" not in repr(HostState(files=(File("/key", "PRIVATE", 0o600),)))


def test_each_step_fits_into_json_and_is_the_inverse_of_its_inverse():
    """Protects results, which are JSON, and rollback, which applies inverses."""
    desired = HostState(
        links=(Link("k8s-n1", 1400, "0a:58:c0:a8:02:02"),),
        addresses=(Address("k8s-n1", "192.168.2.2/24"),),
        routes=(Route("k8s-n1", "192.168.0.0/16", "192.168.2.1"),),
        sysctls=(IP_FORWARD,),
        files=(File("/f", "new\n"), File("/old", None)),
        moves=(AddressMove("eth0", "breth0"),),
        unaddressed=(Unaddressed("eth1"),),
        no_offloads=(NoOffload("eth0"),),
        drops=(IngressDrop("eth0"),),
        absent_drops=(IngressDrop("eth9"),),
    )
    current = CurrentState(
        links={
            "k8s-n1": link("k8s-n1", up=False),
            "eth0": link("eth0"),
            "breth0": link("breth0"),
            "eth1": link("eth1"),
        },
        addresses=(
            KernelAddress("eth0", "10.44.0.12/24"),
            KernelAddress("eth1", "10.55.0.12/24"),
            KernelAddress("k8s-n1", "10.1.1.1/24"),
        ),
        routes=(route("0.0.0.0/0", "eth0", "10.44.0.1", metric=100), route("10.3.0.0/16", "k8s-n1")),
        sysctls={IP_FORWARD: "0"},
        files={"/f": FileContent("old\n", 0o644), "/old": FileContent("", 0o644)},
        offloads={"eth0": ("tx", "tso")},
        drops=frozenset({"eth9"}),
    )
    steps = plan_host(current, desired)
    assert {type(step).__name__ for step in steps} == {
        "AddressStep",
        "RouteStep",
        "LinkStep",
        "SysctlStep",
        "OffloadStep",
        "DropStep",
        "FileStep",
        "MoveStep",
    }
    for step in steps:
        assert json.loads(json.dumps(step.as_dict())) == step.as_dict()
        back = step.undo()
        assert (back.before(), back.after()) == (step.after(), step.before())
        assert back.undo() == step


def test_managers_are_told_after_their_files():
    """Protects the order in both directions: files first, then their readers. NetworkManager is told early too."""
    file = File("/etc/a", "x\n")
    late, early = (
        Handover("systemd-networkd", "eth0", "breth0", ("/etc/a",)),
        Handover("NetworkManager", "eth0", "breth0", ("/etc/a",), early=True),
    )
    for reader, first in ((late, False), (early, True)):
        plan = plan_host(CurrentState(files={"/etc/a": None}), HostState(files=(file,), file_readers=(reader,)))
        assert [type(step).__name__ for step in plan] == ["HandoverStep", "FileStep", "HandoverStep"]
        assert [step.tells for step in (plan[0], plan[2])] == [first, True] and plan[2].to_bridge
        undone = [step.undo() for step in reversed(plan)]
        assert [undone[0].tells, undone[2].tells, undone[2].to_bridge] == [False, True, False]
        back = plan_host(CurrentState(files={"/etc/a": None}), HostState(files=(file,), file_readers=(reader.back(),)))
        assert [step.tells for step in (back[0], back[2])] == [False, True] and not back[2].to_bridge
        # One that takes what it has at any moment lets go before anything else is rolled back.
        assert [back[2].undo().tells, back[0].undo().tells, back[0].undo().to_bridge] == [first, True, True]
    assert (
        plan_host(
            CurrentState(files={"/etc/a": FileContent("x\n", 0o644)}),
            HostState(files=(file,), file_readers=(late, early)),
        )
        == []
    )


def test_routes_of_the_node_server_stay():
    """Protects further networks of services on an owned link: the node server keeps its routes, no run of ours."""
    current = CurrentState(
        links={"k8s-n1": link("k8s-n1")},
        routes=(
            route("10.200.0.0/16", "k8s-n1", "192.168.1.1", protocol=RtProt.SERVICES),
            route("10.201.0.0/16", "k8s-n1", "192.168.1.1"),
        ),
    )
    desired = HostState(links=(Link("k8s-n1"),), routes=(Route("k8s-n1", "10.200.0.0/16", "192.168.1.1"),))
    assert texts(plan_host(current, desired)) == ["route 10.201.0.0/16 via 192.168.1.1 dev k8s-n1: remove"]
