# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.problems."""

from __future__ import annotations

DOCUMENTATION = r"""
name: problems
version_added: 0.1.0
short_description: Everything that is wrong with an OVN inventory
description:
  - Checks the C(ovn_*) variables of all hosts in the groups C(ovn_masters), C(ovn_nodes) and C(ovn_gateways), each
    by itself and all together.
  - Each sentence names the host, the variable, the value, and what would be right. What many hosts have in common
    is said once.
  - Where facts were gathered, they are checked against too, such as NICs that do not exist. Without facts these
    checks are left out.
  - Only what C(hostvars) holds is seen, which is the inventory, extra variables and facts, and not a play's or a
    role's own variables.
requirements:
  - netaddr on the controller
positional: groups, overlay, removal, gathered, make_authorities
options:
  overlay:
    description:
      - All that M(ovn.kubernetes.ovn_info) has found. What can't work beside it is a problem too, such as a join
        network that has no address left for a new gateway, or a host whose saved subnet another node has.
    type: dict
  removal:
    description:
      - Whether hosts are to be removed. Then only the groups, the hosts' names, unknown variables and C(ovn_remove_*)
        are checked.
    type: bool
    default: false
  make_authorities:
    description:
      - Whether CAs that are missing are about to be made. Then it is a problem where they can't be, or would be lost.
    type: bool
    default: true
seealso:
  - plugin: ovn.kubernetes.node_subnets
    plugin_type: filter
  - plugin: ovn.kubernetes.settings
    plugin_type: filter
extends_documentation_fragment:
  - ovn.kubernetes.inventory
  - ovn.kubernetes.inventory.gathered
"""

EXAMPLES = r"""
- name: Refuse an inventory that can't work
  ansible.builtin.assert:
    that: __ovn_problems | length == 0
    fail_msg: "{{ __ovn_problems }}"
    quiet: true
  vars:
    __ovn_problems: "{{ hostvars | ovn.kubernetes.problems(groups) }}"
  run_once: true
"""

RETURN = r"""
_value:
  description: Sentences in a stable order; none when the inventory can be used.
  type: list
  elements: str
  sample:
    - 'node2: ovn_node_subnet "192.168.2.0/24" is also that of node1: give each host its own'
"""

import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils._errors import InventoryError
from ..plugin_utils._inventory import Inventory
from ..plugin_utils._problems import problems as find_problems


def problems(
    hostvars: Mapping[str, t.Any],
    groups: Mapping[str, t.Any],
    overlay: Mapping[str, t.Any] | None = None,
    removal: bool = False,
    gathered: Iterable[str] | None = None,
    make_authorities: bool = True,
) -> list[str]:
    """Everything that is wrong with the inventory, one sentence each."""
    try:
        return find_problems(Inventory(hostvars, groups, gathered), overlay, removal, make_authorities)
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.problems: {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"problems": problems}
