# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the facts of a host that plans depend on, and the loading of the libraries that read them."""

from __future__ import annotations

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
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.routes import read_routes
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.socket import RouteSocket


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
    messages.messages.cache_clear()
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
