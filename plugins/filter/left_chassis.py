# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.left_chassis."""

from __future__ import annotations

DOCUMENTATION = r"""
name: left_chassis
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
version_added: 0.1.0
short_description: Chassis that hosts have left behind
description:
  - A chassis that registered under a node's name, or with the tunnel address that a node has now, is left behind unless
    it is the node's own now. The chassis of O(nodes) stay. A host that was installed anew leaves one, and so does one
    that died.
  - With SSL a chassis can't change the name that it has registered with. So that of a node with another name is left
    behind too, and registers again.
positional: removed, settings, hostvars, nodes
options:
  _input:
    description: C(chassis) of M(ovn.kubernetes.ovn_info).
    type: dict
    required: true
  removed:
    description: Names of nodes that have no chassis any more.
    type: list
    elements: str
    default: []
  settings:
    description: Host to what P(ovn.kubernetes.settings#filter) returns, for nodes that stay.
    type: dict
    default: {}
  hostvars:
    description:
      - C(hostvars), with what the role P(ovn.kubernetes.node#role) has registered.
      - Hosts without that are left out.
    type: dict
    default: {}
  nodes:
    description:
      - C(nodes) of M(ovn.kubernetes.ovn_info), those of the inventory. The chassis of one of them stays, whatever name
        and address it says that it has, unless the node is removed, or among O(settings).
    type: dict
    default: {}
seealso:
  - module: ovn.kubernetes.ovn_chassis
"""

EXAMPLES = r"""
- name: Delete what a removed node has left
  ovn.kubernetes.ovn_chassis:
    system_ids: "{{ overlay.chassis | ovn.kubernetes.left_chassis(['kube-minion1'], nodes=overlay.nodes) }}"
"""

RETURN = r"""
_value:
  description: Their system-ids.
  type: list
  elements: str
  sample: [6f1c2a0e-5d0b-4d5e-9a77-2f0f5d3c1b1e]
"""

import typing as t
from collections.abc import Iterable, Mapping

from ..module_utils._topology.chassis import ChassisOwner, left_behind
from ..plugin_utils import _overlay


def left_chassis(
    registered: Mapping[str, Mapping[str, t.Any]],
    removed: Iterable[str] = (),
    settings: Mapping[str, t.Any] | None = None,
    hostvars: Mapping[str, t.Any] | None = None,
    nodes: Mapping[str, t.Any] | None = None,
) -> list[str]:
    """Return the system-ids."""
    owners = [ChassisOwner(str(name)) for name in removed]
    return left_behind(registered, [*owners, *_overlay.chassis(settings or {}, hostvars or {})], nodes)


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"left_chassis": left_chassis}
