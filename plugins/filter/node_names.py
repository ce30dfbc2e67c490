# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.node_names."""

from __future__ import annotations

DOCUMENTATION = r"""
name: node_names
version_added: 0.1.0
short_description: Kubernetes' names of the OVN hosts
description:
  - What C(ovn_node_name) says, else the name that kubespray gives the host (C(kube_override_hostname); by default the
    inventory name, for hosts of its group C(k8s_cluster)), else the short inventory name, in lower case, for every
    host of C(ovn_masters), C(ovn_nodes) and C(ovn_gateways).
positional: groups, gathered
seealso:
  - plugin: ovn.kubernetes.settings
    plugin_type: filter
extends_documentation_fragment:
  - ovn.kubernetes.inventory
  - ovn.kubernetes.inventory.gathered
"""

EXAMPLES = r"""
- name: Show the names
  ansible.builtin.debug:
    msg: "{{ hostvars | ovn.kubernetes.node_names(groups) }}"
"""

RETURN = r"""
_value:
  description: Inventory host to node name, without hosts whose name is made from facts that were not gathered.
  type: dict
  sample:
    kube-minion1.example.com: kube-minion1
"""

import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils._errors import InventoryError
from ..plugin_utils._inventory import Inventory


def node_names(
    hostvars: Mapping[str, t.Any], groups: Mapping[str, t.Any], gathered: Iterable[str] | None = None
) -> dict[str, str]:
    """Inventory host to node name."""
    try:
        inventory = Inventory(hostvars, groups, gathered)
        return {host: inventory.node_name(host) for host in inventory.named}
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.node_names: {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"node_names": node_names}
