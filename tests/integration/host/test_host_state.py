# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects links, addresses, routes, settings, offloads, drops and files: they are made in a real kernel."""

from __future__ import annotations

import os
import socket
import stat
import threading
import time

import pytest
from kernel_links import link_state, pair, snapshot, tool
from network_namespace import ip

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.apply import apply_steps
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
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.read import read_current
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink import links

BOTH = HostState(
    links=(Link("k8s-n1", mtu=1400, mac="0a:58:c0:a8:02:02"),),
    addresses=(Address("k8s-n1", "192.168.2.2/24"), Address("k8s-n1", "fd10::2/64")),
    routes=(
        Route("k8s-n1", "192.168.0.0/16", "192.168.2.1"),
        Route("k8s-n1", "fd10::/48", "fd10::1"),
        Route("k8s-n1", "172.30.0.0/16", "192.168.2.1", metric=7, table=500),
    ),
)


def plan(want):
    return plan_host(read_current(want), want)


def converge(want):
    """Apply the plan, and check that nothing is left to do."""
    steps = plan(want)
    apply_steps(steps)
    assert [step.describe() for step in plan(want)] == []
    return steps


def test_link_addresses_and_routes_of_both_ip_versions_are_made_and_read():
    """Protects the messages to the kernel: ip shows what was written, and a second run plans nothing."""
    pair("k8s-n1", up=False)
    steps = converge(BOTH)
    assert [step.describe() for step in steps] == [
        "link k8s-n1: up, mtu 1400, mac 0a:58:c0:a8:02:02",
        "address 192.168.2.2/24 on k8s-n1: add",
        "address fd10::2/64 on k8s-n1: add",
        "route 192.168.0.0/16 via 192.168.2.1 dev k8s-n1: add",
        "route fd10::/48 via fd10::1 dev k8s-n1 metric 1024: add",
        "route 172.30.0.0/16 via 192.168.2.1 dev k8s-n1 metric 7 table 500: add",
    ]
    assert link_state("k8s-n1") == (True, 1400, "0a:58:c0:a8:02:02")
    assert "tentative" not in ip("-6 address show dev k8s-n1")
    assert "192.168.0.0/16 via 192.168.2.1 dev k8s-n1 proto static" in ip("route")
    assert "172.30.0.0/16 via 192.168.2.1 dev k8s-n1 proto static metric 7" in ip("route show table 500")
    assert "fd10::/48 via fd10::1 dev k8s-n1 proto static metric 1024" in ip("-6 route")


def test_undoing_every_step_leaves_the_host_as_it_was():
    """Protects rollback: the inverse of each step is exact."""
    pair("k8s-n1", up=False)
    before = snapshot("k8s-n1"), link_state("k8s-n1")
    steps = converge(BOTH)
    apply_steps([step.undo() for step in reversed(steps)])
    assert (snapshot("k8s-n1"), link_state("k8s-n1")) == before


@pytest.mark.parametrize("address", ["192.168.2.3/24", "192.168.2.2/23", "10.9.9.9/32"])
def test_an_owned_link_has_only_what_is_desired(address):
    """Protects desired addresses also when the kernel removes them together with their primary address."""
    pair("k8s-n1")
    ip(f"address add {address} dev k8s-n1")
    ip("address add fd99::1/64 dev k8s-n1 nodad")
    ip("address add 192.168.2.2/24 dev k8s-n1")
    ip("route add 192.168.0.0/16 via 192.168.2.1 dev k8s-n1")
    ip("route add 203.0.113.0/24 dev k8s-n1 metric 5")
    ip("route add 203.0.114.0/24 dev k8s-n1 table 77")
    ip("-6 route add 2001:db8::/32 dev k8s-n1")
    before = snapshot("k8s-n1")
    steps = converge(BOTH)
    found = snapshot("k8s-n1")
    assert [(entry["local"], entry["prefixlen"]) for entry in found["k8s-n1"]] == [("192.168.2.2", 24), ("fd10::2", 64)]
    assert not [route for route in found["routes"] if "203.0.11" in route or "2001:db8" in route or "fd99" in route]
    apply_steps([step.undo() for step in reversed(steps)])
    after = snapshot("k8s-n1")
    for one in (before, after):
        one["k8s-n1"].sort(key=str)  # addresses of different networks have no order that matters
    assert after == before


