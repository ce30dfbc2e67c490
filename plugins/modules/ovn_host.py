#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_host
short_description: Converge all that a role makes of a host
version_added: 0.1.0
description:
  - Compares files, packages, services, the host's own parts of node and gateway, tokens and programs with what they
    should be, in one process, and mends what differs, in this order.
  - Packages, the archive of the programs, and tokens come from the controller. Where they are missing the call ends
    before what needs them, and RV(waits) is true. The role brings them, and calls again. NICs that must be moved are
    moved within the task, as M(ovn.kubernetes.nics_to_bridge) does.
  - The roles call it. Its options may change without notice.
options:
  files:
    description: Files, in the order in which they are written.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The file. Alone, or with O(files[].mode), its content stays as it is.
        type: path
        required: true
      content:
        description: Its text.
        type: str
      block:
        description: Lines of it, between two marker lines.
        type: str
      source:
        description: A file of the host that it is a copy of, where there is none yet.
        type: path
      sha256:
        description: The SHA-256 of its content, which comes from the controller.
        type: str
      mode:
        description: Its permission bits, octal. The owner is root then.
        type: str
      absent:
        description: Whether it is removed.
        type: bool
        default: false
      folder:
        description: It is a folder, which is made with these permission bits where it is not there.
        type: bool
        default: false
  certificates:
    description: Certificates that were just issued for keys of this host, which never leave it.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The file that gets key and certificate, by one rename, after it is sure that they fit.
        type: path
        required: true
      key:
        description: The file with the new key. It is removed then.
        type: path
        required: true
      certificate:
        description: The certificate, PEM text.
        type: str
        required: true
  packages:
    description: Packages that must be installed.
    type: list
    elements: str
    default: []
  central_ports:
    description:
      - Who may reach the ports of OVN's databases on this master, as a table of nftables. The units of the databases
        load it before they start.
    type: dict
    suboptions:
      state:
        description: Whether there is to be such a table.
        type: str
        choices: [present, absent]
        default: present
      masters:
        description: Addresses from which masters connect.
        type: list
        elements: str
        default: []
      withdrawn:
        description: Addresses that are shut out of every port of OVN.
        type: list
        elements: str
        default: []
      complete:
        description: Whether all masters' addresses are known. If not, those that the table lets in stay in it.
        type: bool
        default: true
  services:
    description: Services that the host's own parts need, in their order.
    type: list
    elements: dict
    default: []
    suboptions: &units
      name:
        description: As in M(ovn.kubernetes.ovn_services).
        type: str
        required: true
      state:
        description: As in M(ovn.kubernetes.ovn_services).
        type: str
        choices: [started, stopped, absent]
        default: started
      unit:
        description: As in M(ovn.kubernetes.ovn_services).
        type: str
      started_from:
        description: As in M(ovn.kubernetes.ovn_services).
        type: list
        elements: path
      optional:
        description: As in M(ovn.kubernetes.ovn_services).
        type: bool
        default: false
      enabled:
        description: As in M(ovn.kubernetes.ovn_services).
        type: bool
        default: true
  node:
    description: The host's own part of its node, with options of M(ovn.kubernetes.ovn_minion_init).
    type: dict
    suboptions:
      node_name:
        description: As in M(ovn.kubernetes.ovn_minion_init).
        type: str
        required: true
      cluster_ip_subnet:
        description: As in M(ovn.kubernetes.ovn_minion_init).
        type: list
        elements: str
      minion_switch_subnet:
        description: As in M(ovn.kubernetes.ovn_minion_init).
        type: list
        elements: str
      southbound:
        description: As in M(ovn.kubernetes.ovn_minion_init).
        type: str
        default: unix:/var/run/ovn/ovnsb_db.sock
      encap_type:
        description: As in M(ovn.kubernetes.ovn_minion_init).
        type: str
        choices: [geneve]
        default: geneve
      encap_ip:
        description: As in M(ovn.kubernetes.ovn_minion_init).
        type: str
      mtu:
        description: As in M(ovn.kubernetes.ovn_minion_init).
        type: int
      datapath_type:
        description: As in M(ovn.kubernetes.ovn_minion_init).
        type: str
        choices: [system, netdev]
      routes:
        description: As in M(ovn.kubernetes.ovn_minion_init).
        type: list
        elements: str
        default: []
      monitor_all:
        description: As in M(ovn.kubernetes.ovn_minion_init).
        type: bool
      remote_probe:
        description: As in M(ovn.kubernetes.ovn_minion_init).
        type: int
      former_nodes:
        description: As in M(ovn.kubernetes.ovn_minion_init).
        type: list
        elements: str
        default: []
  gateway:
    description: The host's own part of its gateway, with options of M(ovn.kubernetes.ovn_gateway).
    type: dict
    suboptions:
      node_name:
        description: As in M(ovn.kubernetes.ovn_gateway).
        type: str
        required: true
      cluster_ip_subnet:
        description: As in M(ovn.kubernetes.ovn_gateway).
        type: list
        elements: str
      physical_interface:
        description: As in M(ovn.kubernetes.ovn_gateway).
        type: str
      bridge_interface:
        description: As in M(ovn.kubernetes.ovn_gateway).
        type: str
      shared_interface:
        description: The NIC that must be in the bridge before.
        type: str
      physical_ip:
        description: As in M(ovn.kubernetes.ovn_gateway).
        type: list
        elements: str
      default_gw:
        description: As in M(ovn.kubernetes.ovn_gateway).
        type: list
        elements: str
      datapath_type:
        description: As in M(ovn.kubernetes.nics_to_bridge).
        type: str
        choices: [system, netdev]
  openvswitch_settings:
    description:
      - Users' own settings of Open vSwitch, all of them. Those that differ are returned for openvswitch_db of
        openvswitch.openvswitch, also those that were in the list once and are not any more.
    type: list
    elements: dict
    suboptions:
      table:
        description: A table of Open vSwitch's database.
        type: str
        required: true
      record:
        description: The name of a record of it, V(.) for that of Open_vSwitch.
        type: str
        required: true
      column:
        description: A column of it that is a map.
        type: str
        required: true
      key:
        description: A key of the map.
        type: str
        required: true
      value:
        description: Its value.
        type: str
        required: true
  token_files:
    description: Where the host's programs have their tokens. The files are root's alone.
    type: list
    elements: dict
    default: []
    suboptions:
      account:
        description: The service account.
        type: str
        required: true
      path:
        description: The file.
        type: path
        required: true
      issued:
        description: Whether the play has tokens issued. A token that can't be used is waited for then.
        type: bool
        default: true
  tokens:
    description: New tokens, by their accounts.
    type: dict
    default: {}
  programs:
    description: Services that read the files, the host's own parts and the tokens, in their order.
    type: list
    elements: dict
    default: []
    suboptions: *units
  open_vswitch:
    description: The host's own Open_vSwitch database.
    type: str
    default: unix:/var/run/openvswitch/db.sock
