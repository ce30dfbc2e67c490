# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.advice."""

from __future__ import annotations

DOCUMENTATION = r"""
name: advice
version_added: 0.1.0
short_description: What stops nothing, and may not be meant
description:
  - Tunnels that go through a public network by default only, and nodes and gateways of the databases that the inventory
    does not have, with the variable or the command that ends it.
positional: groups, overlay, gathered
options:
  overlay:
    description: What M(ovn.kubernetes.ovn_info) has found.
    type: dict
    required: true
seealso:
  - plugin: ovn.kubernetes.problems
    plugin_type: filter
extends_documentation_fragment:
  - ovn.kubernetes.inventory
  - ovn.kubernetes.inventory.gathered
"""

EXAMPLES = r"""
- name: Say what may not be meant
  ansible.builtin.debug:
    msg: "{{ hostvars | ovn.kubernetes.advice(groups, overlay) }}"
"""

RETURN = r"""
_value:
  description: One sentence for each.
  type: list
  elements: str
  sample:
    - >-
      old-minion: node old-minion is in the overlay, and not in the inventory; it keeps its subnet and its rows: put its
      host into the inventory; to remove it: ansible-playbook ovn.kubernetes.remove -e ovn_remove_hosts=old-minion
"""

import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils import _advice
from ..plugin_utils._errors import InventoryError
from ..plugin_utils._inventory import Inventory


def advice(
    hostvars: Mapping[str, t.Any],
    groups: Mapping[str, t.Any],
    overlay: Mapping[str, t.Any],
    gathered: Iterable[str] | None = None,
) -> list[str]:
    """Return the sentences."""
    try:
        return _advice.advice(Inventory(hostvars, groups, gathered), overlay)
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.advice: {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"advice": advice}
