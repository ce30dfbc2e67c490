# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lookup ovn.kubernetes.awx_survey."""

from __future__ import annotations

DOCUMENTATION = r"""
name: awx_survey
short_description: The survey of a job template in AWX
version_added: 0.1.0
description:
  - Returns the surveys of AWX's job templates that run the collection's playbooks. They are made from the description
    of the inventory's variables.
  - No answer is required. An empty one counts as not given.
  - Values of single hosts, and secrets, are not asked for.
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
options:
  _terms:
    description: Names of playbooks, V(validate), V(site), V(verify) or V(remove).
    type: list
    elements: str
    required: true
seealso:
  - plugin: ovn.kubernetes.awx_credential_types
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Make a job template
  awx.awx.job_template:
    name: ovn.kubernetes site
    organization: Default
    project: ovn.kubernetes
    inventory: ovn.kubernetes
    playbook: playbooks/site.yml
    survey_enabled: true
    survey_spec: "{{ lookup('ovn.kubernetes.awx_survey', 'site') }}"
"""

RETURN = r"""
_raw:
  description: One survey for each playbook, with C(name), C(description) and C(spec), the questions.
  type: list
  elements: dict
  sample:
    - name: ""
      description: ""
      spec:
        - question_name: ovn_mtu
          question_description: The pods' MTU. Like 1442. Empty, the inventory's value.
          variable: ovn_mtu
          type: text
          required: false
          default: ""
          min: 0
          max: 1024
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..plugin_utils._awx import survey


class LookupModule(LookupBase):
    """Return surveys."""

    def run(
        self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[dict[str, t.Any]]:
        """Return the surveys of the playbooks."""
        try:
            return [survey(str(term)) for term in terms]
        except ValueError as error:
            raise AnsibleLookupError(f"ovn.kubernetes.awx_survey: {error}") from None
