# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the facts of a host that plans depend on, and the loading of the libraries that read them."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys

import pytest
from kernel_links import pair, tool
from network_namespace import ip

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._host import facts
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink import libraries, messages
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.addresses import read_addresses
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.plain import plain_messages
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.routes import read_routes
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.socket import RouteSocket
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import own_facts
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.host_facts import HostFacts


@pytest.fixture(name="eth0")
def _eth0():
    tool("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
    pair("eth0")
    ip("link set eth0 mtu 1450 address 02:00:00:00:00:07")
    ip("address add 10.44.0.12/24 dev eth0")
    ip("address add fd44::12/64 dev eth0")
    ip("address add fe80::7/64 dev eth0")


def test_a_links_own_values(eth0):
    """Protects the values that plans are made from."""
    assert facts.link_mtu("eth0") == 1450
    assert facts.link_mac("eth0") == "02:00:00:00:00:07"
    assert facts.configured_addresses("eth0") == ["10.44.0.12/24", "fd44::12/64"]
    assert facts.link_of_address("10.44.0.12") == "eth0"
    assert facts.link_of_address("fd44:0::12") == "eth0"
    assert facts.link_of_address("10.44.0.99") is None
    assert (facts.link_mtu("nosuch"), facts.link_mac("nosuch"), facts.configured_addresses("nosuch")) == (
        None,
        None,
        [],
    )
    assert facts.link_mac("a-name-that-no-link-can-have") is None


def on_the_loopback():
    """Tunnel addresses on the loopback, and another way out."""
    ip("address add 10.255.0.12/32 dev lo")
    ip("address add fd55::12/128 dev lo")
    pair("eth1")
    ip("link set eth1 mtu 1400")
    ip("address add 10.55.0.12/24 dev eth1")


def test_an_address_on_the_loopback_has_the_mtu_of_the_links_that_lead_out(eth0):
    """Protects tunnels whose address is announced with BGP: 65536 fits through no link. ECMP, a metric of the route,
    the longest prefix and both families count."""
    on_the_loopback()
    assert facts.outgoing_mtu("10.255.0.12", []) is None  # no way out that is known
    ip("route add default via 10.44.0.1")
    ip("route add 10.255.0.13/32 via 10.55.0.254")
    ip("route add 10.255.0.14/32 nexthop via 10.44.0.1 nexthop via 10.55.0.254")
    ip("route add 10.255.0.15/32 via 10.44.0.1 mtu 1300")
    ip("route add fd55::/64 via fd44::1")
    own = "10.255.0.12"
    assert facts.outgoing_mtu(own, []) == facts.outgoing_mtu(own, ["10.255.0.99", own]) == 1450
    assert facts.outgoing_mtu(own, ["10.255.0.99", "10.255.0.13"]) == 1400
    assert facts.outgoing_mtu(own, ["10.255.0.14"]) == 1400
    assert facts.outgoing_mtu(own, ["10.255.0.15", "fd55::13"]) == 1300
    assert facts.outgoing_mtu("fd55::12", ["fd55::13", "10.255.0.15"]) == 1450
    assert facts.outgoing_mtu("10.44.0.12", ["10.44.0.13"]) == facts.outgoing_mtu("10.44.0.12", []) == 1450


@pytest.mark.parametrize("messages_of", [contextlib.nullcontext, plain_messages], ids=["library", "plain"])
def test_the_ways_to_all_tunnel_addresses(eth0, messages_of):
    """Protects the controller's answer, which it gets before the first package is installed: this host's own address
    and those that it has no way to don't count, and each IP version has its own."""
    on_the_loopback()
    ip("route add 10.255.0.0/24 via 10.44.0.1")
    ip("route add 10.255.0.13/32 via 10.55.0.254")
    ip("route add blackhole 10.99.0.0/16")
    ip("route add fd55::/64 via fd44::1")
    with messages_of():

        def ways(*addresses):
            return own_facts.read_own_facts(addresses)["way_mtus"]

        assert ways("10.255.0.12", "10.255.0.14", "fd55::12", "fd55::14") == {"IPv4": 1450, "IPv6": 1450}
        assert ways("10.255.0.12", "10.255.0.14", "10.255.0.13") == {"IPv4": 1400}
        assert ways("10.255.0.12", "10.99.0.9", "192.0.2.9") == ways() == {}


def test_the_kernels_own_lookup_counts(eth0):
    """Protects tunnels of hosts with policy routing: rules lead them another way than the main table says, by the other
    end's address or by their own."""
    on_the_loopback()
    ip("route add default via 10.44.0.1")
    ip("route add 10.66.0.0/16 via 10.44.0.1")
    ip("route add default via 10.55.0.254 table 100")
    ip("route add 10.77.0.0/24 via 10.55.0.254 table 100 mtu 1300")
    ip("rule add to 10.66.1.0/24 lookup 100 priority 500")
    ip("rule add to 10.77.0.0/16 lookup 100 priority 501")
    assert facts.outgoing_mtu("10.44.0.12", ["10.66.1.9"]) == 1400
    assert facts.outgoing_mtu("10.44.0.12", ["10.66.2.9", "10.88.0.9"]) == 1450
    assert facts.outgoing_mtu("10.44.0.12", ["10.77.0.9"]) == 1300
    assert facts.way_mtus(["10.44.0.12", "10.66.2.9"]) == {4: 1450}
    assert facts.way_mtus(["10.44.0.12", "10.66.2.9", "10.66.1.9"]) == {4: 1400}
    ip("rule add from 10.255.0.12 lookup 100 priority 502")
    assert facts.outgoing_mtu("10.255.0.12", ["10.88.0.9"]) == 1400
    assert facts.outgoing_mtu("10.44.0.12", ["10.88.0.9"]) == facts.outgoing_mtu("10.44.0.99", ["10.88.0.9"]) == 1450
    assert facts.way_mtus(["10.88.0.9", "10.255.0.12"]) == {4: 1400}


def test_a_node_whose_tunnels_end_on_the_loopback(eth0):
    """Protects modules and commands, which no controller tells the MTU, and the loopback from a move into a bridge."""
    on_the_loopback()
    ip("route add default via 10.44.0.1")
    ip("route add 10.255.0.10/32 via 10.55.0.254")
    settings = {"name": "node1", "subnets": ["192.168.1.0/24"], "cluster_subnets": ["192.168.0.0/16"]}
    settings.update(encap_ip="10.255.0.12", southbound="tcp:10.255.0.10:6642", datapath_type="system")
    assert HostFacts(check=False).node_host(settings).host.mtu == 1400 - 58
    assert HostFacts(check=False).node_host({**settings, "encap_ip": "fd55:0::12"}).host.encap_ip == "fd55::12"
    with pytest.raises(HostError, match=r"^encap_ip 10.255.0.12 is on lo, and the userspace datapath sends tunnels"):
        HostFacts(check=False).node_host({**settings, "datapath_type": "netdev"})


def test_which_links_lead_out(eth0):
    """Protects the NIC that the userspace datapath's tunnels need: the loopback is none."""
    assert [facts.leads_out(link) for link in ("lo", "eth0", "nosuch")] == [False, True, False]


def test_the_default_route_is_the_one_with_the_lowest_metric(eth0):
    """Protects the choice of the underlay: the main table counts, for each IP version."""
    pair("eth1")
    ip("address add 10.55.0.12/24 dev eth1")
    assert facts.default_route_link(4) is None
    ip("route add default via 10.55.0.254 table 100")
    assert facts.default_route_link(4) is None
    ip("route add default via 10.55.0.254 metric 200")
    assert facts.default_route_link(4) == "eth1"
    ip("route add default via 10.44.0.1 metric 100")
    assert facts.default_route_link(4) == "eth0"
    assert facts.default_route_link(6) is None
    ip("-6 route add default via fd44::1")
    assert facts.default_route_link(6) == "eth0"


def test_the_kernel_has_the_datapath_when_it_knows_its_family(monkeypatch):
    """Protects "no datapath" against a wrong request: one family exists in every kernel, the other one in none."""
    monkeypatch.setattr(facts, "DATAPATH_FAMILY", "nlctrl")
    assert facts.has_kernel_datapath() is True
    monkeypatch.setattr(facts, "DATAPATH_FAMILY", "no_such_family")
    assert facts.has_kernel_datapath() is False


def test_a_nic_without_connections_may_lose_its_addresses(eth0, monkeypatch):
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    assert facts.connection_over("eth0") is None


def test_a_nic_with_the_default_route_carries_connections(eth0):
    ip("-6 route add default via fd44::1")
    assert facts.connection_over("eth0") == "the default route (::/0) goes through it"


def test_the_nic_of_this_ssh_session_carries_a_connection(eth0, monkeypatch):
    """Protects the session of the caller. An IPv4 address that an IPv6 socket shows is IPv4."""
    for own in ("10.44.0.12", "::ffff:10.44.0.12", "fd44::12"):
        monkeypatch.setenv("SSH_CONNECTION", f"10.44.0.9 50000 {own} 22")
        assert own in facts.connection_over("eth0")
    monkeypatch.setenv("SSH_CONNECTION", "10.44.0.9 50000 10.44.0.99 22")
    assert facts.connection_over("eth0") is None


SERVER = """
import socket, sys
listener = socket.create_server((sys.argv[1], 2222), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET,
                                dualstack_ipv6=sys.argv[1] == "::")
print("ready", flush=True)
peer, _ = listener.accept()
print("accepted", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(("listen", "to"), [("10.44.0.12", "10.44.0.12"), ("::", "10.44.0.12"), ("::", "fd44::12")])
@pytest.mark.parametrize("name", ["sshd", "webserver"])
def test_connections_of_an_ssh_server_are_found_on_any_port(eth0, tmp_path, monkeypatch, listen, to, name):
    """Protects SSH sessions of others. The server is a stand-in named sshd: the kernel's tables are read."""
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    os.symlink(shutil.which(os.path.realpath(sys.executable)), tmp_path / name)
    with subprocess.Popen(
        [str(tmp_path / name), "-c", SERVER, listen], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout.readline() == "ready\n"
        with socket.create_connection((to, 2222), timeout=5):
            assert server.stdout.readline() == "accepted\n"
            expected = f"SSH connections end on its address {to}" if name == "sshd" else None
            assert facts.connection_over("eth0") == expected
        server.stdin.close()


def test_the_error_says_which_library_to_install(monkeypatch):
    """Protects users against the traceback of an import."""
    monkeypatch.setattr(libraries.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(libraries.importlib, "import_module", _missing)
    for name in [name for name in sys.modules if name.split(".")[0] == "pyroute2"]:
        monkeypatch.delitem(sys.modules, name)
    libraries.pyroute2_core.cache_clear()
    messages._messages.cache_clear()
    try:
        with pytest.raises(HostError, match=r"^python3-pyroute2 is missing on this host: install it \(Debian"):
            facts.link_mtu("lo")
        with pytest.raises(HostError, match=r"^python3-nftables is missing on this host"):
            libraries.nftables()
    finally:
        libraries.pyroute2_core.cache_clear()


def _missing(name):
    raise ImportError(name)


FALLBACK = """
import sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink import libraries
from ansible_collections.ovn.kubernetes.plugins.module_utils._host import facts
original = libraries._core
def refuses_once():
    libraries._core = original
    raise ImportError("this version's modules need the whole package")
if sys.argv[2] == "whole":
    libraries._core = refuses_once
assert facts.link_mtu("lo") == 65536
print("pyroute2" in sys.modules, "pyroute2.ndb" in sys.modules or "pyroute2.iproute" in sys.modules)
import pyroute2
assert pyroute2.IPRoute
"""


@pytest.mark.parametrize("way", ["core", "whole"])
def test_the_library_is_loaded_in_part_or_as_a_whole(way):
    """Protects both ways to load it. A later import gets the whole library in both cases."""
    collections = next(path for path in sys.path if path.endswith("collections"))
    output = tool(sys.executable, "-c", FALLBACK, collections, way)
    assert output.split() == (["False", "False"] if way == "core" else ["True", "True"])


def test_routes_of_other_links_are_skipped(eth0):
    """Protects plans on hosts with many routes of other links."""
    batch = "".join(f"route add 10.{100 + number // 250}.{number % 250}.0/24 dev eth0p\n" for number in range(1000))
    subprocess.run(["ip", "-batch", "-"], input=batch, text=True, check=True, timeout=30)
    with RouteSocket() as kernel:
        addresses = read_addresses(kernel, {"eth0"})
        configured = read_routes(
            kernel, lambda route: "eth0" in route.links and route.version == 4 and not route.made_by_kernel(addresses)
        )
        assert configured == []
        assert len(read_routes(kernel, lambda route: "eth0p" in route.links and route.version == 4)) == 1000


def test_the_routers_of_a_links_own_default_routes(eth0):
    """Protects a gateway on a NIC whose default route is not the host's best, in both families and in other tables."""
    pair("eth1")
    ip("address add 10.55.0.12/24 dev eth1")
    ip("address add fd55::12/64 dev eth1")
    ip("route add default via 10.55.0.254 metric 10")
    ip("route add default via 10.44.0.1 metric 200")
    ip("route add default via 10.44.0.9 metric 300")
    ip("-6 route add default via fd55::1 metric 10")
    ip("-6 route add default via fe80::99 dev eth0 metric 2000")
    assert facts.routers() == {"eth0": ["10.44.0.1", "fe80::99"], "eth1": ["10.55.0.254", "fd55::1"]}
    assert [facts.next_hop("eth0", version) for version in (4, 6)] == ["10.44.0.1", "fe80::99"]
    assert facts.default_route_link(4) == "eth1"
    ip("route delete default via 10.44.0.1 dev eth0")
    ip("route delete default via 10.44.0.9 dev eth0")
    assert facts.next_hop("eth0", 4) is None
    ip("route add default via 10.44.0.7 table 100")
    assert facts.next_hop("eth0", 4) is None
    ip("rule add from 10.44.0.12 lookup 100")
    assert facts.next_hop("eth0", 4) == "10.44.0.7"
    ip("route add default metric 5 nexthop via 10.44.0.3 nexthop via 10.55.0.3")
    assert facts.routers()["eth0"][0] == "10.44.0.3" and facts.next_hop("eth1", 4) == "10.55.0.3"


def test_the_hosts_own_addresses_come_first():
    """Protects tunnels and gateways from an address that a program moves between hosts, and that was there first."""
    pair("eth7")
    ip("address add 10.57.0.100/32 dev eth7")
    ip("address add 10.57.0.12/24 dev eth7")
    assert facts.configured_addresses("eth7") == ["10.57.0.12/24", "10.57.0.100/32"]
