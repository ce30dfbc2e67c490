# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lookup ovn.kubernetes.play_problems."""

from __future__ import annotations

DOCUMENTATION = r"""
name: play_problems
short_description: Variables of ours that a play sets, and that hosts do not see
version_added: 0.1.0
description:
  - The settings of a host depend on other hosts. So our variables count as C(hostvars) has them, which are those of the
    inventory and extra variables. C(vars) and C(vars_files) of a play and parameters of a role are not among them.
  - One sentence for each C(ovn_*) variable that has another value in the play than for its host.
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
options:
  _terms:
    description: None.
seealso:
  - plugin: ovn.kubernetes.problems
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Refuse variables that would be left out without a word
  ansible.builtin.assert:
    that: query('ovn.kubernetes.play_problems') | length == 0
    fail_msg: "{{ query('ovn.kubernetes.play_problems') }}"
  run_once: true
"""

RETURN = r"""
_raw:
  description: The sentences; none when all variables are the inventory's.
  type: list
  elements: str
  sample:
    - "ovn_mtu is set by the play (vars, vars_files or parameters of a role), where the other hosts' settings do not see
      it: put it into the inventory, such as group_vars/all.yml, or give it with -e"
"""

import typing as t

from ansible.plugins.lookup import LookupBase

from ..plugin_utils._problems_play import problems


class LookupModule(LookupBase):
    """Return the sentences."""

    def run(self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[str]:
        """Return the sentences."""
        self.set_options(var_options=variables, direct=kwargs)
        return problems(variables or {})
