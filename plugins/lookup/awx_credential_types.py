# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lookup ovn.kubernetes.awx_credential_types."""

from __future__ import annotations

DOCUMENTATION = r"""
name: awx_credential_types
short_description: The credential types of AWX for access to Kubernetes
version_added: 0.1.0
description:
  - Returns one credential type for each secret of the inventory, made from the description of its variables.
  - Each one gives a job a file with the secret, and the file's path in the environment, where the collection looks for
    it. Nothing secret is in an extra variable.
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
seealso:
  - plugin: ovn.kubernetes.awx_survey
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Make the credential types
  awx.awx.credential_type:
    name: "OVN {{ item.name }}"
    description: "{{ item.description }}"
    kind: "{{ item.kind }}"
    inputs: "{{ item.inputs }}"
    injectors: "{{ item.injectors }}"
  loop: "{{ query('ovn.kubernetes.awx_credential_types') }}"
"""

RETURN = r"""
_raw:
  description: >-
    The credential types, each with C(name), C(description), C(kind), C(inputs) and C(injectors) as AWX's API takes
    them.
  type: list
  elements: dict
  sample:
    - name: token
      description: "ovn_kubernetes_token: The watcher's bearer token."
      kind: cloud
      inputs:
        fields:
          - {id: ovn_kubernetes_token, label: The watcher's bearer token, type: string, multiline: true, secret: true}
        required: [ovn_kubernetes_token]
      injectors:
        file: {template: "{{ ovn_kubernetes_token }}"}
        env: {OVN_KUBERNETES_TOKEN_FILE: "{{ tower.filename }}"}
"""

import typing as t

from ansible.plugins.lookup import LookupBase

from ..plugin_utils._awx import credential_types


class LookupModule(LookupBase):
    """Return credential types."""

    def run(
        self, _terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[dict[str, t.Any]]:
        """Return the credential types."""
        return credential_types()
