# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the ports of a host's own programs: which ones they listen on is read from the kernel."""

from __future__ import annotations

import socket

from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.listening import LocalHost, read_listeners


def test_listeners():
    """Protects programs at one address and at all, of both families; a connection does not count."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as everywhere,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        socket.create_connection(one.getsockname()) as connection,
    ):
        datagrams.bind(("127.0.0.1", 1023))
        host = LocalHost(frozenset({"127.0.0.1"}), read_listeners())
        assert host.listens("tcp", "127.0.0.1", one.getsockname()[1])
        assert not host.listens("tcp", "10.0.0.1", one.getsockname()[1])
        assert host.listens("tcp", "10.0.0.1", everywhere.getsockname()[1])
        assert host.listens("udp", "127.0.0.1", 1023) and not host.listens("tcp", "127.0.0.1", 1023)
        assert not host.listens("tcp", "127.0.0.1", connection.getsockname()[1])
    assert not LocalHost(frozenset(), read_listeners()).listens("udp", "127.0.0.1", 1023)
