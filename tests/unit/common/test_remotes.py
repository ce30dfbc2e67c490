# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects remotes of databases: IPv6 addresses have brackets, and are found again."""

from __future__ import annotations

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.remotes import addresses, with_port


def test_brackets():
    """Protects the port, which colons of the address would hide."""
    assert with_port("10.44.0.11", 6642) == "10.44.0.11:6642"
    assert with_port("fd44::11", 6642) == "[fd44::11]:6642"


def test_addresses_of_a_remote():
    """Protects the look for other hosts: sockets and names are none."""
    assert addresses("tcp:10.44.0.11:6642,ssl:[fd44::0:12]:6642") == ["10.44.0.11", "fd44::12"]
    assert addresses("unix:/var/run/ovn/ovnsb_db.sock") == addresses("tcp:central:6642") == addresses("") == []
