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
  - Bound tokens (TokenRequest) of service accounts that M(ovn.kubernetes.ovn_kubernetes_access) has made. They hold for a week, and the programs that
    have them renew them.
  - P(ovn.kubernetes.accounts_without_token#filter) says which accounts need a token; each call makes new ones. Give the task C(no_log).
extends_documentation_fragment: [ovn.kubernetes.kubernetes]
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
"""

import asyncio

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._common.errors import KubernetesError
from ..module_utils._common.names import ACCOUNTS_NAMESPACE
from ..module_utils._kube.administrator import OPTIONS, TOGETHER, administrator
from ..module_utils._kube.token import LIFE


def main():
    module = AnsibleModule(
        argument_spec={**OPTIONS, "accounts": {"type": "list", "elements": "str", "required": True}},
        required_together=TOGETHER,
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=bool(module.params["accounts"]), tokens={})
    try:
        module.exit_json(changed=bool(module.params["accounts"]), tokens=asyncio.run(_issue(module.params)))
    except KubernetesError as exc:
        module.fail_json(msg=str(exc))


async def _issue(params):
    async with administrator(params) as client:
        asked = [client.token(ACCOUNTS_NAMESPACE, account, LIFE) for account in params["accounts"]]
        return {account: token for account, (token, _expires) in zip(params["accounts"], await asyncio.gather(*asked))}


if __name__ == "__main__":
    main()
