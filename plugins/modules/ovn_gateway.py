#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_gateway
short_description: Connect the OVN overlay to the physical network through a node
version_added: 0.1.0
description:
  - A gateway has a router on its chassis, between the join switch and the physical network, with source NAT to its
    physical address. Default traffic of the cluster is spread over all gateways that are alive.
  - On the host the NIC is moved into a bridge of its own. The bridge's record saves the NIC's addresses, which come
    back with O(state=absent).
extends_documentation_fragment: [ovn.kubernetes.overlay]
options:
  physical_interface:
    description:
      - The NIC that only the gateway uses. A NIC with the default route, or with the controller's connection, is
        refused.
    type: str
  bridge_interface:
    description:
      - The bridge of a NIC that the host uses too, such as M(ovn.kubernetes.nics_to_bridge) makes. The host keeps its
        addresses and routes, and the gateway has the same addresses and the same MAC. C(ovn-k8s-gateway-helper) steers
        incoming packets to the host or to the pods.
    type: str
  physical_ip:
    description:
      - The gateway's addresses on the physical network with prefix length, at most one of each family.
      - With O(bridge_interface) and O(part=all) those of the bridge by default.
    type: list
    elements: str
  default_gw:
    description:
      - The external routers, of the families of O(physical_ip). Without one the gateway gets no default traffic.
      - With O(bridge_interface) and O(part=all), and without O(physical_ip), those of the bridge's default routes by
        default.
    type: list
    elements: str
  physical_mac:
    description:
      - The MAC of the gateway on the physical network. With O(part=all) it is the NIC's, else it stays as it is. A new
        gateway gets one derived from O(physical_ip).
    type: str
  physical_mtu:
    description:
      - The MTU of the gateway's NIC. With O(part=all) it is read from the host, else it stays as it is.
      - Where it is smaller than O(mtu), pods' larger packets are answered with an ICMP error that names it.
    type: int
  chassis:
    description:
      - The host's system-id. With O(part=all) it is read from the host, else it stays as it is. A new gateway gets
        O(node_name).
    type: str
  mtu:
    description:
      - MTU of the pods' network. Larger packets from the physical network that must not be fragmented are answered with
        an ICMP error that names it.
    type: int
  datapath_type:
    description:
      - As of M(ovn.kubernetes.ovn_minion_init); by default what the host has.
    type: str
    choices: [system, netdev]
  gateways:
    description:
      - With O(part=northbound), any number of gateways instead of one, in one transaction.
    type: list
    elements: dict
    suboptions:
      node_name:
        description: As O(node_name).
        type: str
        required: true
      physical_interface:
        description: As O(physical_interface).
        type: str
      bridge_interface:
        description: As O(bridge_interface).
        type: str
      physical_ip:
        description: As O(physical_ip).
        type: list
        elements: str
      default_gw:
        description: As O(default_gw).
        type: list
        elements: str
      physical_mac:
        description: As O(physical_mac).
        type: str
      physical_mtu:
        description: As O(physical_mtu).
        type: int
      chassis:
        description: As O(chassis).
        type: str
      mtu:
        description: As O(mtu).
        type: int
seealso:
  - module: ovn.kubernetes.ovn_master_init
  - module: ovn.kubernetes.ovn_minion_init
"""

EXAMPLES = r"""
- name: Converge the host's own part on the gateway
  ovn.kubernetes.ovn_gateway:
    part: host
    cluster_ip_subnet: 192.168.0.0/16
    physical_interface: eth1
    physical_ip: 10.33.74.138/24
    node_name: kube-minion2
    default_gw: 10.33.74.253

- name: Share a NIC with the host, whose addresses and next hops are the gateway's too
  ovn.kubernetes.ovn_gateway:
    part: host
    cluster_ip_subnet: 192.168.0.0/16
    bridge_interface: breth0
    node_name: kube-minion3

- name: Converge the rows on a master
  ovn.kubernetes.ovn_gateway:
    part: northbound
    cluster_ip_subnet: 192.168.0.0/16
    physical_interface: eth1
    physical_ip: 10.33.74.138/24
    node_name: kube-minion2
    default_gw: 10.33.74.253
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
      row: Logical_Router GR_kube-minion2
      text: "Logical_Router GR_kube-minion2: insert"
chassis:
  description: The host's system-id.
  returned: when the host's part was converged
  type: str
  sample: 6f1c2a0e-5d0b-4d5e-9a77-2f0f5d3c1b1e
physical_mac:
  description: The MAC of the NIC.
  returned: when the host's part was converged
  type: str
  sample: "0a:58:0a:37:00:0b"
physical_mtu:
  description: The MTU of the NIC.
  returned: when the host's part was converged
  type: int
  sample: 1500
bridge:
  description: The bridge that the NIC is in.
  returned: when the host's part was converged
  type: str
  sample: breth1
physical_ip:
  description: The addresses that the bridge has, one of each family of the cluster.
  returned: when the host's part was converged with O(bridge_interface)
  type: list
  elements: str
  sample: [10.33.74.138/24]
default_gw:
  description: The routers that the bridge's default routes lead to.
  returned: when the host's part was converged with O(bridge_interface)
  type: list
  elements: str
  sample: [10.33.74.253]
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

from ..module_utils._ansible import argument_spec
from ..module_utils._ansible.interpreter import with_libraries
from ..module_utils._ansible.on_host import on_host
from ..module_utils._ansible.overlay import converge_gateways
from ..module_utils._ansible.results import exit_with_result


def main() -> None:
    with_libraries(respawn, "ovs", "pyroute2", "nftables", "jeepney")
    module = AnsibleModule(**argument_spec.OVN_GATEWAY)
    exit_with_result(module, lambda notes: on_host(module, converge_gateways(module, notes)))


if __name__ == "__main__":
    main()
