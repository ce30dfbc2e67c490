#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_facts
short_description: Gather the facts that the overlay's settings depend on
version_added: 0.1.0
description:
  - Gathers facts about network and distribution as M(ansible.builtin.setup) does, and in the same task what the host
    itself knows of its node. Changes nothing.
  - What ethtool says of links is left out. Ansible asks for it link by link, and a node has a link for each pod.
  - The tunnels' MTU is that of the ways to the other hosts, for which the kernel is asked. The links alone do not tell
    it where the tunnel address is on the loopback, or where the host has policy routing.
  - Where the Northbound database was lost, a host keeps the subnet of its pods by these facts. Hosts that were cloned
    from one another are found by them.
  - What of the overlay's networks the host has and uses already is found before anything is changed - links, routes,
    name servers, the API server, connections, and the SSH connection of the run.
options:
  overlay:
    description: What the overlay is about to have, as the filter C(ovn.kubernetes.overlay_networks) returns it.
    type: dict
    default: {}
    suboptions:
      cluster_ip_subnet:
        description: The networks of pods.
        type: list
        elements: str
        default: []
      routes:
        description: The networks of services and the join networks.
        type: list
        elements: str
        default: []
      api_servers:
        description: Addresses and names of API servers that the host's programs are to use.
        type: list
        elements: str
        default: []
      tunnel_addresses:
        description: The tunnel addresses of all hosts, as far as the inventory has them.
        type: list
        elements: str
        default: []
requirements:
  - None. Without the Python library C(ovs) on the host the system-id is read from Open vSwitch's file.
attributes:
  check_mode:
    support: full
    description: Changes nothing at all.
  diff_mode:
    support: none
    description: There is nothing that differs.
  idempotent:
    support: full
    description: Changes nothing at all.
  facts:
    support: full
    description: Returns C(ansible_facts).
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
seealso:
  - plugin: ovn.kubernetes.overlay_networks
    plugin_type: filter
  - plugin: ovn.kubernetes.settings
    plugin_type: filter
  - plugin: ovn.kubernetes.node_subnets
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Gather the facts that settings depend on
  ovn.kubernetes.ovn_facts:
    overlay: "{{ hostvars | ovn.kubernetes.overlay_networks(groups) }}"

- name: Show the system-id
  ansible.builtin.debug:
    msg: "{{ ansible_facts.ovn_kubernetes.system_id }}"
"""

RETURN = r"""
ansible_facts:
  description: The facts of C(ansible.builtin.setup) about network and distribution, and those below.
  returned: always
  type: dict
  contains:
    ovn_kubernetes:
      description: What the host itself knows of its node.
      type: dict
      returned: always
      contains:
        system_id:
          description: The system-id of its Open vSwitch; empty where it has none yet.
          type: str
          returned: always
          sample: 6f1c2a0e-5d0b-4d5e-9a77-2f0f5d3c1b1e
        node:
          description: The node's name, as the host has saved it; empty where it has saved none.
          type: str
          returned: always
          sample: kube-minion1
        subnets:
          description: The subnets that its pods have, as the host has saved them.
          type: list
          elements: str
          returned: always
          sample: [192.168.2.0/24]
        problem:
          description: What is wrong with the saved settings; empty when nothing is.
          type: str
          returned: always
          sample: ""
        foreign:
          description:
            - Which other program uses this host's Open vSwitch, so that it can't be a node; empty where none does, and
              on nodes.
          type: str
          returned: always
          sample: ""
        southbound_before:
          description: >-
            The Southbound database of a host that is no node; empty on nodes, where a run of this collection has set
            it, and where it has none.
          type: str
          returned: always
          sample: ""
        routers:
          description: Link to the routers of its own default routes, one of each IP version.
          type: dict
          returned: always
          sample: {eth0: [10.33.74.253]}
        in_use:
          description:
            - What of the given networks the host has and uses already, one entry for each network at most. What it
              reaches through the overlay itself does not count.
          type: list
          elements: dict
          returned: always
          contains:
            network:
              description: One of the networks.
              type: str
              returned: always
              sample: 192.168.0.0/16
            use:
              description: What overlaps it.
              type: str
              returned: always
              sample: 192.168.5.9, from which this session comes (through eth0)
        gateway:
          description: Whether the host has anything of a gateway, such as a NIC in its bridge.
          type: bool
          returned: always
          sample: false
        central:
          description: Whether the host has the overlay's databases.
          type: bool
          returned: always
          sample: false
        central_databases:
          description:
            - The state of the databases that the host has, C(northbound) and C(southbound), that of the C(relay) of the
              second one, and the C(version) of the Open vSwitch that runs them; empty on hosts without.
            - Of a database that is C(model) (V(none), V(standalone), V(clustered), V(relay)), C(running), C(status),
              C(cluster_id), C(server_id), C(address), C(role), C(leader), C(members), C(timer), C(listeners), and more;
              of the Northbound one C(chassis), node to the system-id in its row.
          type: dict
          returned: always
          sample: {northbound: {model: standalone}, southbound: {model: standalone}, version: 3.1.0}
        cut_off:
          description: >-
            Which of ovn-controller and ovn-northd have run for a minute, and are not connected to one of OVN's
            databases at this moment.
          type: list
          elements: str
          returned: always
          sample: []
        databases:
          description: The addresses at which the host looks for the Southbound database, as it has saved them.
          type: list
          elements: str
          returned: always
          sample: [10.44.0.11]
        certificates:
          description:
            - The host's certificates, without any key - C(chassis) and C(central), where they are there, with the text
              C(certificate), whether the key C(fits), and whether the file is C(exposed) to others than root; the texts
              C(central_ca) and C(southbound_ca), whom the host trusts; and C(now), the host's clock in seconds.
          type: dict
          returned: always
          sample: {now: 1796036400}
        ovn_user:
          description:
            - As which user OVN's packages for EL run its daemons, from C(/etc/sysconfig/ovn); empty where that does not
              say it.
          type: str
          returned: always
          sample: openvswitch
        way_mtus:
          description:
            - IP version to the least MTU of the ways to the given tunnel addresses of other hosts. A version of which
              none is reached is left out.
          type: dict
          returned: always
          sample: {IPv4: 9000}