def test_a_link_that_is_not_owned_keeps_what_it_has():
    """Protects NICs of the host: owned=False only adds."""
    pair("eth0")
    ip("address add 10.1.1.1/24 dev eth0")
    ip("route add 10.2.0.0/16 via 10.1.1.254")
    converge(HostState(links=(Link("eth0", owned=False),), addresses=(Address("eth0", "10.1.1.2/24"),)))
    shown = ip("-4 address show dev eth0")
    assert "10.1.1.1/24" in shown and "10.1.1.2/24" in shown
    assert "10.2.0.0/16" in ip("route")


def test_a_route_replaces_one_with_another_next_hop_and_undo_restores_it():
    """Protects the other route, which has the same destination, metric and table."""
    pair("eth0")
    pair("k8s-n1")
    ip("address add 10.1.1.1/24 dev eth0")
    ip("route add 192.168.0.0/16 via 10.1.1.254 proto 99")
    ip("address add 192.168.2.2/24 dev k8s-n1")
    before = snapshot("eth0", "k8s-n1")
    steps = converge(HostState(routes=(Route("k8s-n1", "192.168.0.0/16", "192.168.2.1"),)))
    assert ip("route show 192.168.0.0/16").split() == [
        "192.168.0.0/16",
        "via",
        "192.168.2.1",
        "dev",
        "k8s-n1",
        "proto",
        "static",
    ]
    apply_steps([step.undo() for step in reversed(steps)])
    assert snapshot("eth0", "k8s-n1") == before


def test_a_route_to_a_network_of_another_link_is_refused():
    """Protects against two links in one network by mistake."""
    pair("eth0")
    pair("k8s-n1")
    ip("address add 192.168.2.9/24 dev eth0")
    with pytest.raises(HostError, match="eth0 has an address in that network"):
        plan(HostState(routes=(Route("k8s-n1", "192.168.2.0/24"),)))


def test_addresses_and_routes_of_router_advertisements_stay():
    """Protects "unchanged": the next advertisement would bring them back."""
    pair("k8s-n1")
    ip("address add fd77::5/64 dev k8s-n1 valid_lft 1000 preferred_lft 900 nodad")
    ip("-6 route add 2001:db8::/32 dev k8s-n1 proto ra")
    converge(BOTH)
    assert "fd77::5" in ip("-6 address show dev k8s-n1") and "2001:db8::/32" in ip("-6 route")


def test_a_link_that_does_not_exist_yet_is_planned_and_waited_for():
    """Protects check mode, which shows the whole plan, and apply, which continues once ovs-vswitchd made the link."""
    steps = plan(BOTH)
    assert len(steps) == 6
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    def make_late():
        import ctypes

        ctypes.CDLL(None).setns(home, 0x40000000)
        waiting.wait(5)
        pair("k8s-n1", up=False)

    waiting = threading.Event()
    original = links.wait_for_link

    def announce(name, timeout):
        waiting.set()
        original(name, timeout)

    links.wait_for_link = announce
    thread = threading.Thread(target=make_late)
    thread.start()
    try:
        apply_steps(steps)
    finally:
        links.wait_for_link = original
        thread.join()
        os.close(home)
    assert plan(BOTH) == []


def test_a_link_that_never_appears_is_an_error():
    """Protects against waiting for ever."""
    started = time.monotonic()
    with pytest.raises(HostError, match=r"link k8s-n1 did not appear within 0\.2 s"):
        apply_steps(plan(BOTH), link_timeout=0.2)
    assert time.monotonic() - started < 30


def test_a_step_that_fails_undoes_the_steps_before_it(tmp_path):
    """Protects against a state that is half done, whatever kind of step fails last."""
    pair("k8s-n1", up=False)
    ip("address add 192.168.9.9/24 dev k8s-n1")
    (tmp_path / "kept").write_text("old\n")
    before = snapshot("k8s-n1"), link_state("k8s-n1"), tool("sysctl", "-n", "net.ipv4.ip_forward")
    want = HostState(
        links=BOTH.links,
        addresses=BOTH.addresses,
        routes=BOTH.routes,
        no_offloads=(NoOffload("k8s-n1"),),
        sysctls=(
            Sysctl("net.ipv4.ip_forward", "0" if before[2].strip() == "1" else "1"),
            Sysctl("net/ipv4/conf/k8s-n1/rp_filter", "2"),
        ),
        files=(File(str(tmp_path / "kept"), "new\n"), File(str(tmp_path / "kept" / "below-a-file"), "x\n")),
    )
    with pytest.raises(HostError, match="below-a-file: add failed"):
        apply_steps(plan(want))
    assert (snapshot("k8s-n1"), link_state("k8s-n1"), tool("sysctl", "-n", "net.ipv4.ip_forward")) == before
    assert (tmp_path / "kept").read_text() == "old\n"
    assert len(plan(HostState(no_offloads=(NoOffload("k8s-n1"),)))) == 1


