#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_facts
short_description: Gather the facts that the overlay's settings depend on
version_added: 0.1.0
description:
  - Gathers facts about network and distribution as M(ansible.builtin.setup) does, and in the same task what the host
    itself knows of its node. Changes nothing.
  - Where the Northbound database was lost, a host keeps the subnet of its pods by these facts. Hosts that were cloned
    from one another are found by them.
requirements:
  - None. Without the Python library C(ovs) on the host the system-id is read from Open vSwitch's file.
attributes:
  check_mode:
    support: full
    description: Changes nothing at all.
  diff_mode:
    support: none
    description: There is nothing that differs.
  idempotent:
    support: full
    description: Changes nothing at all.
  facts:
    support: full
    description: Returns C(ansible_facts).
author:
  - ovn.kubernetes maintainers (@ovn-kubernetes)
seealso:
  - plugin: ovn.kubernetes.settings
    plugin_type: filter
  - plugin: ovn.kubernetes.node_subnets
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Gather the facts that settings depend on
  ovn.kubernetes.ovn_facts:

- name: Show the system-id
  ansible.builtin.debug:
    msg: "{{ ansible_facts.ovn_kubernetes.system_id }}"
"""

RETURN = r"""
ansible_facts:
  description: The facts of C(ansible.builtin.setup) about network and distribution, and those below.
  returned: always
  type: dict
  contains:
    ovn_kubernetes:
      description: What the host itself knows of its node.
      type: dict
      returned: always
      contains:
        system_id:
          description: The system-id of its Open vSwitch; empty where it has none yet.
          type: str
          returned: always
        node:
          description: The node's name, as the host has saved it; empty where it has saved none.
          type: str
          returned: always
        subnets:
          description: The subnets that its pods have, as the host has saved them.
          type: list
          elements: str
          returned: always
        problem:
          description: What is wrong with the saved settings; empty when nothing is.
          type: str
          returned: always
error_code:
  description:
    - The kind of the error, such as C(host).
      Conditions should use it, and not the text in C(msg).
  returned: failure
  type: str
  sample: host
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common import respawn
from ansible.module_utils.facts import ansible_collector, default_collectors
from ansible.module_utils.facts.namespace import PrefixFactNamespace

from ..module_utils._ansible.interpreter import with_libraries
from ..module_utils._ansible.results import exit_with_facts
from ..module_utils._topology.own_facts import read_own_facts

SUBSET = ["!all", "!min", "network", "distribution"]


def main() -> None:
    with_libraries(respawn, "ovs")
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    collector = ansible_collector.get_ansible_collector(
        all_collector_classes=default_collectors.collectors,
        namespace=PrefixFactNamespace(namespace_name="ansible", prefix="ansible_"),
        gather_subset=SUBSET,
    )

    def read() -> dict[str, Any]:
        facts = {**collector.collect(module=module), "ansible_ovn_kubernetes": read_own_facts()}
        return {"ansible_facts": facts}

    exit_with_facts(module, read)


if __name__ == "__main__":
    main()
