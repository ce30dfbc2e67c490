# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.removal_left."""

from __future__ import annotations

DOCUMENTATION = r"""
name: removal_left
author:
  - ovn.kubernetes maintainers (@ovn-kubernetes)
version_added: 0.1.0
short_description: What a removal could not remove
description:
  - Lists the hosts that can't be reached, those on which a task failed, and what else is left, with the reason.
positional: reads, alive, more
options:
  _input:
    description: The hosts that were to be removed.
    type: list
    elements: str
    required: true
  reads:
    description: Host to the result of the first task on it, which ran with C(ignore_unreachable).
    type: dict
    required: true
  alive:
    description: Hosts on which no task has failed, such as C(ansible_play_hosts).
    type: list
    elements: str
    required: true
  more:
    description: What else may be left, to the reason; an empty reason means that it is not.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Say what is left
  ansible.builtin.fail:
    msg: "{{ left }}"
  vars:
    left: "{{ hosts | ovn.kubernetes.removal_left(reads, ansible_play_hosts) }}"
  when: left | length > 0
"""

RETURN = r"""
_value:
  description: Lines of text; empty when nothing is left.
  type: str
"""

import typing as t
from collections.abc import Mapping, Sequence

from ..plugin_utils import _removal


def removal_left(
    hosts: Sequence[str], reads: Mapping[str, t.Any], alive: Sequence[str], more: Mapping[str, str] | None = None
) -> str:
    """Return the lines."""
    return _removal.left(hosts, reads, alive, more or {})


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"removal_left": removal_left}
