#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_info
short_description: Read what the OVN overlay consists of
version_added: 0.1.0
description:
  - Reads nodes, their subnets, gateways and chassis from OVN's databases on a master. Changes nothing.
options:
  northbound:
    description:
      - Where the Northbound database is. By default the members that the site play has noted on the master, or the
        socket C(unix:/var/run/ovn/ovnnb_db.sock).
    type: str
  southbound:
    description: Where the Southbound database is. By default as for O(northbound).
    type: str
  timeout:
    description: Seconds to wait for a connection, and for each answer of a database.
    type: int
    default: 10
  database_file:
    description:
      - File of the Northbound database. While it does not exist, OVN has never run here, and the overlay is empty. When
        it exists, a server that does not answer is an error, since an overlay that exists must not count as empty.
    type: path
    default: /var/lib/ovn/ovnnb_db.db
  server:
    description:
      - URL of Kubernetes' API server, which is asked for the names of its nodes. When it does not answer, a warning
        says so.
    type: str
  ca:
    description: PEM text of its certificate authority.
    type: str
  token:
    description: A bearer token.
    type: str
  certificate:
    description: PEM text of a client certificate, in place of O(token).
    type: str
  key:
    description: PEM text of its key.
    type: str
  pods_of:
    description:
      - Nodes whose hosts don't know what subnet they have. Of those that the databases don't know either, the subnets
        are taken from the annotations of their pods.
    type: list
    elements: str
    default: []
requirements:
  - The Python library C(ovs) on the host (Debian and Ubuntu C(python3-openvswitch)).
attributes:
  action_group:
    support: full
    description: >-
      With C(group/ovn.kubernetes.ovn) C(module_defaults) sets O(northbound) and O(timeout) for all of them, with
      C(group/ovn.kubernetes.kubernetes) O(server), O(ca), O(token), O(certificate) and O(key).
    membership: [ovn.kubernetes.ovn, ovn.kubernetes.kubernetes]
  check_mode:
    support: full
    description: Changes nothing at all.
  diff_mode:
    support: none
    description: There is nothing that differs.
  idempotent:
    support: full
    description: Changes nothing at all.
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
seealso:
  - module: ovn.kubernetes.ovn_master_init
"""

EXAMPLES = r"""
- name: Read the overlay on a master
  ovn.kubernetes.ovn_info:
  register: overlay
"""

RETURN = r"""
nodes:
  description:
    - Node name to its subnets, chassis and tunnel addresses, and by subnet how many pods have addresses there, with
      some of them.
      Pods that a drain of the node leaves there are not among them.
  returned: always
  type: dict
  sample:
    kube-minion1:
      subnets: ["192.168.2.0/24"]
      chassis: kube-minion1
      encap_ips: ["10.0.0.2"]
      pods:
        192.168.2.0/24: {count: 1, some: [demo/web]}
gateways:
  description:
    - Node name of each gateway to its addresses on the physical network and on the join switch, its MAC on the
      physical network and its NIC's MTU, its chassis, whether it carries default traffic, and how many slots of the
      pods' addresses it has, of 256 for each IP version that it carries.
  returned: always
  type: dict
  sample:
    kube-minion1:
      physical_ips: ["10.33.74.138/24"]
      join_ips: ["100.64.0.2"]
      mac: "0a:58:0a:37:00:0b"
      mtu: 1500
      chassis: kube-minion1
      alive: true
      slots: {IPv4: 128}
chassis:
  description: System-id of each chassis that has registered, to its host name and its tunnel addresses.
  returned: always
  type: dict
  sample: {"kube-minion1": {"hostname": "kube-minion1", "encap_ips": ["10.0.0.2"]}}
leftover_subnets:
  description: Node name of each node whose switch is gone to the subnets of its port of the cluster router.
  returned: always
  type: dict
  sample: {}
pods_marked:
  description: Whether ports say which pods a drain leaves. A watcher from before that did not write it.
  returned: always
  type: bool
  sample: true
pod_subnets:
  description: Node name to the subnets that its pods' annotations name, of nodes in O(pods_of).
  returned: always
  type: dict
  sample: {}
kubernetes_nodes:
  description: The names of Kubernetes' nodes. None when O(server) was not given, or nobody answered.
  returned: always
  type: list
  elements: str
  sample: [kube-master, kube-minion1]
error_code:
  description:
    - The kind of the error, such as C(database_unreachable) or C(database).
      Conditions should use it, and not the text in C(msg).
  returned: failure
  type: str
  sample: database_unreachable
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common import respawn

from ..module_utils._ansible import argument_spec
from ..module_utils._ansible.interpreter import with_libraries
from ..module_utils._ansible.kubernetes import read_nodes
from ..module_utils._ansible.results import exit_with_facts
from ..module_utils._topology.report import read_overlay


def main() -> None:
    with_libraries(respawn, "ovs", "aiohttp")
    module = AnsibleModule(**argument_spec.OVN_INFO)
    databases = {name: module.params[name] for name in ("northbound", "southbound", "database_file", "timeout")}

    def read() -> dict[str, Any]:
        overlay = read_overlay(**databases)
        return {**overlay, **read_nodes(module, [*overlay["nodes"], *overlay["leftover_subnets"]])}

    exit_with_facts(module, read)


if __name__ == "__main__":
    main()
