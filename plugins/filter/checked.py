# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.checked."""

from __future__ import annotations

DOCUMENTATION = r"""
name: checked
version_added: 0.1.0
short_description: What was looked at in an inventory with which nothing is wrong
description:
  - The number of hosts, masters and gateways, the CAs of the databases, and variables that have no effect.
  - P(ovn.kubernetes.problems#filter) says before whether anything is wrong.
positional: groups, gathered
seealso:
  - plugin: ovn.kubernetes.problems
    plugin_type: filter
extends_documentation_fragment:
  - ovn.kubernetes.inventory
  - ovn.kubernetes.inventory.gathered
"""

EXAMPLES = r"""
- name: Say what was looked at
  ansible.builtin.debug:
    msg: "{{ hostvars | ovn.kubernetes.checked(groups) }}"
  run_once: true
"""

RETURN = r"""
_value:
  description: Sentences.
  type: list
  elements: str
  sample:
    - >-
      Nothing is wrong with the variables of 3 hosts, 1 master and 1 gateway among them; the central CA is not there
      yet, and a site run makes it in "/home/me/inventory/.ovn-tls"; the chassis CA is not there yet, and a site run
      makes it in "/home/me/inventory/.ovn-tls".
"""

import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils import _checked
from ..plugin_utils._errors import InventoryError
from ..plugin_utils._inventory import Inventory


def checked(
    hostvars: Mapping[str, t.Any], groups: Mapping[str, t.Any], gathered: Iterable[str] | None = None
) -> list[str]:
    """Return what was looked at."""
    try:
        return _checked.checked(Inventory(hostvars, groups, gathered))
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.checked: {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"checked": checked}
