# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.certificates."""

from __future__ import annotations

DOCUMENTATION = r"""
name: certificates
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
version_added: 0.1.0
short_description: Which certificates are to be issued, and which CAs made
description:
  - Compares the certificates that hosts have, which M(ovn.kubernetes.ovn_facts) has found, with what they should have.
  - Reads the CAs on the controller, and changes nothing.
positional: groups, gathered
options:
  _input:
    description: Ansible's C(hostvars).
    type: dict
    required: true
  groups:
    description: Ansible's C(groups).
    type: dict
    required: true
  gathered:
    description: The hosts whose facts count.
    type: list
    elements: str
    required: true
  written:
    description: The hosts that trust all that they are to trust since this run has written it.
    type: list
    elements: str
    default: []
  identities:
    description: Host to its system-id. With it, only these hosts count, which had none when facts were gathered.
    type: dict
  only_authorities:
    description: Whether only CAs are made, and no host is asked.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show what a site run would issue
  ansible.builtin.debug:
    msg: "{{ (hostvars | ovn.kubernetes.certificates(groups, ansible_play_hosts)).issue }}"
"""

RETURN = r"""
_value:
  description: >-
    C(needed), whether there is anything to do; C(problems), sentences that stop the play; C(make), the CAs that are
    made; C(files), host to files of M(ovn.kubernetes.ovn_host) that differ; C(issue), host to certificates; C(kept),
    sentences about older CAs that hosts still need; C(stops), sentences that stop the play when these are issued, since
    hosts without a certificate would lose the databases; C(leaving), files on the controller that lose older CAs;
    C(dropped), master to those of its databases, and its relay, whose connections are ended, since a CA leaves.
  type: dict
  sample:
    needed: false
    problems: []
    make: []
    files: {}
    issue: {}
    kept: []
    stops: []
    leaving: []
    dropped: {}
"""

import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils._certificate_plan import plan
from ..plugin_utils._errors import InventoryError
from ..plugin_utils._inventory import Inventory


def certificates(
    hostvars: Mapping[str, t.Any],
    groups: Mapping[str, t.Any],
    gathered: Iterable[str],
    written: Iterable[str] = (),
    identities: Mapping[str, str] | None = None,
    only_authorities: bool = False,
) -> dict[str, t.Any]:
    """Return what is to be done."""
    try:
        inventory = Inventory(hostvars, groups, list(gathered))
        return plan(inventory, list(written), identities, only_authorities)
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.certificates: {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"certificates": certificates}
