# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what a module returns when it fails: one sentence, a code, and the plan of what was done before."""

from __future__ import annotations

import os

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible.results import exit_with_result
from ansible_collections.ovn.kubernetes.plugins.module_utils._common import errors
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.result import Result


class Module:
    """The part of an AnsibleModule with which it ends."""

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
    """A saved file that only root may read, for another user.

    The kernel's answer is played, since tests run as root.
    """
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
    exit_with_result(module, work)
    assert module.answer == {"msg": sentence, "error_code": "host", "changed": False, "plan": []}


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
    exit_with_result(module, work)
    assert module.answer == {
        "msg": "no",
        "error_code": "host",
        "changed": True,
        "plan": [{"operation": "insert", "text": "Bridge br-int: insert"}],
    }


def every_error():
    """All classes of the tree of errors, without those that never leave their file."""
    classes = [errors.OvnKubernetesError]
    for one in classes:
        classes += [child for child in one.__subclasses__() if child.__module__ == errors.__name__]
    return classes


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
def test_every_error_reaches_a_play_with_its_code(error):
    """Protects plays that act on error_code: no library error ends a module with a traceback or without a code."""

    def work(_notes):
        raise error("no", 404) if error is errors.APIRefused else error("no")

    module = Module()
    exit_with_result(module, work)
    assert module.answer["error_code"] == error.code and module.answer["msg"] == "no"


def test_codes_tell_errors_apart():
    """Protects conditions on error_code: each class has a code of its own."""
    codes = [error.code for error in every_error()]
    assert len(codes) == len(set(codes))
