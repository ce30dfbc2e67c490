# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.node_names."""

from __future__ import annotations

DOCUMENTATION = r"""
name: node_names
author:
  - ovn.kubernetes maintainers
version_added: 0.1.0
short_description: Kubernetes' names of the OVN hosts
description:
  - What C(ovn_node_name) says, else the name that kubespray gives the host (C(kube_override_hostname); by default the
    inventory name, for hosts of its group C(k8s_cluster)), else the short inventory name, in lower case, for every
    host of C(ovn_masters), C(ovn_nodes) and C(ovn_gateways).
positional: groups
options:
  _input:
    description: C(hostvars), or a dictionary of host to variables with at least the hosts of the three groups.
    type: dict
    required: true
  groups:
    description: Ansible's C(groups).
    type: dict
    required: true
seealso:
  - plugin: ovn.kubernetes.settings
    plugin_type: filter
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
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils._errors import InventoryError
from ..plugin_utils._inventory import Inventory


def node_names(hostvars: Mapping[str, t.Any], groups: Mapping[str, t.Any]) -> dict[str, str]:
    """Inventory host to node name."""
    try:
        inventory = Inventory(hostvars, groups)
        return {host: inventory.node_name(host) for host in inventory.named}
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.node_names: {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"node_names": node_names}
