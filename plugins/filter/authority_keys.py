# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.authority_keys."""

from __future__ import annotations

DOCUMENTATION = r"""
name: authority_keys
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
version_added: 0.1.0
short_description: The keys of CAs that are given as text
description:
  - For C(community.crypto.x509_certificate_pipe) on the controller, in tasks with C(no_log). Keys in files are left
    out.
positional: groups
options:
  _input:
    description: Ansible's C(hostvars).
    type: dict
    required: true
  groups:
    description: Ansible's C(groups).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Sign a request
  community.crypto.x509_certificate_pipe:
    provider: ownca
    csr_content: "{{ request }}"
    ownca_content: "{{ authority }}"
    ownca_privatekey_content: "{{ (hostvars | ovn.kubernetes.authority_keys(groups))[authority] }}"
  no_log: true
  delegate_to: localhost
"""

RETURN = r"""
_value:
  description: The certificate of each CA to its key, in PEM.
  type: dict
  sample: {}
"""

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils._certificate_plan import authority_keys as read
from ..plugin_utils._errors import InventoryError
from ..plugin_utils._inventory import Inventory


def authority_keys(hostvars: Mapping[str, t.Any], groups: Mapping[str, t.Any]) -> dict[str, str]:
    """Return the keys."""
    try:
        return read(Inventory(hostvars, groups))
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.authority_keys: {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"authority_keys": authority_keys}
