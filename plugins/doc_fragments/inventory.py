# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the filters have in common that read a whole inventory."""

from __future__ import annotations


class ModuleDocFragment:
    """Their input, and what they are told of this run."""

    DOCUMENTATION = r"""
options:
  _input:
    description: C(hostvars), or a dictionary of host to variables with at least the hosts of the three groups.
    type: dict
    required: true
  groups:
    description: Ansible's C(groups).
    type: dict
    required: true
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
"""

    GATHERED = r"""
options:
  gathered:
    description:
      - Hosts whose facts this run has gathered. Facts of others don't count, since a cache of facts may be long out of
        date.
      - When it is not given, all facts count but what hosts know of their own nodes (M(ovn.kubernetes.ovn_facts)).
    type: list
    elements: str
"""
