# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects plans against lists of the kernel that are not whole: what was missed would be neither moved nor given back."""

from __future__ import annotations

import errno
import struct

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.socket import (
    DONE,
    ERROR,
    MULTI,
    TORN,
    TRIES,
    Asking,
)

NEW = 24


class Message(dict):
    """What pyroute2's messages have in common, as far as they are asked."""

    def __init__(self, data=b""):
        super().__init__(header={})
        self.data = data

    def encode(self):
        self.data = struct.pack("I", self["header"]["sequence_number"])

    def decode(self):
        self["value"] = struct.unpack_from("I", self.data, 16)[0]


class Kernel:
    """Answers each question with the next of its lists of (kind, marks, value)."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def send(self, data):
        self.asked.append(struct.unpack("I", data)[0])

    def recv(self, _size):
        return b"".join(
            struct.pack("=IHHIIi", 20, kind, marks, self.asked[-1], 0, value)
            for kind, marks, value in self.answers[len(self.asked) - 1]
        )


@pytest.fixture
def ask():
    """A function that asks a kernel for a list."""

    def answers(kernel):
        asking = Asking.__new__(Asking)
        asking._answers, asking._number, asking._socket = {NEW: Message}, 0, kernel
        return [answer["value"] for answer in asking.ask(Message(), 26, 0x300)]

    return answers


WHOLE = [(NEW, MULTI, 1), (NEW, MULTI, 2), (DONE, MULTI, 0)]


def test_a_torn_list_is_asked_for_again(ask):
    """Protects the routes that changed while they were listed; the mark may be on any part (netlink(7), NLM_F_DUMP_INTR)."""
    kernel = Kernel([(NEW, MULTI, 1), (DONE, MULTI | TORN, 0)], [(NEW, MULTI | TORN, 2), (DONE, MULTI, 0)], WHOLE)
    assert ask(kernel) == [1, 2] and kernel.asked == [1, 2, 3]


def test_a_list_that_never_is_whole(ask):
    """Protects against asking for ever."""
    with pytest.raises(OSError, match="changes faster") as told:
        ask(Kernel(*[[(DONE, MULTI | TORN, 0)]] * TRIES))
    assert told.value.errno == errno.EINTR


def test_what_the_kernel_refuses(ask):
    """Protects the errno, by which callers tell what is no error to them."""
    with pytest.raises(OSError) as told:
        ask(Kernel([(ERROR, 0, -errno.ENODEV)]))
    assert told.value.errno == errno.ENODEV