requirements:
  - On the host, for the parts of node and gateway, the Python libraries C(ovs), C(pyroute2) and C(nftables), and
    C(jeepney) where a network manager has to be told about a NIC.
attributes:
  check_mode:
    support: full
    description: The plan is made against the host as it is, and not carried out.
  diff_mode:
    support: full
    description: The diff holds the rows, links, addresses, routes, files and units that differ; no token.
  idempotent:
    support: full
    description: A second call changes nothing.
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
seealso:
  - module: ovn.kubernetes.ovn_services
  - module: ovn.kubernetes.ovn_minion_init
  - module: ovn.kubernetes.ovn_gateway
"""

EXAMPLES = r"""
- name: Run a program as its files are now
  ovn.kubernetes.ovn_host:
    files:
      - path: /etc/ovn-kubernetes/kubernetes-ca.crt
        content: "{{ lookup('ansible.builtin.file', 'ca.crt') }}"
        mode: "0644"
    programs:
      - name: ovn-k8s-egress.service
        started_from: [/usr/local/lib/ovn_kubernetes.pyz]
"""

RETURN = r"""
plan:
  description: What was, or would be, done, in order.
  returned: always
  type: list
  elements: dict
  sample:
    - kind: unit
      unit: ovn-k8s-node.service
      operation: start
      text: "ovn-k8s-node.service: start"
missing:
  description: Packages that are not installed, and paths of files that the controller must bring.
  returned: success
  type: list
  elements: str
  sample: [ovn-host, /usr/local/lib/ovn_kubernetes.pyz]
moves:
  description: >-
    NICs that must still be moved, as options of M(ovn.kubernetes.nics_to_bridge). They are moved within the task, so
    that it is empty but in check mode, and after a failure.
  returned: success
  type: list
  elements: dict
  sample: []
waits:
  description: Whether something was left out until the controller has brought what is missing.
  returned: success
  type: bool
  sample: false
tokens:
  description: For each account of a token file why its token can't be used, and the UID in it. No token.
  returned: success
  type: dict
  sample: {"ovn-k8s-watcher": {"problem": "", "uid": "8b1b"}}
found:
  description: Names of those units that existed before.
  returned: success
  type: list
  elements: str
  sample: [ovn-k8s-node.service]
openvswitch_settings:
  description: >-
    Users' own settings of Open vSwitch that differ, as options of openvswitch_db of openvswitch.openvswitch, which sets
    them or takes them back.
  returned: success
  type: list
  elements: dict
  sample:
    - {table: Open_vSwitch, record: ".", col: other_config, key: hw-offload, value: "true", state: present}
others:
  description: NICs that the gateway shared before.
  returned: when O(gateway) is given
  type: list
  elements: str
  sample: []
error_code:
  description: Name of the kind of error, for tasks that decide by it.
  returned: failure
  type: str
  sample: host
"""

from ..module_utils._ansible.imports import compile_once

compile_once()  # what is imported below

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common import respawn

from ..module_utils._ansible import argument_spec, controller
from ..module_utils._ansible.host import converge_host
from ..module_utils._ansible.interpreter import with_libraries
from ..module_utils._ansible.on_host import on_host
from ..module_utils._ansible.results import exit_with_result


def main() -> None:
    with_libraries(respawn, "ovs", "pyroute2", "nftables", "jeepney")
    module = AnsibleModule(**argument_spec.OVN_HOST)
    module.params.update(controller.said())
    exit_with_result(module, lambda notes: on_host(module, converge_host(module, module.run_command, notes)))


if __name__ == "__main__":
    main()
