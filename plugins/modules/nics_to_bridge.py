#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nics_to_bridge
short_description: Move a NIC into a bridge of its own, or back, without losing the host
version_added: 0.1.0
description:
  - Each NIC gets an Open vSwitch bridge C(br<nic>), e.g. C(breth0), that has the NIC as a port and the NIC's MAC. The
    NIC's addresses, routes, rules of policy routing, neighbours, kernel settings and MTU are the bridge's from then on.
    With O(state=absent) the NIC has back what it had.
  - It works on the NIC that carries Ansible's own connection. The host's systemd carries the change out, apart from the
    connection. The task then connects again and confirms. When it can't within O(rollback_timeout), the host takes
    everything back by itself. So it does when a step fails, when the program that carries them out is killed, and after
    a boot in the middle.
  - An SSH session that another host has begun after the change proves that the host can be reached. Any other
    connection proves nothing, C(local) for example. Then the routers and SSH clients that answered the host before have
    to answer again.
  - What can't be done safely is refused before the first step. Such are a wireless NIC, the loopback, a NIC that is
    part of another bridge, bond or team (a bond or a VLAN interface itself is fine), a port that Open vSwitch made, a
    bridge's name that is taken, an address with a lease that nobody would renew, a NIC with links on top of it, a link
    without Ethernet, and whatever the NIC has that would be lost, such as shaping and rules of nftables that name it.
  - A boot brings the NIC into its bridge again. An address that a program moves between hosts, such as keepalived's, is
    not given to the bridge then. A warning names it.
requirements:
  - On the host systemd, a running Open vSwitch, python3-openvswitch, python3-pyroute2, python3-nftables and
    python3-jeepney.
options:
  nics:
    description:
      - The NICs, e.g. C(eth0). Several are one change, which stays or is rolled back as a whole.
      - With O(state=absent) an empty list stands for all NICs that O(used_by) needs.
    type: list
    elements: str
    required: true
  rollback_timeout:
    description:
      - Seconds after which the host rolls back a change that is not confirmed.
    type: int
    default: 30
  state:
    description:
      - Whether the NICs are to be in their bridges.
    type: str
    choices: [present, absent]
    default: present
  used_by:
    description:
      - Who needs the NICs in their bridges. A NIC goes back with the last that needed it.
      - V(request) is whoever uses this module, V(node) and V(gateway) are what the roles of that name say.
    type: str
    choices: [request, node, gateway]
    default: request
  datapath_type:
    description:
      - V(system) is the kernel's datapath, V(netdev) that of user space; by default what the host uses.
    type: str
    choices: [system, netdev]
  open_vswitch:
    description:
      - Where the host's own Open_vSwitch database is.
    type: str
    default: unix:/var/run/openvswitch/db.sock
attributes:
  check_mode:
    support: full
    description: Shows the plan and changes nothing.
  diff_mode:
    support: full
    description: Shows rows, links, addresses, routes and rules before and after.
  platform:
    support: full
    platforms: linux
    description: The systems on which it works.
  action:
    support: full
    description: Has a part on the controller, which connects anew and confirms.
  async:
    support: none
    description: Can be run with C(async).
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
seealso:
  - module: ovn.kubernetes.ovn_gateway
  - module: ovn.kubernetes.ovn_minion_init
"""

EXAMPLES = r"""
- name: Put the NIC that also carries this connection into breth0
  ovn.kubernetes.nics_to_bridge:
    nics: [eth0]

- name: Give two NICs back, with more time for a slow network
  ovn.kubernetes.nics_to_bridge:
    nics: [eth0, bond0.7]
    rollback_timeout: 60
    state: absent
"""

RETURN = r"""
plan:
  description: The operations, in order. Empty when nothing differed.
  returned: always
  type: list
  elements: dict
  sample:
    - kind: uplink
      operation: move
      from: eth0
      to: breth0
      text: "10.44.0.12/24, 1 route: move from eth0 to breth0"
outcome:
  description: C(confirmed) when the change stays, C(undone) when it was rolled back.
  returned: when something was changed
  type: str
  sample: confirmed
bridges:
  description: NIC to bridge.
  returned: always
  type: dict
  sample: {"eth0": "breth0"}
kept:
  description: The NICs of this host that are in bridges of their own, and stay there.
  returned: always
  type: list
  elements: str
  sample: [eth0]
others:
  description: The NICs that are in their bridges for O(used_by), beside O(nics).
  returned: always
  type: list
  elements: str
  sample: [eth1]
error_code:
  description:
    - The kind of the error, such as C(invalid_settings), C(database_unreachable), C(database_conflict), C(host) or
      C(rollback_failed).
      Conditions should use it, and not the text in C(msg).
  returned: failure
  type: str
  sample: rollback_failed
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common import respawn

from ..module_utils._ansible import argument_spec, controller
from ..module_utils._ansible.interpreter import with_libraries
from ..module_utils._ansible.nics import change_nics
from ..module_utils._ansible.results import exit_with_result


def main() -> None:
    with_libraries(respawn, "ovs", "pyroute2", "nftables", "jeepney")
    module = AnsibleModule(**argument_spec.NICS_TO_BRIDGE)
    module.params.update(controller.said())
    exit_with_result(module, lambda notes: change_nics(module))


if __name__ == "__main__":
    main()
