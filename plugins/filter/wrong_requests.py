# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.wrong_requests."""

from __future__ import annotations

DOCUMENTATION = r"""
name: wrong_requests
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
version_added: 0.1.0
short_description: Why requests for certificates must not be signed
description:
  - A host makes the requests for its certificates, and what signs them takes over what they say. So they are compared
    with what was ordered before they are signed.
options:
  _input:
    description:
      - The results of C(community.crypto.openssl_csr_pipe) in a loop over what P(ovn.kubernetes.certificates#filter)
        has ordered for a host.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Refuse requests for anything else
  ansible.builtin.fail:
    msg: "{{ requests.results | ovn.kubernetes.wrong_requests | join('\n') }}"
  when: requests.results | ovn.kubernetes.wrong_requests | length > 0
"""

RETURN = r"""
_value:
  description: A sentence for each of them; none where all are as they were ordered.
  type: list
  elements: str
  sample: []
"""

import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils._errors import InventoryError
from ..plugin_utils._x509 import request_problem, require_library

ADVICE = "somebody else may hold the host: nothing is signed for it"


def wrong_requests(results: Iterable[Mapping[str, t.Any]]) -> list[str]:
    """Return what is wrong with requests."""
    try:
        require_library()
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.wrong_requests: {error}") from error
    found = []
    for one in results:
        order = one["item"]
        text = request_problem(str(one.get("csr") or ""), order["name"], order["alternative_names"])
        if text:
            found.append(f"its request for the certificate in {order['path']} {text}: {ADVICE}")
    return found


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"wrong_requests": wrong_requests}
