# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.overlay_nodes."""

from __future__ import annotations

DOCUMENTATION = r"""
name: overlay_nodes
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
version_added: 0.1.0
short_description: The option nodes of ovn_master_init for a whole inventory
description:
  - One entry for each host, with its subnets, and with its chassis where the role C(node) has run on it in this play.
positional: subnets, hostvars
options:
  _input:
    description: Host to its settings, as P(ovn.kubernetes.settings#filter) returns them for all hosts.
    type: dict
    required: true
  subnets:
    description: Host to its node subnets, as P(ovn.kubernetes.node_subnets#filter) returns them.
    type: dict
    required: true
  hostvars:
    description: C(hostvars). The results that the roles register are read from it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Converge the nodes' rows
  ovn.kubernetes.ovn_master_init:
    cluster_ip_subnet: 192.168.0.0/16
    nodes: "{{ all_settings | ovn.kubernetes.overlay_nodes(all_subnets, hostvars) }}"
    part: northbound
"""

RETURN = r"""
_value:
  description: The entries, without options that have no value.
  type: list
  elements: dict
  sample:
    - node_name: kube-minion1
      minion_switch_subnet: [192.168.2.0/24]
      chassis: 6f1c2a0e-5d0b-4d5e-9a77-2f0f5d3c1b1e
      encap_ip: 10.44.0.12
"""

import typing as t
from collections.abc import Mapping

from ..plugin_utils import _overlay


def overlay_nodes(
    settings: Mapping[str, t.Any], subnets: Mapping[str, t.Any], hostvars: Mapping[str, t.Any]
) -> list[dict[str, t.Any]]:
    """Return the entries."""
    return _overlay.nodes(settings, subnets, hostvars)


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"overlay_nodes": overlay_nodes}
