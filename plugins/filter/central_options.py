# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.central_options."""

from __future__ import annotations

DOCUMENTATION = r"""
name: central_options
version_added: 0.1.0
short_description: Options of ovn-ctl by which a master's databases are started
description:
  - The addresses of their members of the clusters, their keys, and where ovn-northd finds the members.
positional: groups, host, gathered, database
options:
  host:
    description: The master.
    type: str
    required: true
  database:
    description: >-
      The database whose server is about to be started as one of a cluster, C(northbound) or C(southbound). Another one
      that is standalone keeps the options of a standalone one.
    type: str
    default: ""
seealso:
  - plugin: ovn.kubernetes.settings
    plugin_type: filter
extends_documentation_fragment:
  - ovn.kubernetes.inventory
  - ovn.kubernetes.inventory.gathered
"""

EXAMPLES = r"""
- name: Show the options
  ansible.builtin.debug:
    msg: "{{ hostvars | ovn.kubernetes.central_options(groups, 'ovn-master') }}"
"""

RETURN = r"""
_value:
  description: The options, with a space before each.
  type: str
  sample: " --db-nb-cluster-local-addr=10.0.0.1 --db-nb-cluster-local-proto=tcp"
"""

import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils._central import Central
from ..plugin_utils._errors import InventoryError
from ..plugin_utils._inventory import Inventory


def central_options(
    hostvars: Mapping[str, t.Any],
    groups: Mapping[str, t.Any],
    host: str,
    gathered: Iterable[str] | None = None,
    database: str = "",
) -> str:
    """Return the options."""
    try:
        return Central(Inventory(hostvars, groups, gathered)).options(host, database)
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.central_options: {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"central_options": central_options}
