# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.removal_decision."""

from __future__ import annotations

DOCUMENTATION = r"""
name: removal_decision
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
version_added: 0.1.0
short_description: What a removal can remove
description:
  - Says from the results of the tasks that have looked at the master whether there are rows to remove, why the
    databases can't be read, and why names are refused.
  - The playbook C(ovn.kubernetes.remove) calls it. Its options may change without notice.
positional: results
options:
  _input:
    description: The hosts of the inventory that are to be removed.
    type: list
    elements: str
    required: true
  results:
    description: >-
      C(others) has names that no host of the inventory has, C(everything) is whether the whole overlay is to be
      removed, C(settings) is what P(ovn.kubernetes.removal_settings#filter) returns, and C(master) the host with the
      databases.
      C(facts), C(master_facts), C(central), C(started) and C(overlay) are results of tasks on it; each is empty where
      the task did not run.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Decide
  ansible.builtin.set_fact:
    decision: "{{ hosts | ovn.kubernetes.removal_decision(results) }}"
"""

RETURN = r"""
_value:
  description: >-
    C(names) has the node names to remove, C(problem) is why the databases can't be read, C(rows) whether there are some
    to remove rows from, and C(refusal) why nothing may be removed.
  type: dict
  sample:
    names: [kube-minion1]
    problem: ""
    rows: true
    refusal: ""
"""

import typing as t
from collections.abc import Mapping, Sequence

from ..plugin_utils import _removal


def removal_decision(hosts: Sequence[str], results: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the decision."""
    return _removal.decide(hosts, results)._asdict()


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"removal_decision": removal_decision}
