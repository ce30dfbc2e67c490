# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.kubeconfig."""

from __future__ import annotations

DOCUMENTATION = r"""
name: kubeconfig
author:
  - ovn.kubernetes maintainers (@ovn-kubernetes)
version_added: 0.1.0
short_description: What a kubeconfig on the controller says, as options of our modules
description:
  - Reads server, certificate authority and credential of the current context, from the file itself or from the
    files that it names.
  - The result is a secret. Credentials that a program gives (C(exec)) can't be used.
options:
  _input:
    description: Path of the kubeconfig on the controller.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Converge the accounts
  ovn.kubernetes.ovn_kubernetes_access:
    server: "{{ admin.server }}"
    ca: "{{ admin.ca | default(omit) }}"
    token: "{{ admin.token | default(omit) }}"
    certificate: "{{ admin.certificate | default(omit) }}"
    key: "{{ admin.key | default(omit) }}"
    nodes: [kube-minion1]
  vars:
    admin: "{{ '/etc/kubernetes/admin.conf' | ovn.kubernetes.kubeconfig }}"
"""

RETURN = r"""
_value:
  description: server, and what there is of ca, token, certificate and key.
  type: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ..plugin_utils._kubeconfig import Unusable
from ..plugin_utils._kubeconfig import kubeconfig as read
from ..plugin_utils._templates import text as as_text


def kubeconfig(path: str) -> dict[str, str]:
    """The options."""
    try:
        return read(as_text(path))
    except Unusable as error:
        raise AnsibleFilterError(f"ovn.kubernetes.kubeconfig: {path} {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"kubeconfig": kubeconfig}
