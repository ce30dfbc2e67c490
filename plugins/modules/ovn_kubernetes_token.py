#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_kubernetes_token
short_description: Ask for tokens of the overlay's Kubernetes accounts
version_added: 0.1.0
description:
  - Bound tokens (TokenRequest) of service accounts that M(ovn.kubernetes.ovn_kubernetes_access) has made. They are
    valid for a week, and the programs that have them renew them.
  - P(ovn.kubernetes.accounts_without_token#filter) returns the accounts that need a token; each call issues new ones.
    Give the task C(no_log).
extends_documentation_fragment: [ovn.kubernetes.kubernetes, ovn.kubernetes.kubernetes.action_group]
options:
  accounts:
    description: Names of the accounts.
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    support: full
    description: Nothing is asked for, and nothing is returned.
  diff_mode:
    support: none
    description: Tokens are secrets.
"""

EXAMPLES = r"""
- name: Ask for the watcher's token
  ovn.kubernetes.ovn_kubernetes_token:
    server: https://10.0.0.1:6443
    token: "{{ vault_admin_token }}"
    accounts: [ovn-k8s-watcher]
  register: issued
  no_log: true
"""

RETURN = r"""
tokens:
  description: Account to token.
  returned: success
  type: dict
  sample: {"ovn-k8s-watcher": "eyJhbGciOi..."}
error_code:
  description:
    - The kind of the error, such as C(kubernetes_unreachable) or C(kubernetes_refused).
      Conditions should use it, and not the text in C(msg).
  returned: failure
  type: str
  sample: kubernetes_unreachable
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common import respawn

from ..module_utils._ansible import argument_spec
from ..module_utils._ansible.interpreter import with_libraries
from ..module_utils._ansible.kubernetes import issue_tokens
from ..module_utils._ansible.results import exit_with_facts


def main() -> None:
    with_libraries(respawn, "aiohttp")
    module = AnsibleModule(**argument_spec.OVN_KUBERNETES_TOKEN)
    exit_with_facts(module, lambda: issue_tokens(module), changed=bool(module.params["accounts"]))


if __name__ == "__main__":
    main()
