# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.central_access."""

from __future__ import annotations

DOCUMENTATION = r"""
name: central_access
version_added: 0.1.0
short_description: The file by which a master's programs and modules find the databases of several masters
description:
  - Where there is one master its programs use the databases' sockets, and there is no such file.
  - It has no secret in it, only the paths of the master's key and certificates.
positional: groups
seealso:
  - plugin: ovn.kubernetes.settings
    plugin_type: filter
extends_documentation_fragment:
  - ovn.kubernetes.inventory
"""

EXAMPLES = r"""
- name: Show the file
  ansible.builtin.debug:
    msg: "{{ hostvars | ovn.kubernetes.central_access(groups) }}"
"""

RETURN = r"""
_value:
  description: The file as an entry of O(ovn.kubernetes.ovn_host#module:files).
  type: dict
  sample:
    path: /etc/ovn-kubernetes/central.json
    content: '{"northbound": "tcp:10.44.0.11:6641,tcp:10.44.0.12:6641"}'
    mode: "0600"
"""

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils._errors import InventoryError
from ..plugin_utils._inventory import Inventory
from ..plugin_utils._settings import central_access as file_of


def central_access(hostvars: Mapping[str, t.Any], groups: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the file."""
    try:
        return file_of(Inventory(hostvars, groups))
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.central_access: {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"central_access": central_access}
