# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.central_ports."""

from __future__ import annotations

DOCUMENTATION = r"""
name: central_ports
version_added: 0.1.0
short_description: Who may reach the ports of an inventory's databases
description:
  - The masters' tunnel addresses, and those of their facts that they may connect from; and which addresses are shut
    out.
positional: groups, gathered, leaving
options:
  leaving:
    description: Hosts that are no masters any more, whose databases have not left the clusters yet.
    type: list
    elements: str
    default: []
seealso:
  - plugin: ovn.kubernetes.settings
    plugin_type: filter
extends_documentation_fragment:
  - ovn.kubernetes.inventory
  - ovn.kubernetes.inventory.gathered
"""

EXAMPLES = r"""
- name: Show who may
  ansible.builtin.debug:
    msg: "{{ hostvars | ovn.kubernetes.central_ports(groups) }}"
"""

RETURN = r"""
_value:
  description: The option C(central_ports) of M(ovn.kubernetes.ovn_host).
  type: dict
  sample: {"masters": ["10.33.74.11"], "withdrawn": [], "complete": true}
"""

import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils import _central_ports
from ..plugin_utils._errors import InventoryError
from ..plugin_utils._inventory import Inventory


def central_ports(
    hostvars: Mapping[str, t.Any],
    groups: Mapping[str, t.Any],
    gathered: Iterable[str] | None = None,
    leaving: Iterable[str] = (),
) -> dict[str, t.Any]:
    """Return who may."""
    try:
        return _central_ports.central_ports(Inventory(hostvars, groups, gathered), leaving)
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.central_ports: {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"central_ports": central_ports}
