# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.removal_left."""

from __future__ import annotations

DOCUMENTATION = r"""
name: removal_left
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
version_added: 0.1.0
short_description: What a removal could not remove
description:
  - Lists the hosts that can't be reached, those on which a task failed, and what else is left, with the reason.
  - The playbook C(ovn.kubernetes.remove) calls it. Its options may change without notice.
positional: results
options:
  _input:
    description: The hosts that were to be removed.
    type: list
    elements: str
    required: true
  results:
    description: >-
      C(reads) is host to the result of the first task on it, which ran with C(ignore_unreachable). C(alive) has the
      hosts on which no task has failed, such as C(ansible_play_hosts). C(others) has names of nodes without a host.
      C(everything) is whether the whole overlay was to be removed. C(master) is the host with the databases, C(problem)
      why they can't be changed. C(rows) has the results of the tasks that remove rows, C(accounts) is that of the task
      that deletes accounts, C(access) the master's settings; empty where no account was to go.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Say what is left
  ansible.builtin.fail:
    msg: "{{ left }}"
  vars:
    left: "{{ hosts | ovn.kubernetes.removal_left(results) }}"
  when: left | length > 0
"""

RETURN = r"""
_value:
  description: Lines of text; empty when nothing is left.
  type: str
  sample: |-
    This is left:
    - kube-minion1: it can't be reached; its programs, NICs, rows of Open vSwitch and files are as they were
    Run it again when what is named here can be reached: what is done stays done.
"""

import typing as t
from collections.abc import Mapping, Sequence

from ..plugin_utils import _removal


def removal_left(hosts: Sequence[str], results: Mapping[str, t.Any]) -> str:
    """Return the lines."""
    return _removal.left(hosts, results)


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"removal_left": removal_left}