def test_a_next_hop_outside_the_links_networks_is_explained():
    """Protects users, whom the kernel's "Network is unreachable" alone would mislead."""
    pair("k8s-n1")
    with pytest.raises(
        HostError,
        match=r"route 10\.8\.0\.0/16 via 10\.7\.0\.1 dev k8s-n1: add failed: .*next hop must be in a "
        r"network of the link",
    ):
        apply_steps(plan(HostState(routes=(Route("k8s-n1", "10.8.0.0/16", "10.7.0.1"),))))


def test_settings_of_links_with_dots_in_their_names():
    """Protects links such as VLANs, whose keys have slashes (sysctl(8)). Values are compared word by word."""
    pair("eth0.5")
    want = HostState(
        sysctls=(Sysctl("net/ipv4/conf/eth0.5/rp_filter", "2"), Sysctl("net.ipv4.ip_local_port_range", "20000 60000"))
    )
    converge(want)
    assert tool("sysctl", "-n", "net/ipv4/conf/eth0.5/rp_filter").strip() == "2"


def test_a_setting_that_the_kernel_lacks_is_an_error():
    with pytest.raises(HostError, match="this kernel has no such setting"):
        apply_steps(plan(HostState(sysctls=(Sysctl("net.ipv4.no_such_thing", "1"),))))


def test_ipv6_is_switched_on_before_its_addresses_are_added():
    """Protects IPv6 addresses of links with disable_ipv6."""
    pair("k8s-n1")
    tool("sysctl", "-qw", "net.ipv6.conf.k8s-n1.disable_ipv6=1")
    converge(
        HostState(
            sysctls=(Sysctl("net/ipv6/conf/k8s-n1/disable_ipv6", "0"),), addresses=(Address("k8s-n1", "fd10::2/64"),)
        )
    )


def test_offload_is_switched_off_and_on_again():
    """Protects the ioctl: ethtool, which is another implementation, shows the result."""
    pair("eth0")

    def shown():
        return {
            line.split(":")[0].strip(): line.split(":")[1].split()[0]
            for line in tool("ethtool", "-k", "eth0").splitlines()
            if ": " in line
        }

    before = shown()
    assert before["tx-checksumming"] == "on"
    steps = converge(HostState(no_offloads=(NoOffload("eth0"),)))
    assert (shown()["tx-checksumming"], shown()["tx-tcp-segmentation"]) == ("off", "off")
    apply_steps([step.undo() for step in reversed(steps)])
    assert shown() == before


def test_a_drop_is_added_and_tables_of_others_stay():
    """Protects nftables tables of others. The own table is removed with its last chain."""
    pair("eth0")
    pair("eth1.7")
    tool(
        "nft",
        "add table netdev theirs { chain in_eth0 { type filter hook ingress device eth0 priority 0; "
        "policy accept; }; }",
    )
    converge(HostState(drops=(IngressDrop("eth0"), IngressDrop("eth1.7"))))
    listed = tool("nft", "list", "table", "netdev", "ovn_kubernetes")
    assert listed.count("policy drop") == 2 and '"eth1.7"' in listed
    steps = converge(HostState(absent_drops=(IngressDrop("eth0"),)))
    assert "eth0" not in tool("nft", "list", "table", "netdev", "ovn_kubernetes")
    apply_steps([step.undo() for step in reversed(steps)])
    assert plan(HostState(drops=(IngressDrop("eth0"), IngressDrop("eth1.7")))) == []
    converge(HostState(absent_drops=(IngressDrop("eth0"), IngressDrop("eth1.7"))))
    assert tool("nft", "list", "tables").split() == ["table", "netdev", "theirs"]


