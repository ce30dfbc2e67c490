#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_minion_init
short_description: Join a node to the OVN overlay
version_added: 0.1.0
description:
  - A node has a logical switch for its pods, joined to the cluster router, and on the host a management port that joins
    the host itself to that switch.
  - The rows go to the Northbound database in one transaction. On the host the call sets the keys that ovn-controller
    reads, makes C(br-int) and the management port, and gives the port its addresses and routes.
extends_documentation_fragment: [ovn.kubernetes.overlay, ovn.kubernetes.node_host]
options:
  minion_switch_subnet:
    description:
      - The pods' subnet of this node, inside O(cluster_ip_subnet), one of each of its families.
    type: list
    elements: str
  nodes:
    description:
      - With O(part=northbound), any number of nodes instead of one, in one transaction.
    type: list
    elements: dict
    suboptions:
      node_name:
        description: As O(node_name).
        type: str
        required: true
      minion_switch_subnet:
        description: As O(minion_switch_subnet).
        type: list
        elements: str
      chassis:
        description: As O(chassis).
        type: str
      encap_ip:
        description: As O(encap_ip).
        type: str
  chassis:
    description:
      - The host's system-id. A node that carries it under another name is renamed, with all that belongs to it.
        With O(part=all) it is read from the host.
    type: str
seealso:
  - module: ovn.kubernetes.ovn_master_init
  - module: ovn.kubernetes.ovn_gateway
"""

EXAMPLES = r"""
- name: Converge the host's own part on the node
  ovn.kubernetes.ovn_minion_init:
    part: host
    cluster_ip_subnet: 192.168.0.0/16
    minion_switch_subnet: 192.168.2.0/24
    node_name: kube-minion1
    southbound: tcp:10.0.0.1:6642

- name: Converge the rows of two nodes on a master
  ovn.kubernetes.ovn_minion_init:
    part: northbound
    cluster_ip_subnet: 192.168.0.0/16
    nodes:
      - node_name: kube-minion1
        minion_switch_subnet: 192.168.2.0/24
      - node_name: kube-minion2
        minion_switch_subnet: 192.168.3.0/24

- name: Take a node out
  ovn.kubernetes.ovn_minion_init:
    part: northbound
    node_name: kube-minion1
    state: absent
"""

RETURN = r"""
plan:
  description: The operations, in order. Empty when nothing differed.
  returned: always
  type: list
  elements: dict
  sample:
    - operation: insert
      table: Logical_Switch
      row: Logical_Switch kube-minion1
      text: "Logical_Switch kube-minion1: insert"
chassis:
  description: The host's system-id.
  returned: when the host's part was converged
  type: str
  sample: 6f1c2a0e-5d0b-4d5e-9a77-2f0f5d3c1b1e
encap_ip:
  description: The host's tunnel address.
  returned: when the host's part was converged
  type: str
  sample: 10.44.0.12
mtu:
  description: The MTU of the pods' network.
  returned: when the host's part was converged
  type: int
  sample: 1442
management_ips:
  description: The host's own addresses on its node switch.
  returned: when the host's part was converged
  type: list
  elements: str
  sample: [192.168.2.2]
underlay_nic:
  description: The NIC that must be in a bridge for the tunnels; none with the datapath of the kernel.
  returned: when the host's part was converged
  type: str
  sample: eth0
spare_nics:
  description: NICs in bridges that the tunnels do not need any more.
  returned: when the host's part was converged
  type: list
  elements: str
  sample: []
datapath_type:
  description: The datapath that is in use, system or netdev.
  returned: when the host's part was converged
  type: str
  sample: system
openvswitch_settings:
  description: >-
    Users' own settings of Open vSwitch that the host still has, as options of openvswitch_db of
    openvswitch.openvswitch, which takes them back.
  returned: when O(state=absent) and the host's own part is removed
  type: list
  elements: dict
  sample:
    - {table: Open_vSwitch, record: ".", col: other_config, key: hw-offload, state: absent}
error_code:
  description:
    - The kind of the error, such as C(invalid_settings), C(database_unreachable), C(database_conflict), C(host) or
      C(rollback_failed).
      Conditions should use it, and not the text in C(msg).
  returned: failure
  type: str
  sample: invalid_settings
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common import respawn

from ..module_utils._ansible import argument_spec, controller
from ..module_utils._ansible.interpreter import with_libraries
from ..module_utils._ansible.on_host import on_host
from ..module_utils._ansible.overlay import converge_nodes
from ..module_utils._ansible.results import exit_with_result


def main() -> None:
    with_libraries(respawn, "ovs", "pyroute2", "nftables", "jeepney")
    module = AnsibleModule(**argument_spec.OVN_MINION_INIT)
    module.params.update(controller.said())
    exit_with_result(module, lambda notes: on_host(module, converge_nodes(module, notes)))


if __name__ == "__main__":
    main()
