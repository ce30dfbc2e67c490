# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of a node's own part."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of modules that converge a node on its host."""

    DOCUMENTATION = r"""
options:
  southbound:
    description:
      - Where this host's ovn-controller finds the Southbound database, e.g. C(tcp:10.0.0.1:6642).
    type: str
    default: unix:/var/run/ovn/ovnsb_db.sock
  encap_type:
    description:
      - Type of the tunnels between the nodes.
    type: str
    choices: [geneve]
    default: geneve
  encap_ip:
    description:
      - This host's address for tunnels; by default the address of the default route's link.
    type: str
  mtu:
    description:
      - MTU of the pods' network; by default that of the tunnels' link minus the encapsulation, 58 bytes over IPv4
        and 78 over IPv6.
    type: int
  datapath_type:
    description:
      - V(system) is the kernel's datapath, V(netdev) the one in user space; by default V(system) where the kernel
        has it.
    type: str
    choices: [system, netdev]
  monitor_all:
    description:
      - Whether ovn-controller copies all of the Southbound database, which spares the server the choice for each
        chassis (ovn-controller(8), C(ovn-monitor-all)). By default the key is left alone.
    type: bool
  remote_probe:
    description:
      - Milliseconds of silence after which ovn-controller probes its Southbound server, and then for its reply
        (ovn-controller(8), C(ovn-remote-probe-interval)). By default the key is left alone.
    type: int
  move_underlay:
    description:
      - Whether the NIC with O(encap_ip) is moved into a bridge, which V(netdev) requires, and back when it need not
        be there any more.
      - M(ovn.kubernetes.nics_to_bridge) moves it, with O(ovn.kubernetes.nics_to_bridge#module:used_by=node). The
        host undoes the move unless it can still be reached.
    type: bool
    default: true
  former_nodes:
    description:
      - Names of nodes that hosts of this call are known to have been, from P(ovn.kubernetes.former_names#filter).
        Such a host may get a new name together with other subnets or another tunnel address; any other one with the
        system-id of another node is refused then, as a clone.
    type: list
    elements: str
    default: []
  routes:
    description:
      - More networks that the host reaches through the overlay, such as that of the services.
    type: list
    elements: str
    default: []
"""
