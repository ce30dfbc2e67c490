# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.node_subnets."""

from __future__ import annotations

DOCUMENTATION = r"""
name: node_subnets
version_added: 0.1.0
short_description: Plans which pods' subnet each OVN host gets
description:
  - Every host of C(ovn_masters), C(ovn_nodes) and C(ovn_gateways) is a chassis with a node switch, and gets one
    subnet of each family of C(ovn_cluster_subnet).
  - First comes what C(ovn_node_subnet) says. Then a host keeps what the northbound database holds for its node name,
    else what the host itself has saved (M(ovn.kubernetes.ovn_facts)), else what is left of it on the cluster router,
    else what the annotations of its pods name, as long as it is in the cluster's network.
    Where these contradict each other the plan is refused. The rest get the
    lowest free subnets of C(ovn_node_subnet_prefix), in the order of the hosts' names, numbers in them counted as
    numbers. Nothing is skipped; the first one is the cluster network's first.
  - So a host keeps its subnet when others come and go, and without a database, as on bare hosts, the same inventory
    gives the same plan.
  - Subnets of nodes that the inventory does not know stay theirs.
  - C(ovn_node_subnet_prefix) is one number for the IPv4 network of the cluster, or for its IPv6 network when that
    is the only one, where IPv6 in dual stack is then 64; or a list of two for IPv4 and IPv6. It is only for new
    subnets, and does not change those that exist.
  - The plan is always for the whole inventory, whatever the play is limited to. Only hosts whose name is made from
    facts that nobody has gathered have no subnet in it; they keep what the database holds.
requirements:
  - netaddr on the controller
positional: groups, overlay, gathered
options:
  overlay:
    description:
      - What M(ovn.kubernetes.ovn_info) has found, also of nodes that are not in the inventory.
      - A node that the inventory does not know, with the system-id or at the tunnel address of a host that the database
        does not know, is that host under its older name, and keeps its subnets.
    type: dict
    default: {}
seealso:
  - plugin: ovn.kubernetes.problems
    plugin_type: filter
extends_documentation_fragment:
  - ovn.kubernetes.inventory
  - ovn.kubernetes.inventory.gathered
"""

EXAMPLES = r"""
- name: Plan the node subnets
  ansible.builtin.set_fact:
    __ovn_node_subnets: >-
      {{ hostvars | ovn.kubernetes.node_subnets(groups, overlay, gathered=ansible_play_hosts) }}
  run_once: true

- name: Show the plan
  ansible.builtin.debug:
    msg: "{{ __ovn_node_subnets[inventory_hostname] }}"
"""

RETURN = r"""
_value:
  description: Inventory host to its networks, in the order of C(ovn_cluster_subnet).
  type: dict
  sample:
    ovn-master: ["192.168.0.0/24"]
    ovn-node1: ["192.168.7.0/24"]
"""

import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils._errors import InventoryError
from ..plugin_utils._inventory import Inventory
from ..plugin_utils._known_nodes import Known
from ..plugin_utils._subnets import plan


def node_subnets(
    hostvars: Mapping[str, t.Any],
    groups: Mapping[str, t.Any],
    overlay: Mapping[str, t.Any] | None = None,
    gathered: Iterable[str] | None = None,
) -> dict[str, list[str]]:
    """Inventory host to its node subnets."""
    try:
        return plan(Inventory(hostvars, groups, gathered), Known.of(overlay or {}))
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.node_subnets: {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"node_subnets": node_subnets}
