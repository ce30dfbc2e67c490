# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.undrained."""

from __future__ import annotations

DOCUMENTATION = r"""
name: undrained
version_added: 0.1.0
short_description: Nodes that would lose the subnet or the name under which pods run
description:
  - A pod that runs can't be given another address. So a node keeps its subnets, and its name, until it is drained.
  - Pods on the host's network don't count, nor do those that a drain leaves there (of DaemonSets, and static pods).
positional: groups, subnets, overlay, gathered
options:
  subnets:
    description: Host to its node subnets, as P(ovn.kubernetes.node_subnets#filter) returns them.
    type: dict
    required: true
  overlay:
    description: What M(ovn.kubernetes.ovn_info) has found.
    type: dict
    required: true
seealso:
  - plugin: ovn.kubernetes.node_subnets
    plugin_type: filter
extends_documentation_fragment:
  - ovn.kubernetes.inventory
  - ovn.kubernetes.inventory.gathered
"""

EXAMPLES = r"""
- name: Refuse to renumber pods
  ansible.builtin.fail:
    msg: "{{ undrained | join('\n') }}"
  vars:
    undrained: "{{ hostvars | ovn.kubernetes.undrained(groups, all_subnets, overlay) }}"
  when: undrained | length > 0
  run_once: true
"""

RETURN = r"""
_value:
  description: One sentence for each such node, with some of its pods and the command that drains it.
  type: list
  elements: str
  sample:
    - >-
      kube-minion1: ovn_node_subnet "192.168.2.0/24" can't be left while there are pods with addresses (demo/web);
      the plan has 192.168.7.0/24: drain the node first (kubectl drain kube-minion1 --ignore-daemonsets), then run this
      again
"""

import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils import _undrained
from ..plugin_utils._errors import InventoryError
from ..plugin_utils._inventory import Inventory


def undrained(
    hostvars: Mapping[str, t.Any],
    groups: Mapping[str, t.Any],
    subnets: Mapping[str, t.Any],
    overlay: Mapping[str, t.Any],
    gathered: Iterable[str] | None = None,
) -> list[str]:
    """Return the sentences."""
    try:
        return _undrained.undrained(Inventory(hostvars, groups, gathered), subnets, overlay)
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.undrained: {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"undrained": undrained}
