# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what a host has and uses against networks of the overlay that would take it away."""

from __future__ import annotations

import ipaddress
import os
import socket
import subprocess
import sys

import pytest
from kernel_links import pair
from network_namespace import ip

from ansible_collections.ovn.kubernetes.plugins.module_utils._host import ssh, used
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.plain import plain_messages

PODS, SERVICES, PODS6 = "192.168.0.0/16", "10.96.0.0/16", "fd10::/48"
OWN = {"k8s-node1"}


@pytest.fixture(autouse=True)
def _host(monkeypatch, tmp_path):
    """A host with one NIC and a default route of each family, without name servers, and no session."""
    pair("eth0")
    ip("address add 10.44.0.12/24 dev eth0")
    ip("-6 address add fd44::12/64 dev eth0 nodad")
    ip("route add default via 10.44.0.1")
    ip("-6 route add default via fd44::1")
    monkeypatch.setattr(used, "RESOLVER_FILES", (str(tmp_path / "resolv.conf"),))
    monkeypatch.setattr(used, "session_peer", lambda: None)


def uses(pods=(PODS, PODS6), others=(SERVICES,), accepted=(), peers=None):
    return [text for _network, text in used.read_uses(used.Networks(pods, others, accepted), OWN, peers)]


def test_a_host_that_uses_nothing_of_the_networks():
    """Protects hosts as most are: the default routes lead everywhere, and that is no use."""
    assert uses() == []


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("192.168.7.1/24", "192.168.7.1/24, which eth1 has"),
        ("192.0.2.1/24 peer 192.168.7.0/24", None),
        ("192.168.0.1/8", "192.168.0.1/8, which eth1 has"),
        ("fd10:0:0:5::1/64", "fd10:0:0:5::1/64, which eth1 has"),
        ("10.96.7.7/32", "10.96.7.7/32, which eth1 has"),
    ],
)
def test_a_second_nic(address, text):
    """Protects networks of other NICs, of both families, narrower and wider than ours."""
    pair("eth1")
    ip(f"{'-6 ' if ':' in address else ''}address add {address} dev eth1{' nodad' if ':' in address else ''}")
    found = uses()
    assert found == [text] if text else "which eth1 has" in found[0]


@pytest.mark.parametrize(
    ("route", "text"),
    [
        ("192.168.5.0/24 via 10.44.0.9", "the route 192.168.5.0/24 via 10.44.0.9 dev eth0"),
        ("192.168.0.0/16 via 10.44.0.9", "the route 192.168.0.0/16 via 10.44.0.9 dev eth0"),
        ("192.168.0.0/16 via 10.44.0.9 metric 50", "the route 192.168.0.0/16 via 10.44.0.9 dev eth0 metric 50"),
        ("blackhole 192.168.0.0/16", "the route blackhole 192.168.0.0/16"),
        ("unreachable fd10::/48", "the route unreachable fd10::/48"),
        ("fd10::/48 via fd44::9 metric 7", "the route fd10::/48 via fd44::9 dev eth0 metric 7"),
        ("local 192.168.9.0/24 dev lo", "the route local 192.168.9.0/24 dev lo table 255"),
        ("default via 192.168.7.1 dev eth0 onlink metric 9", "192.168.7.1, the router of the route 0.0.0.0/0"),
        ("192.168.5.0/24 via 10.44.0.9 table 100", None),
        ("192.0.0.0/8 via 10.44.0.9", None),
    ],
)
def test_a_route_of_somebody(route, text):
    """Protects routes of every type and metric: not those of a table that no rule uses, nor wider ones, which keep the
    rest of what they had."""
    ip(("-6 " if "fd" in route else "") + f"route add {route}")
    found = uses()
    assert found[0].startswith(text) if text else found == [], found


def test_a_table_that_a_rule_uses():
    """Protects policy routing: of VPNs, of several uplinks."""
    ip("route add 192.168.5.0/24 via 10.44.0.9 table 100")
    ip("rule add from 10.44.0.12 lookup 100")
    assert uses() == ["the route 192.168.5.0/24 via 10.44.0.9 dev eth0 table 100"]


@pytest.mark.parametrize(
    ("kind", "remote"),
    [
        ("vxlan id 7 dstport 4789", "192.168.9.9"),
        ("vxlan id 7 dstport 4789", "fd10::9"),
        ("geneve id 7", "192.168.9.9"),
        ("geneve id 7", "fd10::9"),
        ("gre", "192.168.9.9"),
        ("gretap", "192.168.9.9"),
        ("ip6gre", "fd10::9"),
        ("ipip", "192.168.9.9"),
        ("sit", "192.168.9.9"),
        ("ip6tnl", "fd10::9"),
        ("vti key 7", "192.168.9.9"),
        ("vti6 key 7", "fd10::9"),
    ],
)
def test_the_other_end_of_a_tunnel(kind, remote):
    """Protects tunnels to other sites: no program has a connection that would show them."""
    local = [] if "geneve" in kind else ["local", "fd44::12" if ":" in remote else "10.44.0.12"]
    command = ["ip", "link", "add", "t7", "type", *kind.split(), "remote", remote, *local]
    made = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    if made.returncode:
        assert any(text in made.stderr for text in ("Unknown device type", "not supported")), made.stderr
        pytest.skip(f"this kernel has no {kind.split()[0]}")
    assert uses() == [f"{remote}, the other end of the tunnel t7 (through eth0)"]


