# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the end of ovn_services: one sentence and an error code, also when the kernel refuses a file."""

from __future__ import annotations

import errno

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._host import units
from ansible_collections.ovn.kubernetes.plugins.modules import ovn_services


class Failed(Exception):
    """The module has ended with a failure."""


class Module:
    """The part of AnsibleModule that ovn_services uses."""

    check_mode = False

    def __init__(self, argument_spec, supports_check_mode):
        service = {"name": "x.service", "state": "started", "unit": "[Unit]\n"}
        self.params = {"services": [{**service, "started_from": None, "optional": False, "enabled": True}]}

    def run_command(self, command):
        """Answer as systemctl does for a unit that it does not know."""
        return 0, "LoadState=not-found\nActiveState=inactive\nUnitFileState=\n", ""

    def fail_json(self, **result):
        """End with a failure."""
        raise Failed(result)


def test_a_file_that_the_kernel_refuses_is_one_sentence(monkeypatch):
    def refuse(path, content):
        raise OSError(errno.EROFS, "Read-only file system", path)

    monkeypatch.setattr(ovn_services, "AnsibleModule", Module)
    monkeypatch.setattr(units, "write_file", refuse)
    with pytest.raises(Failed) as failed:
        ovn_services.main()
    (result,) = failed.value.args
    assert result["error_code"] == "host"
    assert "/etc/systemd/system/x.service can't be read or changed: Read-only file system" in result["msg"]
