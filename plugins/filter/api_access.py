# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.api_access."""

from __future__ import annotations

DOCUMENTATION = r"""
name: api_access
version_added: 0.1.0
short_description: How a play reaches the API server, as options of our modules
description:
  - Reads C(ovn_kubernetes_api), C(ovn_kubernetes_ca), C(ovn_kubernetes_admin_kubeconfig) and C(ovn_kubernetes_token),
    and the files on the controller that they name. Spaces around values are left out, and an empty extra variable
    counts as not given.
  - The credential is that of the administrator's kubeconfig, where there is one, else the token. C(ovn_kubernetes_api)
    and C(ovn_kubernetes_ca) go before server and authority of the kubeconfig.
  - The result is a secret. Credentials that a program gives (C(exec)) can't be used.
positional: groups
seealso:
  - module: ovn.kubernetes.ovn_kubernetes_access
  - module: ovn.kubernetes.ovn_kubernetes_token
extends_documentation_fragment:
  - ovn.kubernetes.inventory
"""

EXAMPLES = r"""
- name: Converge the accounts
  ovn.kubernetes.ovn_kubernetes_access:
    server: "{{ api.server }}"
    ca: "{{ api.ca | default(omit) }}"
    token: "{{ api.token | default(omit) }}"
    certificate: "{{ api.certificate | default(omit) }}"
    key: "{{ api.key | default(omit) }}"
    nodes: [kube-minion1]
  vars:
    api: "{{ hostvars | ovn.kubernetes.api_access(groups) }}"
"""

RETURN = r"""
_value:
  description: >-
    C(server), and what there is of C(ca) (PEM text), C(token), C(certificate) and C(key). Empty without Kubernetes, and
    while a variable is made from facts that were not gathered.
  type: dict
  sample:
    server: https://10.0.0.1:6443
    token: eyJhbGciOi...
"""

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils._errors import FactsMissing, InventoryError
from ..plugin_utils._inventory import Inventory
from ..plugin_utils._kubernetes import api_access as read


def api_access(hostvars: Mapping[str, t.Any], groups: Mapping[str, t.Any]) -> dict[str, str]:
    """Return the options."""
    try:
        return read(Inventory(hostvars, groups))
    except FactsMissing:
        return {}
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.api_access: {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"api_access": api_access}
