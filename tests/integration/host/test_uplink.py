# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A NIC's addresses and routes move to its bridge and back: exactly, quickly, and all or nothing."""

from __future__ import annotations

import json
import socket
import threading

import pytest
from database_server import wait_for
from kernel_links import bound_rules, pair, snapshot, tool
from network_namespace import ip, ip_batch

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.apply import apply_steps
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.desired import AddressMove, HostState
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.plan import plan_host
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.read import read_current
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.steps import links, routes

THERE = HostState(moves=(AddressMove("eth0", "breth0"),))
BACK = HostState(moves=(AddressMove("breth0", "eth0"),))
# Everything that a network manager, an administrator or a cloud's image puts on a NIC.
SETUP = """
address add 10.44.0.12/24 broadcast 10.44.0.255 dev eth0
address add 10.44.0.13/24 dev eth0 label eth0:web
address add 10.44.0.14/24 dev eth0
address add 172.16.9.1/32 dev eth0
address add 10.99.0.1 peer 10.99.0.2/32 dev eth0
address add 10.66.0.2/24 metric 700 dev eth0
address add 10.67.0.2/24 noprefixroute dev eth0
address add 169.254.7.7/16 scope link dev eth0
address add 10.68.0.2/24 valid_lft 5000 preferred_lft 4000 dev eth0
address add fd44::12/64 dev eth0
address add fd45::12/64 nodad noprefixroute home dev eth0
address add fd46::12/128 metric 300 dev eth0
route add 10.67.0.0/24 dev eth0 proto kernel scope link src 10.67.0.2 metric 100
route add default via 10.44.0.1 src 10.44.0.13 metric 100 mtu 1400 advmss 1300
route add default via 10.44.0.2 metric 200 proto dhcp
route add default via 192.0.2.1 dev eth0 onlink metric 300
route add 203.0.113.1/32 dev eth0
route add 198.51.100.0/24 via 203.0.113.1 dev eth0
route add 198.51.101.0/24 dev eth0 scope link
route add 198.51.102.0/24 tos 0x10 via 10.44.0.1
route add 198.51.103.0/24 nexthop via 10.44.0.1 weight 3 nexthop via 10.44.0.2 weight 1
route add 198.51.104.0/24 nexthop via 10.44.0.1 dev eth0 nexthop via 10.77.0.1 dev other
route add 198.51.105.0/24 via inet6 fd44::1 dev eth0
route add 198.51.106.0/24 via 10.44.0.1 table 100 realm 5
route add default via 10.44.0.1 table 100
route add 198.51.107.0/24 dev eth0 table 1000 metric 9
route add local 198.51.108.0/24 dev eth0
route add 10.44.0.0/24 dev eth0 proto kernel scope link metric 555
route add 198.51.109.0/24 via 10.44.0.1
route append 198.51.109.0/24 via 10.44.0.2
route add 198.51.110.0/24 dev other
route append 198.51.110.0/24 dev eth0
-6 route add default via fd44::1 metric 100 pref high
-6 route add default via fd44::2 metric 200 proto ra expires 600
-6 route add 2001:db8:1::/48 via fd44::1 src fd44::12
-6 route add 2001:db8:2::/48 dev eth0
-6 route add 2001:db8:3::/48 metric 50 nexthop via fd44::1 weight 2 nexthop via fd44::2
-6 route add 2001:db8:4::/48 via fd44::1 table 100
-6 route add 2001:db8:5::/48 via fe80::1 dev eth0 mtu 1300
-6 route add fd45::/64 dev eth0 proto kernel metric 256
-6 route add 2001:db8:6::/48 dev other
-6 route append 2001:db8:6::/48 dev eth0
route add 192.0.2.128/25 via 10.77.0.1 src 10.44.0.12
rule add priority 500 iif eth0 from 10.0.0.0/8 fwmark 7/0xf table 100
rule add priority 501 oif eth0 not to 198.51.100.0/24 tos 0x10 lookup 1000 suppress_prefixlength 8
rule add priority 502 iif eth0 oif other unreachable
rule add priority 503 iif other lookup main
-6 rule add priority 600 iif eth0 uidrange 5-10 ipproto tcp dport 80-90 lookup 100
"""


