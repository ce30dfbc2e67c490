#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_master_init
short_description: Make the OVN overlay of a cluster
version_added: 0.1.0
description:
  - The centre of the overlay is one distributed router, one join switch between it and the gateways, and the groups of
    load balancers.
  - O(nodes) and O(gateways) let one call, and one transaction, converge the Northbound rows of a whole cluster.
  - With O(node_name) the master is a node too, as M(ovn.kubernetes.ovn_minion_init) makes one.
  - O(state=absent) removes every row of this collection, those of nodes and gateways as well.
extends_documentation_fragment: [ovn.kubernetes.overlay, ovn.kubernetes.node_host]
options:
  master_switch_subnet:
    description:
      - The pods' subnet of the master itself, inside O(cluster_ip_subnet), one of each of its families. Required with
        O(node_name).
    type: list
    elements: str
  join_subnet:
    description:
      - The network between the cluster router and the gateway routers, of the families of O(cluster_ip_subnet).
      - The default is C(100.64.0.0/16) and C(fd98::/64).
    type: list
    elements: str
  chassis:
    description:
      - The master's system-id; it is read from the host where the host's part is converged too.
    type: str
  absent_gateways:
    description:
      - Node names of gateways that are removed, in the same transaction. Others stay as they are.
    type: list
    elements: str
    default: []
  known_nodes:
    description:
      - Names of all nodes of the inventory. A host with the system-id of another one of them is a clone, and is
        refused. A host with the system-id of a node that is not among them is that node under a new name.
    type: list
    elements: str
    default: []
  nodes:
    description:
      - Nodes whose rows are converged in the same transaction.
    type: list
    elements: dict
    default: []
    suboptions:
      node_name:
        description: Kubernetes' name of the host.
        type: str
        required: true
      minion_switch_subnet:
        description: The pods' subnet of the node.
        type: list
        elements: str
      chassis:
        description: The host's system-id; a node that carries it under another name is renamed.
        type: str
      encap_ip:
        description:
          - The host's address for tunnels. A chassis that has it, and is no node's, is deleted by C(ovn-k8s-egress), so
            that the host can register.
        type: str
  gateways:
    description:
      - Gateways whose rows are converged in the same transaction.
    type: list
    elements: dict
    default: []
    suboptions:
      node_name:
        description: Kubernetes' name of the host.
        type: str
        required: true
      physical_interface:
        description: The NIC that only the gateway uses.
        type: str
      bridge_interface:
        description: The bridge of a NIC that the host uses too.
        type: str
      physical_ip:
        description: The gateway's addresses on the physical network, with prefix length.
        type: list
        elements: str
      default_gw:
        description: The external routers.
        type: list
        elements: str
      physical_mac:
        description: The MAC of the gateway on the physical network.
        type: str
      physical_mtu:
        description: The MTU of the gateway's NIC, with which larger packets of pods are answered.
        type: int
      chassis:
        description: The host's system-id.
        type: str
      mtu:
        description: MTU of the pods' network, with which larger packets from outside are answered.
        type: int
  rebalance_egress:
    description:
      - Divide the pods equally among the gateways that carry traffic. A gateway that returns gets none otherwise, since
        the connections of pods that move to another gateway are cut.
    type: bool
    default: false
seealso:
  - module: ovn.kubernetes.ovn_minion_init
  - module: ovn.kubernetes.ovn_gateway
"""

EXAMPLES = r"""
- name: Make the overlay on the master
  ovn.kubernetes.ovn_master_init:
    cluster_ip_subnet: 192.168.0.0/16
    master_switch_subnet: 192.168.1.0/24
    node_name: kube-master

- name: Converge the rows of the whole cluster in one transaction
  ovn.kubernetes.ovn_master_init:
    part: northbound
    cluster_ip_subnet: [192.168.0.0/16, "fd10:128::/48"]
    nodes:
      - node_name: kube-minion1
        minion_switch_subnet: [192.168.2.0/24, "fd10:128:0:2::/64"]
    gateways:
      - node_name: kube-minion1
        physical_interface: eth1
        physical_ip: 10.33.74.138/24
        default_gw: 10.33.74.253

- name: See what differs
  ovn.kubernetes.ovn_master_init:
    part: northbound
    cluster_ip_subnet: 192.168.0.0/16
  check_mode: true
  diff: true
"""

RETURN = r"""
plan:
  description: The operations, in order. Empty when nothing differed.
  returned: always
  type: list
  elements: dict
  sample:
    - operation: insert
      table: Logical_Router
      row: Logical_Router ovn_cluster_router
      text: "Logical_Router ovn_cluster_router: insert"
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
from ..module_utils._ansible.overlay import converge_cluster
from ..module_utils._ansible.results import exit_with_result


def main() -> None:
    with_libraries(respawn, "ovs", "pyroute2", "nftables", "jeepney")
    module = AnsibleModule(**argument_spec.OVN_MASTER_INIT)
    module.params.update(controller.said())
    exit_with_result(module, lambda notes: on_host(module, converge_cluster(module, notes)))


if __name__ == "__main__":
    main()
