#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_verify
short_description: Find what is wrong on a host of the overlay
version_added: 0.1.0
description:
  - Compares a host with what the site play makes of it, in one process, and changes nothing. Packages, programs,
    files, units, tokens, the host's own parts of node and gateway, and on a master the rows of the Northbound database.
  - Then looks whether it works. Services, readiness, the chassis, and answers of other hosts through the overlay.
    What comes by itself after a start gets some seconds for it.
  - Each thing that is wrong is one finding. No finding hides another one, and the module does not fail because of
    them; P(ovn.kubernetes.findings#filter) makes a table of those of all hosts.
  - The playbook C(ovn.kubernetes.verify) calls it. Its options may change without notice.
options:
  phase:
    description:
      - With V(facts) the facts are gathered that settings depend on; with V(overlay) the databases are read, as
        M(ovn.kubernetes.ovn_info) does. With V(host) the host is verified.
      - In each phase a host that can't be reached has a result with C(unreached), and is no failure.
    type: str
    choices: [facts, overlay, host]
    default: host
  settings:
    description: The host's settings, as P(ovn.kubernetes.settings#filter) returns them.
    type: dict
  subnets:
    description: The host's node subnets. Without them it is compared with the settings that it has saved itself.
    type: list
    elements: str
  parts:
    description: What is compared, some of V(node), V(gateway) and V(master).
    type: list
    elements: str
    default: [node]
  packages:
    description: Packages that must be installed.
    type: list
    elements: str
    default: []
  central_ports:
    description: Who may reach the ports of this master's databases, as the option of M(ovn.kubernetes.ovn_host).
    type: dict
    suboptions:
      state:
        description: As in M(ovn.kubernetes.ovn_host).
        type: str
        choices: [present, absent]
        default: present
      masters:
        description: As in M(ovn.kubernetes.ovn_host).
        type: list
        elements: str
        default: []
      withdrawn:
        description: As in M(ovn.kubernetes.ovn_host).
        type: list
        elements: str
        default: []
      complete:
        description: As in M(ovn.kubernetes.ovn_host).
        type: bool
        default: true
  units:
    description: Services, as the option C(services) of M(ovn.kubernetes.ovn_services).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the unit with its suffix.
        type: str
        required: true
      state:
        description: What it must be.
        type: str
        choices: [started, stopped, absent]
        default: started
      unit:
        description: Content of the unit's file below C(/etc/systemd/system).
        type: str
      started_from:
        description: Files that must be older than the running service.
        type: list
        elements: path
      optional:
        description: Whether a unit that does not exist is no fault.
        type: bool
        default: false
      enabled:
        description: Whether V(started) is for each boot too. With V(false) another unit starts the service at a boot.
        type: bool
        default: true
  files:
    description: Files that must be there.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The file.
        type: path
        required: true
      content:
        description: Its content; the host gets its checksum only.
        type: str
      sha256:
        description: SHA-256 of its content.
        type: str
      block:
        description: Lines that it must have.
        type: str
      mode:
        description: Its mode in octal.
        type: str
  peers:
    description: Hosts that must answer through the overlay.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The host.
        type: str
        required: true
      address:
        description: Its address in the overlay.
        type: str
        required: true
  routers:
    description: Gateway routers that must answer through the overlay.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The gateway.
        type: str
        required: true
      address:
        description: The address of its router.
        type: str
        required: true
  overlay:
    description: What the Northbound database must hold, as options of M(ovn.kubernetes.ovn_master_init).
    type: dict
    suboptions:
      cluster_ip_subnet:
        description: The pods' networks.
        type: list
        elements: str
      join_subnet:
        description: The networks between routers.
        type: list
        elements: str
      nodes:
        description: The nodes.
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
            description: The host's system-id.
            type: str
          encap_ip:
            description: The host's address for tunnels.
            type: str
      gateways:
        description: The gateways.
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
            description: The gateway's addresses on the physical network.
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
            description: The MTU of the gateway's NIC.
            type: int
          chassis:
            description: The host's system-id.
            type: str
          mtu:
            description: MTU of the pods' network.
            type: int
      known_nodes:
        description: Names of all nodes of the inventory.
        type: list
        elements: str
        default: []
  accounts_of:
    description: Nodes whose programs must have accounts at the API server.
    type: list
    elements: str
    default: []
  advisories:
    description: >-
      What is known of public advisories, as the collection's file C(advisories.yml) has it; the action plugin reads it.
      Without it none are looked for.
    type: dict
  server:
    description:
      - URL of the API server where the programs' accounts are compared; in the phase V(overlay) the names of its nodes
        are read.
    type: str
  ca:
    description: PEM text of its certificate authority.
    type: str
  token:
    description: Bearer token of an administrator.
    type: str
  certificate:
    description: PEM text of an administrator's client certificate, in place of O(token).
    type: str
  key:
    description: PEM text of its key.
    type: str
  pods_of:
    description: In the phase V(overlay), as the option of M(ovn.kubernetes.ovn_info).
    type: list
    elements: str
    default: []
  northbound:
    description:
      - Where the Northbound database is. By default the members that the site play has noted on the master, or the
        socket C(unix:/var/run/ovn/ovnnb_db.sock).
    type: str
  open_vswitch:
    description: Where this host's Open_vSwitch database is.
    type: str
    default: unix:/var/run/openvswitch/db.sock
extends_documentation_fragment: [ovn.kubernetes.kubernetes.action_group]
attributes:
  check_mode:
    support: full
    description: Changes nothing at all.
  diff_mode:
    support: none
    description: Findings say what differs.
  idempotent:
    support: full
    description: Changes nothing at all.
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
seealso:
  - plugin: ovn.kubernetes.findings
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Verify that a daemon runs
  ovn.kubernetes.ovn_verify:
    units:
      - name: ovn-controller.service
  register: verified
"""

RETURN = r"""
findings:
  description: What is wrong; none when nothing is.
  returned: in the phase host
  type: list
  elements: dict
  sample:
    - subject: ovn-controller.service
      wrong: "ovn-controller.service does not run: inactive (dead)"
      causes: "this host is no chassis of the overlay: its pods can't be reached, and new pods hang"
      mend: site
      severity: error
      node: ""
silent:
  description: Those of O(peers) that did not answer.
  returned: in the phase host
  type: list
  elements: str
  sample: [kube-minion2]
facts:
  description: The system-id, versions and other facts that are compared between hosts.
  returned: in the phase host
  type: dict
  sample: {"chassis": "6f1c2a0e-5d0b-4d5e-9a77-2f0f5d3c1b1e", "physical_mac": "0a:58:0a:37:00:0b", "token_uids": {}}
unreached:
  description: Why the host can't be reached.
  returned: when it can't
  type: str
  sample: "Failed to connect to the host via ssh: connect to host 10.33.74.12 port 22: No route to host"
problem:
  description: Why the host could not be verified.
  returned: when it could not
  type: str
  sample: "the library ovs of Python is missing: install python3-openvswitch"
error_code:
  description: The kind of the error. Conditions should use it, and not the text.
  returned: failure
  type: str
  sample: host
"""

from ..module_utils._ansible.imports import compile_once

compile_once()  # what is imported below

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common import respawn

from ..module_utils._ansible import argument_spec
from ..module_utils._ansible.interpreter import with_libraries
from ..module_utils._ansible.results import exit_with_facts
from ..module_utils._ansible.verify import verify_host


def main() -> None:
    with_libraries(respawn, "ovs", "pyroute2", "nftables")
    module = AnsibleModule(**argument_spec.OVN_VERIFY)

    def run(command: list[str]) -> tuple[int, str, str]:
        code, out, err = module.run_command(command)
        return int(code), str(out), str(err)

    exit_with_facts(module, lambda: verify_host(module.params, run))


if __name__ == "__main__":
    main()