error_code:
  description:
    - The kind of the error, such as C(host).
      Conditions should use it, and not the text in C(msg).
  returned: failure
  type: str
  sample: host
"""

from ..module_utils._ansible.imports import compile_once

compile_once()  # what is imported below

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common import respawn
from ansible.module_utils.facts import ansible_collector, default_collectors
from ansible.module_utils.facts.namespace import PrefixFactNamespace

from ..module_utils._ansible.argument_spec import OVN_FACTS
from ..module_utils._ansible.interpreter import with_libraries
from ..module_utils._ansible.network_facts import FewCalls
from ..module_utils._ansible.on_host import require_root
from ..module_utils._ansible.results import exit_with_facts
from ..module_utils._central import places as central
from ..module_utils._central.cut_off import SETTLED, cut_off
from ..module_utils._host.facts import routers
from ..module_utils._netlink.plain import plain_messages
from ..module_utils._topology.foreign import foreign_facts
from ..module_utils._topology.own_facts import read_own_facts
from ..module_utils._topology.used_networks import in_use

SUBSET = ["!all", "!min", "network", "distribution"]


def central_databases() -> dict[str, Any]:
    """Return the state of OVN's databases on this host."""
    if not central.has_databases():
        return {}
    from ..module_utils._central.read import read_central  # asyncio takes its time, and most hosts have none

    return read_central()


def main() -> None:
    with_libraries(respawn, "ovs")
    module = AnsibleModule(**OVN_FACTS)
    collector = ansible_collector.get_ansible_collector(
        all_collector_classes=default_collectors.collectors,
        namespace=PrefixFactNamespace(namespace_name="ansible", prefix="ansible_"),
        gather_subset=SUBSET,
    )

    def read() -> dict[str, Any]:
        require_root()
        overlay = module.params["overlay"]
        found = in_use(overlay["cluster_ip_subnet"], overlay["routes"], overlay["api_servers"])
        with plain_messages():  # nothing may be installed here yet
            own = {**read_own_facts(overlay["tunnel_addresses"]), **foreign_facts()}
            own.update(in_use=found, routers=routers(), central_databases=central_databases())
            own["cut_off"] = cut_off(for_seconds=SETTLED)
        return {"ansible_facts": {**collector.collect(module=FewCalls(module)), "ansible_ovn_kubernetes": own}}

    exit_with_facts(module, read)


if __name__ == "__main__":
    main()
