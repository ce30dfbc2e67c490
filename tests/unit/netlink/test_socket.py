# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects plans against incomplete lists of the kernel: what is missing would be neither moved nor restored."""

from __future__ import annotations

import errno
import struct

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.constants import NlFlag, NlMsg, Rtm
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.socket import DUMP_ATTEMPTS, RouteSocket

NEW = Rtm.NEWROUTE


class Message(dict):
    """The part of pyroute2's messages that the socket uses."""

    def __init__(self, data=b""):
        super().__init__(header={})
        self.data = data

    def encode(self):
        self.data = struct.pack("I", self["header"]["sequence_number"])

    def decode(self):
        self["value"] = struct.unpack_from("I", self.data, 16)[0]


class Kernel:
    """Answer each request with the next of its lists of (type, flags, value)."""

    def __init__(self, *replies):
        self.replies, self.sequences = list(replies), []

    def send(self, data):
        self.sequences.append(struct.unpack("I", data)[0])

    def recv(self, _size):
        return b"".join(
            struct.pack("=IHHIIi", 20, kind, flags, self.sequences[-1], 0, value)
            for kind, flags, value in self.replies[len(self.sequences) - 1]
        )


@pytest.fixture
def request_dump():
    """Return a function that requests a dump of a kernel, and returns its values."""

    def request(kernel, most=None):
        route_socket = RouteSocket.__new__(RouteSocket)
        route_socket._most = most
        route_socket._reply_classes, route_socket._sequence, route_socket._socket = {NEW: Message}, 0, kernel
        return [reply["value"] for reply in route_socket.request(Message(), Rtm.GETROUTE, NlFlag.DUMP)]

    return request


MULTI = NlFlag.MULTI
INTERRUPTED = NlFlag.MULTI | NlFlag.DUMP_INTR
COMPLETE = [(NEW, MULTI, 1), (NEW, MULTI, 2), (NlMsg.DONE, MULTI, 0)]


def test_an_interrupted_dump_is_requested_again(request_dump):
    """Protects routes that change while they are listed: any message of a dump may have NLM_F_DUMP_INTR."""
    kernel = Kernel(
        [(NEW, MULTI, 1), (NlMsg.DONE, INTERRUPTED, 0)], [(NEW, INTERRUPTED, 2), (NlMsg.DONE, MULTI, 0)], COMPLETE
    )
    assert request_dump(kernel) == [1, 2] and kernel.sequences == [1, 2, 3]


def test_a_dump_that_is_always_interrupted_ends(request_dump):
    """Protects against requests for ever."""
    with pytest.raises(OSError, match="changes faster") as raised:
        request_dump(Kernel(*[[(NlMsg.DONE, INTERRUPTED, 0)]] * DUMP_ATTEMPTS))
    assert raised.value.errno == errno.EINTR


def test_an_error_of_the_kernel_keeps_its_errno(request_dump):
    """Protects callers that treat some errors as a result, such as "there is no such link"."""
    with pytest.raises(OSError) as raised:
        request_dump(Kernel([(NlMsg.ERROR, 0, -errno.ENODEV)]))
    assert raised.value.errno == errno.ENODEV


def test_a_dump_that_is_too_long(request_dump):
    """Protects the host from a pod that makes very many routes in its own namespace."""
    assert request_dump(Kernel(COMPLETE), most=2) == [1, 2]
    with pytest.raises(OSError, match="more than 1") as raised:
        request_dump(Kernel(COMPLETE), most=1)
    assert raised.value.errno == errno.E2BIG
