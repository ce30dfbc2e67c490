# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.central_options."""

from __future__ import annotations

DOCUMENTATION = r"""
name: central_options
version_added: 0.1.0
short_description: Options of ovn-ctl by which the Southbound database listens for an inventory's hosts
description:
  - On all IPv4 addresses, or where the masters' tunnel addresses are IPv6 on all addresses of both families.
positional: groups
seealso:
  - plugin: ovn.kubernetes.settings
    plugin_type: filter
extends_documentation_fragment:
  - ovn.kubernetes.inventory
"""

EXAMPLES = r"""
- name: Show the options
  ansible.builtin.debug:
    msg: "{{ hostvars | ovn.kubernetes.central_options(groups) }}"
"""

RETURN = r"""
_value:
  description: The options, with a space before each; empty where the defaults are right.
  type: str
  sample: " --db-sb-addr=[::]"
"""

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils import _settings
from ..plugin_utils._errors import InventoryError
from ..plugin_utils._inventory import Inventory


def central_options(hostvars: Mapping[str, t.Any], groups: Mapping[str, t.Any]) -> str:
    """Return the options."""
    try:
        return _settings.central_options(Inventory(hostvars, groups))
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.central_options: {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"central_options": central_options}
