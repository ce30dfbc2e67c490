# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.unjoined_nodes."""

from __future__ import annotations

DOCUMENTATION = r"""
name: unjoined_nodes
version_added: 0.1.0
short_description: Hosts that are no nodes of Kubernetes yet
description:
  - Which hosts of C(ovn_nodes) Kubernetes does not know by their names, one sentence for all of them. This is no
    error, since the overlay can be made before the kubelets are there.
  - A host that Kubernetes knows under its full name instead of its short one, or the other way round, is an error, for
    P(ovn.kubernetes.problems#filter).
positional: groups, nodes
options:
  nodes:
    description: The names of Kubernetes' nodes, as M(ovn.kubernetes.ovn_info) returns them; none when not known.
    type: list
    elements: str
seealso:
  - plugin: ovn.kubernetes.problems
    plugin_type: filter
extends_documentation_fragment:
  - ovn.kubernetes.inventory
"""

EXAMPLES = r"""
- name: Show hosts that have not joined Kubernetes yet
  ansible.builtin.debug:
    msg: "{{ hostvars | ovn.kubernetes.unjoined_nodes(groups, overlay.kubernetes_nodes) }}"
"""

RETURN = r"""
_value:
  description: The sentences; none when all hosts have joined, or nobody knows.
  type: list
  elements: str
  sample:
    - "kube-minion3: Kubernetes has no node of this name yet; if it has another name there, set ovn_node_name"
"""

import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils._errors import InventoryError
from ..plugin_utils._inventory import Inventory
from ..plugin_utils._kubernetes_nodes import unjoined


def unjoined_nodes(
    hostvars: Mapping[str, t.Any], groups: Mapping[str, t.Any], nodes: Iterable[str] | None = None
) -> list[str]:
    """The sentences."""
    try:
        return unjoined(Inventory(hostvars, groups), nodes)
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.unjoined_nodes: {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"unjoined_nodes": unjoined_nodes}
