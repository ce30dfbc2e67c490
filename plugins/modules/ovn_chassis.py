#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_chassis
short_description: Delete chassis of hosts that are gone
version_added: 0.1.0
description:
  - Deletes chassis from the Southbound database, with their tunnels. A chassis whose host still runs ovn-controller
    registers again.
  - A host that is stopped in order deletes its own. This is for hosts that died, or that were installed anew. While
    the old chassis has the host's tunnel address, the new one can't register.
options:
  southbound:
    description:
      - Where the Southbound database is. By default the members that the site play has noted on the master, or the
        socket C(unix:/var/run/ovn/ovnsb_db.sock).
    type: str
  system_ids:
    description: The system-ids of the chassis. Those that are not registered are left out.
    type: list
    elements: str
    required: true
  state:
    description: The chassis are deleted. ovn-controller alone makes them.
    type: str
    choices: [absent]
    default: absent
requirements:
  - The Python library C(ovs) on the host (Debian and Ubuntu C(python3-openvswitch)).
attributes:
  check_mode:
    support: full
    description: The plan is made against the database, and not carried out.
  diff_mode:
    support: full
    description: The diff holds the rows that are deleted.
  idempotent:
    support: full
    description: A second call changes nothing.
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
seealso:
  - module: ovn.kubernetes.ovn_info
  - plugin: ovn.kubernetes.left_chassis
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Delete the chassis of a host that died
  ovn.kubernetes.ovn_chassis:
    system_ids: [6f1c2a0e-5d0b-4d5e-9a77-2f0f5d3c1b1e]
"""

RETURN = r"""
plan:
  description: The operations, in order. Empty when nothing differed.
  returned: always
  type: list
  elements: dict
  sample:
    - operation: delete
      table: Chassis
      row: Chassis 6f1c2a0e-5d0b-4d5e-9a77-2f0f5d3c1b1e
      text: "Chassis 6f1c2a0e-5d0b-4d5e-9a77-2f0f5d3c1b1e: delete"
error_code:
  description:
    - The kind of the error, such as C(database_unreachable).
      Conditions should use it, and not the text in C(msg).
  returned: failure
  type: str
  sample: database_unreachable
"""

from collections.abc import Iterator

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common import respawn

from ..module_utils._ansible import argument_spec
from ..module_utils._ansible.interpreter import with_libraries
from ..module_utils._ansible.results import exit_with_result
from ..module_utils._common import names
from ..module_utils._common.result import Result
from ..module_utils._ovsdb import access
from ..module_utils._ovsdb.connection import Connection
from ..module_utils._topology import chassis


def main() -> None:
    with_libraries(respawn, "ovs")
    module = AnsibleModule(**argument_spec.OVN_CHASSIS)
    params = module.params

    def work(_notes: list[str]) -> Iterator[Result]:
        found = access.southbound(params["southbound"])
        connection = Connection(found.remote, names.SOUTHBOUND, tls=found.tls)
        try:
            yield chassis.remove(connection, params["system_ids"], "ovn.kubernetes: ovn_chassis", module.check_mode)
        finally:
            connection.close()

    exit_with_result(module, work)


if __name__ == "__main__":
    main()