def plan(want):
    return plan_host(read_current(want), want)


def converge(want):
    steps = plan(want)
    apply_steps(steps)
    assert plan(want) == []
    return steps


def furnish(bridge_up=False):
    """A NIC with all of SETUP, a bridge, and a NIC that stays out of it."""
    pair("eth0")
    pair("breth0", up=bridge_up)
    ip("link set breth0p up")
    pair("other")
    ip("address add 10.77.0.2/24 dev other")
    tool(
        "sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0"
    )  # the NIC's addresses are long settled; the bridge tests new ones
    lines = SETUP.strip().splitlines()
    first_route = next(number for number, line in enumerate(lines) if line.startswith("route"))
    ip_batch(lines[:first_route])
    # The kernel takes an IPv6 address into use a moment later; before, no route can have it as its source.
    wait_for(lambda: "tentative" not in ip("-6 address show dev eth0"), "the NIC's addresses to be in use")
    ip_batch(lines[first_route:])


def renamed(found, old, new):
    """A snapshot as it would be on the other link."""
    return json.loads(json.dumps(found).replace(old, new))


def without_expiry(found):
    """A snapshot without the seconds that are left, which run on."""

    def cut(route):
        return json.dumps({key: value for key, value in json.loads(route).items() if key != "expires"}, sort_keys=True)

    return dict(found, routes=sorted(map(cut, found["routes"])))


def test_all_moves_to_the_bridge_and_back_as_it_was():
    """ip shows on the bridge what it showed on the NIC, and after the way back on the NIC what it showed at first."""
    furnish()
    before, bound = without_expiry(snapshot("eth0", "breth0", "other")), bound_rules("eth0")
    (step,) = converge(THERE)
    assert step.describe() == "{}, 28 routes, 4 rules: move from eth0 to breth0".format(
        ", ".join(step.as_dict()["addresses"])
    )
    assert "tentative" not in ip("-6 address show dev breth0")  # usable at once
    moved = without_expiry(snapshot("eth0", "breth0", "other"))
    assert moved["eth0"] == []
    assert moved["breth0"] == renamed(before["eth0"], "eth0", "breth0")
    assert sorted(moved["routes"]) == sorted(renamed(before["routes"], "eth0", "breth0"))
    assert bound_rules("breth0") == [line.replace("eth0", "breth0") for line in bound]
    assert bound_rules("eth0") == []
    converge(BACK)
    assert without_expiry(snapshot("eth0", "breth0", "other")) == before
    assert bound_rules("eth0") == bound
    assert len(bound) == 4


def test_what_the_step_promises_is_what_the_inverse_does():
    """A caller that keeps the step can take it back without looking at the host again."""
    furnish(bridge_up=True)
    before = without_expiry(snapshot("eth0", "breth0"))
    steps = converge(THERE)
    apply_steps([step.undo() for step in reversed(steps)])
    assert without_expiry(snapshot("eth0", "breth0")) == before


@pytest.mark.parametrize("nth", [1, 5, 14, 16, 45, 70, 81])
def test_a_move_that_fails_anywhere_leaves_all_where_it_was(nth, monkeypatch):
    """The kernel refuses the nth request: addresses, routes and the bridge's state are as before."""
    furnish()
    before = without_expiry(snapshot("eth0", "breth0", "other")), ip("-j link show breth0").count('"UP"')
    steps = plan(THERE)
    calls = []

    def failing(method):
        def run(*args):
            calls.append(method.__name__)
            if len(calls) == nth:
                raise OSError(95, "Operation not supported")
            return method(*args)

        return run

    monkeypatch.setattr(links, "set_link", failing(links.set_link))
    for name in ("add_address", "remove_address", "add_route", "remove_route"):
        monkeypatch.setattr(routes, name, failing(getattr(routes, name)))
    with pytest.raises(HostError, match="failed: Operation not supported") as caught:
        apply_steps(steps)
    assert "by hand" not in str(caught.value)
    assert len(calls) > nth or nth == 1
    assert (without_expiry(snapshot("eth0", "breth0", "other")), ip("-j link show breth0").count('"UP"')) == before


