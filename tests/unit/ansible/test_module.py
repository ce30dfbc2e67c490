# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What a user reads when a module fails: one sentence, whatever failed."""

from __future__ import annotations

import os

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible import module as doors
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.result import Result


class Module:
    """The part of an AnsibleModule by which it leaves."""

    check_mode = False
    answer = None

    def fail_json(self, **answer):
        self.answer = answer


def full(_notes):
    """A disk without space, as the kernel has one."""
    handle = os.open("/dev/full", os.O_WRONLY)
    try:
        os.write(handle, b"x")
    finally:
        os.close(handle)


def forbidden(_notes):
    """A kept file that only root may read, for somebody else: the kernel's answer, where it is not at hand since tests run as root."""
    raise PermissionError(13, os.strerror(13), "/etc/ovn-kubernetes/uplinks/eth0.json")


@pytest.mark.parametrize(
    ("work", "sentence"),
    [
        (full, "this host can't be read or changed: No space left on device (there is no space left: free some)"),
        (forbidden, "/etc/ovn-kubernetes/uplinks/eth0.json can't be read or changed: Permission denied (run as root)"),
    ],
)
def test_what_the_kernel_refuses_is_no_traceback(work, sentence):
    """Protects whoever forgot to become root, or whose disk is full."""
    module = Module()
    doors.leave(module, work)
    assert module.answer == {"msg": sentence, "changed": False, "plan": []}


class ListMember:
    """A part of a plan."""

    def describe(self):
        return "Bridge br-int: insert"

    def as_dict(self):
        return {"operation": "insert"}


def test_what_was_done_before_a_failure_is_told_as_documented():
    """Protects whoever reads the plan of a failed call: its items are those that RETURN documents."""

    def work(_notes):
        yield Result([ListMember()])
        raise HostError("no")

    module = Module()
    doors.leave(module, work)
    assert module.answer == {
        "msg": "no",
        "changed": True,
        "plan": [{"operation": "insert", "text": "Bridge br-int: insert"}],
    }
