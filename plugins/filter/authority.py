# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.authority."""

from __future__ import annotations

DOCUMENTATION = r"""
name: authority
author:
  - ovn.kubernetes maintainers (@ovn-kubernetes)
version_added: 0.1.0
short_description: PEM text of a certificate authority
description:
  - The text itself, or that of the file on the controller, as C(ovn_kubernetes_ca) may be either.
options:
  _input:
    description: PEM text, or a path on the controller.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Lay down the certificate authority
  ansible.builtin.copy:
    content: "{{ ovn_kubernetes_ca | ovn.kubernetes.authority }}"
    dest: /etc/ovn-kubernetes/kubernetes-ca.crt
    mode: "0644"
"""

RETURN = r"""
_value:
  description: PEM text.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ..plugin_utils._kubeconfig import Unusable
from ..plugin_utils._kubeconfig import authority as read
from ..plugin_utils._templates import text as as_text


def authority(text: str) -> str:
    """The text."""
    try:
        return read(as_text(text))
    except Unusable as error:
        raise AnsibleFilterError(f"ovn.kubernetes.authority: ovn_kubernetes_ca {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"authority": authority}
