# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.removal_request."""

from __future__ import annotations

DOCUMENTATION = r"""
name: removal_request
version_added: 0.1.0
short_description: Which hosts the playbook remove is asked to remove
description:
  - Reads C(ovn_remove_hosts) and C(ovn_remove_confirmed) as the validation does. An empty extra variable, like a
    survey's question without an answer, counts as not given.
positional: groups
seealso:
  - plugin: ovn.kubernetes.removal_decision
    plugin_type: filter
extends_documentation_fragment:
  - ovn.kubernetes.inventory
"""

EXAMPLES = r"""
- name: Require a decision
  ansible.builtin.assert:
    that: (request.hosts | length > 0) != request.everything
  vars:
    request: "{{ hostvars | ovn.kubernetes.removal_request(groups) }}"
"""

RETURN = r"""
_value:
  description: >-
    C(hosts), a list of names; C(everything), whether the whole overlay is to be removed; and C(authorities), the folder
    on the controller with CAs, which stay.
  type: dict
  sample: {"hosts": ["kube-minion1"], "everything": false, "authorities": ""}
"""

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils import _removal
from ..plugin_utils._errors import InventoryError
from ..plugin_utils._inventory import Inventory


def removal_request(hostvars: Mapping[str, t.Any], groups: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return what is asked for."""
    try:
        return _removal.request(Inventory(hostvars, groups))
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.removal_request: {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"removal_request": removal_request}
