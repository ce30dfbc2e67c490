# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.overlay_networks."""

from __future__ import annotations

DOCUMENTATION = r"""
name: overlay_networks
version_added: 0.1.0
short_description: The networks that hosts lead into the overlay, and what they reach outside it
description:
  - The networks of pods, services and routers, the API server and the hosts' tunnel addresses, for
    M(ovn.kubernetes.ovn_facts), which finds what of them a host has and uses already, and what fits through its ways to
    the others.
  - A tunnel address counts here when C(ovn_encap_ip) has it, and without facts of the host.
  - What can't be read is left out. The filter P(ovn.kubernetes.problems#filter) says what is wrong with it.
positional: groups
seealso:
  - plugin: ovn.kubernetes.problems
    plugin_type: filter
extends_documentation_fragment:
  - ovn.kubernetes.inventory
"""

EXAMPLES = r"""
- name: Find what of the overlay's networks this host uses already
  ovn.kubernetes.ovn_facts:
    overlay: "{{ hostvars | ovn.kubernetes.overlay_networks(groups) }}"
"""

RETURN = r"""
_value:
  description: The networks, as the option C(overlay) of M(ovn.kubernetes.ovn_facts).
  type: dict
  sample:
    cluster_ip_subnet: [192.168.0.0/16]
    routes: [10.96.0.0/16, 100.64.0.0/16]
    api_servers: [10.33.74.10]
    tunnel_addresses: [10.44.0.11, 10.44.0.12]
"""

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils._derived import configured_tunnel_addresses
from ..plugin_utils._errors import InventoryError
from ..plugin_utils._inventory import Inventory
from ..plugin_utils._problems_cluster import CLUSTER, overlay_networks
from ..plugin_utils._problems_used import API, api_hosts


def networks(hostvars: Mapping[str, t.Any], groups: Mapping[str, t.Any]) -> dict[str, list[str]]:
    """The networks that hosts lead into the overlay."""
    try:
        inventory = Inventory(hostvars, groups)
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.overlay_networks: {error}") from error
    found = overlay_networks(inventory)
    return {
        "cluster_ip_subnet": [str(one.network) for one in found if one.variable == CLUSTER],
        "routes": [str(one.network) for one in found if one.variable != CLUSTER],
        "api_servers": api_hosts(inventory.valid_cluster_value(API) or ""),
        "tunnel_addresses": configured_tunnel_addresses(inventory),
    }


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"overlay_networks": networks}
