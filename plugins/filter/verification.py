# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.verification."""

from __future__ import annotations

DOCUMENTATION = r"""
name: verification
version_added: 0.1.0
short_description: What verify compares the hosts of an inventory with
description:
  - The settings and subnets of P(ovn.kubernetes.settings#filter) and P(ovn.kubernetes.node_subnets#filter), and what
    must answer each host through the overlay.
  - What is wrong with one host, or with the inventory, is part of the result, and hides nothing of other hosts.
positional: groups, names, overlay, hosts, reached, gathered
options:
  names:
    description: Host to node name, as P(ovn.kubernetes.node_names#filter) returns them.
    type: dict
    required: true
  overlay:
    description: The result of M(ovn.kubernetes.ovn_info), or of M(ovn.kubernetes.ovn_verify) for the phase C(overlay).
    type: dict
    required: true
  hosts:
    description: The hosts of the play.
    type: list
    elements: str
    required: true
  reached:
    description: Those of them whose facts were gathered.
    type: list
    elements: str
    required: true
  gathered:
    description:
      - All hosts whose facts this run has gathered, those of masters outside of the play too. By default O(reached).
    type: list
    elements: str
extends_documentation_fragment: [ovn.kubernetes.inventory]
"""

EXAMPLES = r"""
- name: Work out what the hosts are compared with
  ansible.builtin.set_fact:
    plan: >-
      {{ hostvars | ovn.kubernetes.verification(groups, names, overlay, ansible_play_hosts_all, ansible_play_hosts) }}
  run_once: true
"""

RETURN = r"""
_value:
  description: >-
    By host C(settings), C(subnets), C(peers) and C(routers); the options C(overlay) of M(ovn.kubernetes.ovn_verify);
    C(problems) and C(warnings), sentences about the inventory; C(advice), what may not be meant; and C(unnamed), hosts
    whose node name is made from facts that could not be gathered.
  type: dict
  sample:
    settings: {kube-minion1: {node_name: kube-minion1, encap_ip: 10.44.0.12}}
    subnets: {kube-minion1: [192.168.2.0/24]}
    peers: {kube-minion1: [{name: kube-minion2, address: 192.168.7.2}]}
    routers: {kube-minion1: []}
    overlay: {cluster_ip_subnet: [192.168.0.0/16]}
    problems: []
    warnings: []
    advice: []
    unnamed: []
"""

import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils import _verification
from ..plugin_utils._errors import InventoryError
from ..plugin_utils._inventory import Inventory


def verification(
    hostvars: Mapping[str, t.Any],
    groups: Mapping[str, t.Any],
    names: Mapping[str, str],
    overlay: Mapping[str, t.Any],
    hosts: Iterable[str],
    reached: Iterable[str],
    gathered: Iterable[str] | None = None,
) -> dict[str, t.Any]:
    """Return what the hosts are compared with."""
    try:
        live = list(reached)
        inventory = Inventory(hostvars, groups, live if gathered is None else gathered)
        return _verification.verification(inventory, names, overlay, hosts, live)
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.verification: {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"verification": verification}
