# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.named_nodes."""

from __future__ import annotations

DOCUMENTATION = r"""
name: named_nodes
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
version_added: 0.1.0
short_description: Nodes or gateways by their names alone, as options of the modules
description:
  - For the removal of rows, which needs no more than the names.
options:
  _input:
    description: Node names.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Delete the rows of two nodes
  ovn.kubernetes.ovn_minion_init:
    nodes: "{{ ['kube-minion1', 'kube-minion2'] | ovn.kubernetes.named_nodes }}"
    part: northbound
    state: absent
"""

RETURN = r"""
_value:
  description: For each name a dictionary with C(node_name).
  type: list
  elements: dict
  sample: [{node_name: kube-minion1}, {node_name: kube-minion2}]
"""

import typing as t
from collections.abc import Iterable


def named_nodes(names: Iterable[str]) -> list[dict[str, str]]:
    """Return one dictionary for each name."""
    return [{"node_name": name} for name in names]


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"named_nodes": named_nodes}