def test_an_address_that_came_back_to_the_nic_leaves_it_again():
    """A DHCP client or a boot put it there a second time; the bridge has it already."""
    pair("eth0")
    pair("breth0")
    ip("address add 10.44.0.12/24 dev eth0")
    ip("route add default via 10.44.0.1")
    converge(THERE)
    bridge = snapshot("breth0")
    ip("address add 10.44.0.12/24 dev eth0")
    ip("route append default via 10.44.0.1 dev eth0")
    twice = snapshot("eth0", "breth0")
    steps = converge(THERE)
    assert snapshot("eth0")["eth0"] == [] and snapshot("breth0") == bridge
    apply_steps([step.undo() for step in reversed(steps)])
    assert snapshot("eth0", "breth0") == twice


def test_a_bridge_whose_nic_has_nothing_is_done():
    """The second run, and a NIC that never had addresses."""
    pair("eth0")
    pair("breth0")
    assert plan(THERE) == [] and plan(BACK) == []


def test_routes_that_use_nexthop_objects_are_refused_before_anything_moves():
    """They belong to a link and can't be said anew: better no move than a lost route."""
    pair("eth0")
    pair("breth0")
    ip("address add 10.44.0.12/24 dev eth0")
    ip("nexthop add id 5 via 10.44.0.1 dev eth0")
    ip("route add 10.8.0.0/16 nhid 5")
    with pytest.raises(HostError, match=r"route 10\.8\.0\.0/16 on eth0 uses the nexthop object 5"):
        plan(THERE)


def test_a_connection_survives_the_move(monkeypatch):
    """Bytes flow over one TCP connection while its address changes links, again and again.

    A plain bridge of the kernel stands in for the Open vSwitch bridge: the NIC is in it from the start, as when the
    move begins.
    """
    pair("eth0", "far")
    ip("netns add hostnet-peer")
    try:
        ip("link set far netns hostnet-peer")
        ip("-n hostnet-peer address add 10.44.0.1/24 dev far")
        ip("-n hostnet-peer link set far up")
        mac = json.loads(ip("-j link show eth0"))[0]["address"]
        ip(f"link add breth0 address {mac} type bridge")
        ip("link set breth0 up")
        ip("address add 10.44.0.12/24 dev eth0")
        ip("route add default via 10.44.0.1")
        ip("link set eth0 master breth0")
        converge(THERE)
        listener = _in_namespace("/run/netns/hostnet-peer", lambda: socket.create_server(("10.44.0.1", 7777)))
        with listener:
            thread = threading.Thread(target=_echo, args=(listener,), daemon=True)
            thread.start()
            with socket.create_connection(("10.44.0.1", 7777), timeout=5) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for number in range(4):
                    # The way back and forth ends on the bridge, where the packets are.
                    for want in (BACK, THERE):
                        apply_steps(plan(want))
                    connection.sendall(b"%d" % number)
                    assert connection.recv(1) == b"%d" % number
            thread.join(5)
    finally:
        ip("netns delete hostnet-peer")


def _echo(listener):
    peer, _address = listener.accept()
    with peer:
        while data := peer.recv(100):
            peer.sendall(data)


def _in_namespace(path, action):
    """What ``action`` returns, when called in another network namespace."""
    import ctypes

    result = []

    def run():
        with open(path, encoding="ascii") as handle:
            ctypes.CDLL(None).setns(handle.fileno(), 0x40000000)
        result.append(action())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return result[0]
