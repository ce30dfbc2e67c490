# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Which links the kernel's events are about."""

from __future__ import annotations

import errno
import socket
from unittest import mock

from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink import events
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.constants import Ifla, Rtm
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.messages import attribute, pack_name
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.plain import HEADER


def event(kind, name):
    """An event as the kernel sends it."""
    body = bytes(events.IFINFOMSG_BYTES) + attribute(Ifla.MTU, bytes(4)) + attribute(Ifla.IFNAME, pack_name(name))
    return HEADER.pack(HEADER.size + len(body), kind, 0, 0, 0) + body


def drained(*datagrams):
    """What the events tell."""
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, kernel:
        ours.setblocking(False)
        for datagram in datagrams:
            kernel.send(datagram)
        return events.drain(ours)


def test_the_links_that_changed():
    """Protects a node with many pods: for one link that changed it asked the kernel about those of all pods."""
    two = event(Rtm.NEWLINK, "veth-a") + event(Rtm.DELLINK, "b")
    assert drained(two, event(Rtm.NEWADDR, "c"), b"\0" * 7, bytes(40)) == {"veth-a", "b"}
    assert drained() == set()


def test_events_that_were_lost():
    """Protects against a change that is never seen: then any link may have changed."""

    full = mock.Mock()
    full.recv.side_effect = [event(Rtm.NEWLINK, "a"), OSError(errno.ENOBUFS, ""), BlockingIOError()]
    assert events.drain(full) is None
