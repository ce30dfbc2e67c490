# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.chassis_problems."""

from __future__ import annotations

DOCUMENTATION = r"""
name: chassis_problems
version_added: 0.1.0
short_description: Hosts whose results name a system-id that they can't have
description:
  - The role C(node) returns which system-id a host has, and the Northbound database gets it on record. It has to be the
    one that the host's facts had, or, where they had none, one that no other host is known to have.
positional: groups, overlay, gathered
options:
  overlay:
    description: What M(ovn.kubernetes.ovn_info) has found.
    type: dict
    required: true
seealso:
  - plugin: ovn.kubernetes.overlay_nodes
    plugin_type: filter
extends_documentation_fragment:
  - ovn.kubernetes.inventory
  - ovn.kubernetes.inventory.gathered
"""

EXAMPLES = r"""
- name: Refuse the system-ids of others
  ansible.builtin.fail:
    msg: "{{ chassis_problems | join('\n') }}"
  vars:
    chassis_problems: "{{ hostvars | ovn.kubernetes.chassis_problems(groups, overlay) }}"
  when: chassis_problems | length > 0
  run_once: true
"""

RETURN = r"""
_value:
  description: One sentence for each such host.
  type: list
  elements: str
  sample:
    - >-
      kube-minion1: its system-id was "6f1c2a0e" when its facts were gathered, and is "0d4b7c11" now: if Open vSwitch
      was installed anew meanwhile, run this again; otherwise find out who changes it, and don't trust this host until
      then
"""

import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils._errors import InventoryError
from ..plugin_utils._identities import result_problems
from ..plugin_utils._inventory import Inventory
from ..plugin_utils._overlay import chassis_of


def chassis_problems(
    hostvars: Mapping[str, t.Any],
    groups: Mapping[str, t.Any],
    overlay: Mapping[str, t.Any],
    gathered: Iterable[str] | None = None,
) -> list[str]:
    """Return the sentences."""
    try:
        inventory = Inventory(hostvars, groups, gathered)
        return result_problems(inventory, overlay, {host: chassis_of(hostvars, host) for host in inventory.hosts})
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.chassis_problems: {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"chassis_problems": chassis_problems}