def test_what_we_put_there_ourselves():
    """Protects the second run: our link, its address, its routes and what is reached through them are no use."""
    pair("k8s-node1")
    ip("address add 192.168.2.2/24 dev k8s-node1")
    for network in (PODS, SERVICES):
        ip(f"route add {network} via 192.168.2.1")
    assert uses(peers={"192.168.9.9": "the API server", "10.96.0.10": "a name server of this host"}) == []


def test_peers_are_where_the_kernel_sends_them():
    """Protects the API server and name servers: behind the default route, or nowhere yet; not an own address."""
    assert uses(peers={"192.168.9.9": "the API server", "10.44.0.1": "another"}) == [
        "192.168.9.9, the API server (through eth0)"
    ]
    ip("route delete default")
    assert uses(peers={"192.168.9.9": "the API server"}) == ["192.168.9.9, the API server"]


def test_name_servers_are_read(tmp_path):
    """Protects name resolution, in both families."""
    (tmp_path / "resolv.conf").write_text(
        "# nameserver 192.168.1.1\nsearch example.net\nnameserver 127.0.0.53\nnameserver fd10::53\n"
        "nameserver fe80::1%eth0\nnameserver 10.44.0.1\nnameserver nonsense\n"
    )
    assert used.name_servers() == ["fd10::53", "10.44.0.1"]
    assert uses() == ["fd10::53, a name server of this host (through eth0)"]
    ip("-6 route delete default")
    assert uses() == []


def test_the_session_of_the_caller(monkeypatch):
    """Protects administrators behind a router: README's own network has their bastion in it."""
    monkeypatch.setattr(used, "session_peer", ssh.session_peer)
    monkeypatch.setenv("SSH_CONNECTION", "192.168.5.9 50000 10.44.0.12 22")
    assert uses(accepted=(PODS,)) == ["192.168.5.9, from which this session comes (through eth0)"]


def test_a_session_without_its_variable(monkeypatch):
    """Protects runs through sudo, which takes SSH_CONNECTION out of the environment."""
    code = (
        "from ansible_collections.ovn.kubernetes.plugins.module_utils._host.ssh import session_peer; "
        "print(session_peer())"
    )
    environment = {**os.environ, "SSH_CONNECTION": "192.168.5.9 50000 10.44.0.12 22"}
    paths = os.pathsep.join(filter(None, sys.path))
    inner = ["env", "-u", "SSH_CONNECTION", f"PYTHONPATH={paths}", sys.executable, "-c", code]
    command = ["sh", "-c", '"$@"; true', "sh", *inner]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "192.168.5.9", shown.stderr


def test_a_connection_of_any_program():
    """Protects storage and log servers in the pods' network.

    Clients of this host's servers are no sign: pods are such clients, and their connections outlive them.
    """
    server_ip, client_ip = "192.168.5.9", "192.168.7.7"
    own = {ipaddress.ip_address(address) for address in (server_ip, client_ip)}
    for address in own:
        ip(f"address add {address}/32 dev lo")
    with socket.create_server((server_ip, 0)) as server:
        to = server.getsockname()
        with socket.create_connection(to, source_address=(client_ip, 0)), server.accept()[0]:
            assert set(map(str, ssh.connected_peers(own))) == {server_ip}
            assert ssh.connected_peers({ipaddress.ip_address(server_ip)}) == set()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as log:
        log.connect((server_ip, 514))
        assert server_ip in map(str, ssh.connected_peers(own))
    network = used.HostNetwork((), (), None, lambda _ip: None, connections=["192.168.5.9"])
    assert used.uses(used.Networks([PODS]), network, OWN) == [
        (PODS, "192.168.5.9, with which this host has a connection"),
    ]
    assert used.uses(used.Networks([PODS], accepted=[PODS]), network, OWN) == []
    assert used.uses(used.Networks([], ["192.168.0.0/16"]), network, OWN) == []


def test_a_single_address_of_a_service_on_a_link_of_its_own():
    """Protects NodeLocal DNSCache, which serves the address of the cluster's DNS on a dummy link."""
    pair("eth1")
    ip("address add 10.96.0.10/32 dev eth1")
    with used.RouteSocket() as kernel:
        addresses = used.read_addresses(kernel)
    for kind, expected in (("dummy", []), ("veth", [(SERVICES, "10.96.0.10/32, which eth1 has")])):
        network = used.HostNetwork(addresses, (), None, lambda _ip: None, kind_of=lambda _link, kind=kind: kind)
        assert used.uses(used.Networks([PODS], [SERVICES]), network, OWN) == expected


def test_a_bare_host_has_no_library():
    """Protects the first run: all is compared before a package is installed."""
    ip("route add 192.168.5.0/24 via 10.44.0.9")
    with plain_messages():
        assert uses(peers={"10.96.9.9": "the API server"}) == [
            "the route 192.168.5.0/24 via 10.44.0.9 dev eth0",
            "10.96.9.9, the API server (through eth0)",
        ]
