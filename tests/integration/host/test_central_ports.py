# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the ports of a master's databases: only masters reach them, withdrawn hosts reach none, and what other
programs have in nftables stays.

The listeners, the packets and nftables are real. The master is in the test's own network namespace, the other hosts in
one beside it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess

import pytest
from network_namespace import CLONE_NEWNET, ip, router

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._host import central_ports
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.apply import apply_steps
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.central_ports import CentralPorts
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink import libraries

OWN = {4: "10.9.0.1", 6: "fd09::1"}
MASTER = {4: "10.9.0.2", 6: "fd09::2"}
NODE = {4: "10.9.0.3", 6: "fd09::3"}
WITHDRAWN = {4: "10.9.0.4", 6: "fd09::4"}
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
VERSIONS = pytest.mark.parametrize("version", [4, 6])
FOR_ALL = (names.SOUTHBOUND_PORT, names.SOUTHBOUND_SWITCH_PORT)
PORTS = (*central_ports.MASTERS_PORTS, *FOR_ALL)
WAIT = 3.0  # seconds for a packet that comes
SILENCE = 0.3  # seconds for one that is dropped


def both(*addresses):
    """The addresses of both IP versions, as the table takes them."""
    return tuple(address[version] for address in addresses for version in (4, 6))


TABLE = CentralPorts(both(OWN, MASTER))


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """The files are the test's own."""
    monkeypatch.setattr(names, "CENTRAL_PORTS", str(tmp_path / "central-ports.json"))
    monkeypatch.setattr(names, "CENTRAL_PORTS_DROP_IN", str(tmp_path / "{0}.service.d" / "ovn-kubernetes-ports.conf"))
    return tmp_path


@pytest.fixture
def others():
    """The PID of a process in the network namespace of the other hosts, which have all addresses but the master's
    own."""
    ip("link add m0 type veth peer name n0")
    with router("n0") as pid:
        where = f"/proc/{pid}/ns/net"
        ip("link set m0 up")
        ip(f"addr add {OWN[4]}/24 dev m0")
        ip(f"addr add {OWN[6]}/64 dev m0 nodad")
        for host in (MASTER, NODE, WITHDRAWN):
            ip(f"addr add {host[4]}/24 dev n0", where)
            ip(f"addr add {host[6]}/64 dev n0 nodad", where)
        yield pid


@contextlib.contextmanager
def listener(port, version):
    """A socket that listens on a port of the master, at all addresses."""
    with socket.socket(FAMILIES[version], socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("", port))
        sock.listen()
        sock.settimeout(WAIT)
        yield sock


def socket_of(pid, source, version, kind=socket.SOCK_STREAM):
    """A socket in the network namespace of a process, with one of its addresses."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        assert libc.setns(there, CLONE_NEWNET) == 0
        sock = socket.socket(FAMILIES[version], kind)
        sock.settimeout(WAIT)
        sock.bind((source[version], 0))
        return sock
    finally:
        libc.setns(home, CLONE_NEWNET)
        os.close(home)
        os.close(there)


def answer(pid, source, port, version, patience=WAIT):
    """Whether a connection from an address is taken; the kernel's word if not."""
    with socket_of(pid, source, version) as sock:
        sock.settimeout(patience)
        try:
            sock.connect((OWN[version], port))
        except OSError as error:
            return os.strerror(error.errno) if error.errno else str(error)
        return "taken"


def converge(ports):
    """Carry out the plan; what was done."""
    steps = central_ports.plan(ports)
    apply_steps(steps)
    return [step.describe() for step in steps]


@VERSIONS
def test_who_reaches_which_port(others, version):
    """Protects the databases from whoever has a certificate that the server takes: a node's certificate is taken on
    every port of the Southbound server, and only its port for chassis has a role. All else is reset, so that a client
    knows at once. A withdrawn address reaches nothing."""
    with contextlib.ExitStack() as stack:
        for port in (*PORTS, 9999):
            stack.enter_context(listener(port, version))
        assert {answer(others, host, port, version) for host in (MASTER, NODE, WITHDRAWN) for port in PORTS} == {
            "taken"
        }
        converge(CentralPorts(TABLE.masters, both(WITHDRAWN)))
        found = {
            name: [port for port in (*PORTS, 9999) if answer(others, host, port, version) == "taken"]
            for name, host in {"master": MASTER, "node": NODE}.items()
        }
        assert found == {"master": [*PORTS, 9999], "node": [*FOR_ALL, 9999]}
        assert {answer(others, WITHDRAWN, port, version, SILENCE) for port in PORTS} == {"timed out"}
        assert answer(others, WITHDRAWN, 9999, version) == "taken"
        assert answer(others, NODE, names.NORTHBOUND_PORT, version) == "Connection refused"
        own = [port for port in PORTS if answer(os.getpid(), OWN, port, version) == "taken"]
        assert own == list(PORTS)  # programs of the master itself


