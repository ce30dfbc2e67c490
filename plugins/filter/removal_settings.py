# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.removal_settings."""

from __future__ import annotations

DOCUMENTATION = r"""
name: removal_settings
version_added: 0.1.0
short_description: What the removal of OVN hosts needs to know of them
description:
  - The part of what P(ovn.kubernetes.settings#filter) returns that needs no facts. So hosts can be removed when others
    can't be reached, and when their NICs are gone.
positional: groups
seealso:
  - plugin: ovn.kubernetes.settings
    plugin_type: filter
extends_documentation_fragment:
  - ovn.kubernetes.inventory
"""

EXAMPLES = r"""
- name: Work out what removal needs
  ansible.builtin.set_fact:
    __ovn_all_settings: "{{ hostvars | ovn.kubernetes.removal_settings(groups) }}"
  run_once: true
"""

RETURN = r"""
_value:
  description: >-
    Host to C(node_name) and C(kubernetes), as P(ovn.kubernetes.settings#filter) has them. C(node_name) is empty where
    it is made from facts that could not be gathered. C(kubernetes) is none too where the access to the API server
    can't be worked out, and C(kubernetes_problem) says why.
  type: dict
  sample:
    kube-minion1: {node_name: kube-minion1, kubernetes: null, kubernetes_problem: ""}
"""

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils import _removal
from ..plugin_utils._errors import InventoryError
from ..plugin_utils._inventory import Inventory


def removal_settings(hostvars: Mapping[str, t.Any], groups: Mapping[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    """Return host to its settings."""
    try:
        return _removal.settings(Inventory(hostvars, groups))
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.removal_settings: {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"removal_settings": removal_settings}
