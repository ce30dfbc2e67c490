# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.former_names."""

from __future__ import annotations

DOCUMENTATION = r"""
name: former_names
version_added: 0.1.0
short_description: Under which names hosts are nodes of the databases, where they have new ones
description:
  - Hosts that the databases have under an older name, and that have saved that name themselves, as long as no other
    host has the tunnel address of that node. So they are no clones.
positional: groups, overlay, gathered
options:
  overlay:
    description: What M(ovn.kubernetes.ovn_info) has found.
    type: dict
    required: true
seealso:
  - module: ovn.kubernetes.ovn_minion_init
extends_documentation_fragment:
  - ovn.kubernetes.inventory
  - ovn.kubernetes.inventory.gathered
"""

EXAMPLES = r"""
- name: Show renamed hosts
  ansible.builtin.debug:
    msg: "{{ hostvars | ovn.kubernetes.former_names(groups, overlay, ansible_play_hosts) }}"
"""

RETURN = r"""
_value:
  description: Inventory host to node name.
  type: dict
  sample:
    kube-minion1.example.com: minion-1
"""

import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils import _known_nodes
from ..plugin_utils._errors import InventoryError
from ..plugin_utils._inventory import Inventory


def former_names(
    hostvars: Mapping[str, t.Any],
    groups: Mapping[str, t.Any],
    overlay: Mapping[str, t.Any],
    gathered: Iterable[str] | None = None,
) -> dict[str, str]:
    """Inventory host to its former node name."""
    try:
        known = _known_nodes.Known.of(overlay)
        return _known_nodes.former_names(Inventory(hostvars, groups, gathered), known)
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.former_names: {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"former_names": former_names}
