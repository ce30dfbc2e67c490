# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.overlay_gateways."""

from __future__ import annotations

DOCUMENTATION = r"""
name: overlay_gateways
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
version_added: 0.1.0
short_description: The option gateways of ovn_master_init for a whole inventory
description:
  - One entry for each gateway that has rows already, or whose host has converged its own part in this play.
positional: existing, hostvars
options:
  _input:
    description: Host to its settings, as P(ovn.kubernetes.settings#filter) returns them for all hosts.
    type: dict
    required: true
  existing:
    description: Names of nodes whose gateway is returned in any case.
    type: list
    elements: str
    required: true
  hostvars:
    description: C(hostvars). The results that the roles register are read from it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Converge the gateways' rows
  ovn.kubernetes.ovn_master_init:
    cluster_ip_subnet: 192.168.0.0/16
    gateways: "{{ all_settings | ovn.kubernetes.overlay_gateways(overlay.gateways | list, hostvars) }}"
    part: northbound
"""

RETURN = r"""
_value:
  description: The entries, without options that have no value.
  type: list
  elements: dict
  sample:
    - node_name: kube-minion2
      physical_interface: eth1
      physical_ip: [10.55.0.138/24]
      default_gw: [10.55.0.253]
      mtu: 1442
      chassis: 6f1c2a0e-5d0b-4d5e-9a77-2f0f5d3c1b1e
"""

import typing as t
from collections.abc import Iterable, Mapping

from ..plugin_utils import _overlay


def overlay_gateways(
    settings: Mapping[str, t.Any], existing: Iterable[str], hostvars: Mapping[str, t.Any]
) -> list[dict[str, t.Any]]:
    """Return the entries."""
    return _overlay.gateways(settings, existing, hostvars)


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"overlay_gateways": overlay_gateways}
