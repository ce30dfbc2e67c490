# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.accounts_without_token."""

from __future__ import annotations

DOCUMENTATION = r"""
name: accounts_without_token
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
version_added: 0.1.0
short_description: Accounts that need a new token
description:
  - An account needs one when its file has none, or has one of another account, or one of an account that was
    deleted and made again.
  - A token is also replaced when its renewal is overdue by a tenth of its life.
positional: uids
options:
  _input:
    description: For each host C(tokens) of its result of M(ovn.kubernetes.ovn_host).
    type: list
    elements: dict
    required: true
  uids:
    description: Service account to the UID that the API server has for it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Request the tokens that are missing or expired
  ovn.kubernetes.ovn_kubernetes_token:
    server: https://10.0.0.1:6443
    accounts: "{{ [host.tokens] | ovn.kubernetes.accounts_without_token(accounts.accounts) }}"
  no_log: true
"""

RETURN = r"""
_value:
  description: Their names, each once.
  type: list
  elements: str
  sample: [ovn-k8s-watcher]
"""

import typing as t
from collections.abc import Iterable, Mapping

from ..plugin_utils import _programs


def accounts_without_token(states: Iterable[Mapping[str, t.Any]], uids: Mapping[str, str]) -> list[str]:
    """Return the accounts' names."""
    return _programs.accounts_without_token(states, uids)


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"accounts_without_token": accounts_without_token}
