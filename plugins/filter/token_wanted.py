# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.token_wanted."""

from __future__ import annotations

DOCUMENTATION = r"""
name: token_wanted
author:
  - ovn.kubernetes maintainers (@ovn-kubernetes)
version_added: 0.1.0
short_description: Whether an account needs a new token
description:
  - True when the token is none of this account, or of an account that was deleted and made anew, or when its renewal is overdue by a tenth of its life.
positional: account, uid
options:
  _input:
    description: The token that there is; may be empty.
    type: str
    required: true
  account:
    description: Name of the service account in the namespace C(ovn-kubernetes).
    type: str
    required: true
  uid:
    description: The account's UID; empty when it is not there yet.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Say whether the watcher needs a token
  ansible.builtin.debug:
    msg: "{{ '' | ovn.kubernetes.token_wanted('ovn-k8s-watcher') }}"
"""

RETURN = r"""
_value:
  description: Whether it does.
  type: bool
"""

import time

from ..module_utils._common.names import ACCOUNTS_NAMESPACE
from ..module_utils._kube.token import claims


def token_wanted(token: str, account: str, uid: str = "") -> bool:
    """Whether a new one is to be asked for."""
    said = claims(str(token).strip())
    if said is None or (said.namespace, said.account, said.uid) != (ACCOUNTS_NAMESPACE, account, uid):
        return True
    return time.time() > said.due + (said.expires - said.issued) / 10  # its program has had time to renew it


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict:
        """Name to function."""
        return {"token_wanted": token_wanted}