@VERSIONS
def test_a_withdrawn_host_loses_its_connections(others, version):
    """Protects the moment in which a host is not trusted any more: what it sends does not arrive, and it learns nothing
    more of what changes: its connection ends at the server with the next bytes. Others' connections stay."""
    with listener(names.SOUTHBOUND_PORT, version) as server:
        converge(TABLE)
        pairs = []
        for host in (WITHDRAWN, NODE):
            client = socket_of(others, host, version)
            client.connect((OWN[version], names.SOUTHBOUND_PORT))
            accepted, _address = server.accept()
            accepted.settimeout(WAIT)
            accepted.sendall(b"update")
            assert client.recv(6) == b"update"
            pairs.append((client, accepted))
        assert any("change" in text for text in converge(CentralPorts(TABLE.masters, both(WITHDRAWN))))
        (asking, told), (node, kept) = pairs
        asking.sendall(b"echo")
        with pytest.raises(ConnectionError):
            for _try in range(10):  # the reset of the first bytes is seen with the next ones
                told.sendall(b"update")
        kept.sendall(b"update")
        assert node.recv(6) == b"update"
        asking.setblocking(False)
        with pytest.raises(BlockingIOError):
            asking.recv(1)
        for client, accepted in pairs:
            client.close()
            accepted.close()


@VERSIONS
def test_a_withdrawn_host_sends_no_tunnelled_packets(others, version):
    """Protects the pods and gateways of masters: Geneve has no keys, and a host that is not trusted any more could send
    packets of any pod."""
    with socket.socket(FAMILIES[version], socket.SOCK_DGRAM) as tunnel:
        tunnel.bind(("", central_ports.GENEVE_PORT))
        tunnel.settimeout(WAIT)
        converge(CentralPorts(TABLE.masters, both(WITHDRAWN)))
        for host in (WITHDRAWN, NODE):
            with socket_of(others, host, version, socket.SOCK_DGRAM) as sock:
                sock.sendto(host[version].encode(), (OWN[version], central_ports.GENEVE_PORT))
        assert tunnel.recv(100).decode() == NODE[version]


def test_nothing_differs_after_it_was_made(files):
    """Protects idempotence: what nftables lists is what was written, with and without addresses, and each change is
    seen: a rule that is gone, one too many, an address that somebody has added."""
    for ports in (TABLE, CentralPorts(()), CentralPorts((MASTER[4],), (WITHDRAWN[6],))):
        assert converge(ports) and central_ports.plan(ports) == []
    for command in (
        "flush chain inet ovn-kubernetes-central output",
        "add rule inet ovn-kubernetes-central input tcp dport 9999 drop",
        "insert rule inet ovn-kubernetes-central input accept",
        f"add element inet ovn-kubernetes-central masters4 {{ {NODE[4]} }}",
        f"delete element inet ovn-kubernetes-central withdrawn6 {{ {WITHDRAWN[6]} }}",
        "delete table inet ovn-kubernetes-central",
    ):
        assert libraries.nftables().cmd(command)[0] == 0, command
        assert len(central_ports.plan(ports)) == 1, command
        assert converge(ports) and central_ports.plan(ports) == []


def test_it_comes_back_at_a_boot(files, others):
    """Protects the time before the databases start: the command of the units' drop-ins makes the table from the file,
    over one that is there too. Without the file the command fails, and the database does not start."""
    converge(TABLE)
    drop_in = (files / "ovn-ovsdb-server-sb.service.d" / "ovn-kubernetes-ports.conf").read_text(encoding="utf-8")
    (line,) = [line for line in drop_in.splitlines() if line.startswith("ExecStartPre=")]
    # The path in it is that of a host.
    command = [word for word in line.partition("=")[2].split() if not word.startswith("/etc/")] + [names.CENTRAL_PORTS]
    assert libraries.nftables().cmd("delete table inet ovn-kubernetes-central")[0] == 0
    for _time in range(2):
        subprocess.run(command, check=True, capture_output=True, timeout=20)
        assert central_ports.plan(TABLE) == []
    os.unlink(names.CENTRAL_PORTS)
    assert subprocess.run(command, check=False, capture_output=True, timeout=20).returncode != 0
    # Before there is a library to ask: the installation of the packages starts the databases.
    files_alone = central_ports.before_packages(TABLE)
    assert [step.describe() for step in files_alone] == [f"file {names.CENTRAL_PORTS}: add"]


def test_what_others_have_stays(files):
    """Protects firewalld, ufw, kube-proxy and the table of services: nothing else changes when the table is made and
    removed, and nothing of ours is left."""
    for table in ("ovn_kubernetes", "firewalld"):
        command = f"table inet {table} {{ chain input {{ type filter hook input priority 10; tcp dport 1 drop; }}; }}"
        assert libraries.nftables().cmd(command)[0] == 0
    before = listed()
    converge(TABLE)
    assert "ovn-kubernetes-central" in listed() and before in listed()
    (files / "nftables.service.d" / "of-others.conf").write_text("[Service]\n", encoding="utf-8")
    converge(None)
    assert listed() == before and central_ports.plan(None) == []
    assert [str(path.relative_to(files)) for path in files.rglob("*")] == [
        "nftables.service.d",
        "nftables.service.d/of-others.conf",
    ]


def test_a_master_that_is_not_known_now_stays_let_in(files):
    """Protects a cluster whose member is off during a run: it would come back, and the others would not let it in. One
    that is withdrawn does not stay. What nftables has lost is in the file."""
    converge(TABLE)
    assert converge(CentralPorts(both(OWN), complete=False)) == []
    assert libraries.nftables().cmd("delete table inet ovn-kubernetes-central")[0] == 0
    converge(CentralPorts(both(OWN), complete=False))
    assert central_ports.plan(TABLE) == []
    converge(CentralPorts(both(OWN), (MASTER[4],), complete=False))
    assert central_ports.plan(CentralPorts((*both(OWN), MASTER[6]), (MASTER[4],))) == []


def listed():
    """All of nftables, as nft(8) lists it."""
    binding = libraries.nftables()
    binding.set_json_output(False)
    return binding.cmd("list ruleset")[1]