def answers(address, patience):
    """Return whether a host answers that nothing listens on its discard port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(patience)
        probe.connect((address, 9))
        try:
            probe.send(b"anybody?")
            probe.recv(1)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def test_a_drop_keeps_packets_from_the_host():
    """Protects the userspace datapath against answers of the host's stack: with the drop there are none."""
    pair("eth0", "far")
    ip("netns add hostnet-far")
    try:
        ip("link set far netns hostnet-far")
        ip("-n hostnet-far address add 10.1.1.2/24 dev far")
        ip("-n hostnet-far link set far up")
        ip("address add 10.1.1.1/24 dev eth0")
        assert answers("10.1.1.2", patience=5)
        converge(HostState(drops=(IngressDrop("eth0"),)))
        assert not answers("10.1.1.2", patience=0.3)
        converge(HostState(absent_drops=(IngressDrop("eth0"),)))
        assert answers("10.1.1.2", patience=5)
    finally:
        ip("netns delete hostnet-far")


def test_an_unaddressed_nic_gets_all_back():
    """Protects what the NIC had: the step describes all of it, and its inverse is exact."""
    pair("eth1")
    ip("address add 10.55.0.12/24 broadcast 10.55.0.255 dev eth1")
    ip("address add 10.55.0.13/24 dev eth1 label eth1:x")
    ip("address add fd55::12/64 dev eth1 nodad")
    ip("route add default via 10.55.0.254 metric 50")
    ip("-6 route add 2001:db8::/32 via fd55::1")
    before = snapshot("eth1")
    (step,) = converge(HostState(unaddressed=(Unaddressed("eth1"),)))
    assert snapshot("eth1") == {"eth1": [], "routes": []}
    assert step.as_dict() == {
        "kind": "uplink",
        "operation": "remove",
        "from": "eth1",
        "to": None,
        "addresses": ["10.55.0.12/24", "10.55.0.13/24", "fd55::12/64"],
        "routes": [
            {"destination": "0.0.0.0/0", "via": "10.55.0.254", "link": "eth1", "metric": 50, "table": 254},
            {"destination": "2001:db8::/32", "via": "fd55::1", "link": "eth1", "metric": 1024, "table": 254},
        ],
    }
    apply_steps([step.undo()])
    assert snapshot("eth1") == before


def test_files_are_replaced_atomically_and_secrets_are_never_readable(tmp_path, monkeypatch):
    """Protects readers, who see the old or the new file, and keys, whose file has its mode from the beginning."""
    seen = []
    rename = os.rename
    monkeypatch.setattr(
        os, "rename", lambda old, new: (seen.append(stat.S_IMODE(os.stat(old).st_mode)), rename(old, new))
    )
    public, secret, gone = (str(tmp_path / "deep" / name) for name in ("net.conf", "key.pem", "old"))
    os.makedirs(tmp_path / "deep")
    with open(gone, "wb") as stream:
        stream.write(b"not \xff UTF-8")
    os.chmod(gone, 0o640)
    want = HostState(
        files=(
            File(public, "a\nb\n"),
            File(secret, "PRIVATE\n", 0o600),
            File(gone, None),
            File(str(tmp_path / "new" / "x"), ""),
        )
    )
    steps = plan(want)
    text = repr(steps) + "".join(
        "".join([step.describe(), str(step.as_dict()), *step.before(), *step.after()]) for step in steps
    )
    assert "PRIVATE" not in text and "not " not in text
    converge(want)
    assert seen == [0o644, 0o600, 0o644]
    assert stat.S_IMODE(os.stat(secret).st_mode) == 0o600 and not os.path.exists(gone)
    os.chmod(public, 0o600)
    assert [step.describe() for step in converge(want)] == [f"file {public}: change"]
    apply_steps([step.undo() for step in reversed(steps)])
    with open(gone, "rb") as stream:
        assert stream.read() == b"not \xff UTF-8"
    assert stat.S_IMODE(os.stat(gone).st_mode) == 0o640
    assert sorted(os.listdir(tmp_path / "deep")) == ["old"]


def test_a_host_whose_bridge_does_not_exist_yet_has_a_plan():
    """Protects check mode on a new host: the NIC exists, its bridge does not."""
    pair("eth0")
    ip("address add 10.44.0.12/24 dev eth0")
    steps = plan(HostState(links=(Link("breth0", owned=False),), moves=(AddressMove("eth0", "breth0"),)))
    assert [step.describe() for step in steps] == ["10.44.0.12/24: move from eth0 to breth0", "link breth0: up"]
