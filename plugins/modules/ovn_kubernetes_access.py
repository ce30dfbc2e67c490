#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_kubernetes_access
short_description: Converge the Kubernetes accounts of the overlay's programs
version_added: 0.1.0
description:
  - Service accounts, roles and bindings in the namespace C(ovn-kubernetes). The watcher has an account, and so has each
    node's server.
  - The watcher may read nodes, pods, services and endpoint slices, write the status of pods and events.
  - A node's server may act as its node (C(system:node:NAME)) and do nothing else, so that the API server's Node
    authorizer shows it that node's pods only.
  - Each account may ask for its own next token.
  - Accounts of nodes that are neither in O(nodes) nor in O(absent_nodes) stay as they are - a part of an inventory
    deletes nothing of the rest. Objects without the label C(app.kubernetes.io/managed-by=ovn.kubernetes) are never
    deleted.
  - A namespace C(ovn-kubernetes) without the label is used as it is, and stays. Any other object that has one of our
    names and lacks the label is an error.
extends_documentation_fragment: [ovn.kubernetes.kubernetes, ovn.kubernetes.kubernetes.action_group]
options:
  nodes:
    description: Kubernetes' names of nodes that run a node's server.
    type: list
    elements: str
  absent_nodes:
    description:
      - Kubernetes' names of nodes whose accounts are deleted, with their roles and bindings. Their tokens are not
        accepted any more then.
      - Without O(nodes) all other accounts stay as they are, that of the watcher too.
    type: list
    elements: str
    default: []
  state:
    description: With V(absent) all of it is deleted.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    support: full
    description: The plan is made against the API server as it is, and not carried out.
  diff_mode:
    support: full
    description: The diff holds the objects that are made, changed and deleted.
"""

EXAMPLES = r"""
- name: Converge the accounts
  ovn.kubernetes.ovn_kubernetes_access:
    server: https://10.0.0.1:6443
    ca: "{{ lookup('ansible.builtin.file', '/etc/kubernetes/pki/ca.crt') }}"
    token: "{{ vault_admin_token }}"
    nodes: [kube-minion1, kube-minion2]

- name: Delete the account of a node that was removed
  ovn.kubernetes.ovn_kubernetes_access:
    server: https://10.0.0.1:6443
    token: "{{ vault_admin_token }}"
    absent_nodes: [kube-minion3]
"""

RETURN = r"""
plan:
  description: What was, or would be, done, in order.
  returned: always
  type: list
  elements: dict
  sample:
    - op: insert
      collection: /api/v1/namespaces
      name: ovn-kubernetes
      text: make Namespace ovn-kubernetes
accounts:
  description: Each service account's name to its UID, of those that are there.
  returned: always
  type: dict
  sample: {"ovn-k8s-watcher": "1b4e28ba-2fa1-11d2-883f-0016d3cca427"}
error_code:
  description:
    - The kind of the error, such as C(kubernetes_unreachable) or C(kubernetes_refused).
      Conditions should use it, and not the text in C(msg).
  returned: failure
  type: str
  sample: kubernetes_refused
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common import respawn

from ..module_utils._ansible import argument_spec
from ..module_utils._ansible.interpreter import with_libraries
from ..module_utils._ansible.kubernetes import converge_accounts
from ..module_utils._ansible.results import exit_with_result


def main() -> None:
    with_libraries(respawn, "aiohttp")
    module = AnsibleModule(**argument_spec.OVN_KUBERNETES_ACCESS)
    exit_with_result(module, lambda notes: converge_accounts(module))


if __name__ == "__main__":
    main()
