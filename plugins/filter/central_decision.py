# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.central_decision."""

from __future__ import annotations

DOCUMENTATION = r"""
name: central_decision
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
version_added: 0.1.0
short_description: The next steps of the masters' databases
description:
  - Decides, from the facts of all masters, which steps lead from their databases as they are to those that the
    inventory asks for. Only steps that are certain to be right now are returned. Afterwards the facts are gathered
    again, and decided upon again, until there are none.
positional: groups, gathered, limited, finish, recover_from
options:
  limited:
    description: Hosts that the play leaves out, and must not change.
    type: list
    elements: str
    default: []
  finish:
    description: Whether listeners are closed that hosts have left for another protocol, and that nobody uses any more.
    type: bool
    default: false
  recover_from:
    description: >-
      The master from whose last state new clusters are made, where the majority is lost. Only the playbook
      C(ovn.kubernetes.recover) gives it; empty where its user has named none.
    type: str
seealso:
  - module: ovn.kubernetes.ovn_central
  - module: ovn.kubernetes.ovn_facts
extends_documentation_fragment:
  - ovn.kubernetes.inventory
  - ovn.kubernetes.inventory.gathered
"""

EXAMPLES = r"""
- name: Show what a run would do with the databases
  ansible.builtin.debug:
    msg: "{{ (hostvars | ovn.kubernetes.central_decision(groups)).steps | map(attribute='text') }}"
"""

RETURN = r"""
_value:
  description: >-
    C(steps), with the options of M(ovn.kubernetes.ovn_central), C(host) and C(text); C(refusals), why there are none;
    C(bare), masters without database and package; C(former) and C(retired), hosts that were masters, and those of them
    that have no database any more; C(switching), whether
    chassis are on their way from tcp to ssl or back, and C(users), who is connected to their port; C(awaits_masters),
    whether the masters listen for chassis by the protocol of before alone; C(cut_off), hosts whose daemons are not
    connected to the databases, although these have a leader; C(relay), the arguments of each master's relay, empty
    where there are none; C(without_relay), masters whose relay is asked for, and was never brought there.
  type: dict
  sample:
    steps: [{host: ovn-node1, database: northbound, action: join, text: "northbound on ovn-node1: join the cluster"}]
    refusals: []
    bare: []
    former: []
    retired: []
    switching: false
    awaits_masters: false
    users: []
    cut_off: []
    relay: ""
"""

import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils._central import Central, as_facts
from ..plugin_utils._errors import InventoryError
from ..plugin_utils._inventory import Inventory


def central_decision(
    hostvars: Mapping[str, t.Any],
    groups: Mapping[str, t.Any],
    gathered: Iterable[str] | None = None,
    limited: Iterable[str] = (),
    finish: bool = False,
    recover_from: str | None = None,
) -> dict[str, t.Any]:
    """Return the decision."""
    try:
        central = Central(Inventory(hostvars, groups, gathered), limited)
        decision = central.decide(finish) if recover_from is None else central.recovery(recover_from)
        return as_facts(central, decision, finish)
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.central_decision: {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"central_decision": central_decision}
