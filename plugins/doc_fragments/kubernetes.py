# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the modules about the API server have in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Options, attributes and authors."""

    DOCUMENTATION = r"""
options:
  server:
    description: The API server, C(https://host:6443).
    type: str
    required: true
  ca:
    description: >-
      PEM text of the certificate authority that signed the API server's certificate; by default those that the host
      trusts.
    type: str
  token:
    description: An administrator's bearer token.
    type: str
  certificate:
    description: PEM text of an administrator's client certificate, in place of O(token).
    type: str
  key:
    description: PEM text of its key.
    type: str
requirements:
  - The Python library C(aiohttp) on the host (Debian and Ubuntu C(python3-aiohttp)).
notes:
  - P(ovn.kubernetes.api_access#filter) makes these options of the inventory and of a kubeconfig on the controller.
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
"""

    ACTION_GROUP = r"""
options: {}
attributes:
  action_group:
    support: full
    description: >-
      With C(group/ovn.kubernetes.kubernetes) C(module_defaults) sets O(server), O(ca), O(token), O(certificate) and
      O(key) for all of them.
    membership: [ovn.kubernetes.kubernetes]
"""
