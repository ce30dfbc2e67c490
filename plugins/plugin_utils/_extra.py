# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Extra variables (``-e``, AWX's surveys). Private to the collection.

A question of a survey that is not answered gives an empty text, which hides the inventory's value. Nobody can leave it
out there, so an empty extra variable of ours counts as one that is not given.
"""

from __future__ import annotations

import copy
import typing as t
from collections.abc import Mapping

from ._values import is_empty
from ._variables import PREFIX

Hostvars = Mapping[str, t.Any]


def extra_names(hostvars: Hostvars) -> frozenset[str] | None:
    """Return the names of the extra variables; None when ``hostvars`` is not Ansible's own, and nobody knows them."""
    manager = getattr(hostvars, "_variable_manager", None)
    return None if manager is None else frozenset(map(str, manager.extra_vars))


def without_empty_extras(hostvars: Hostvars) -> Hostvars:
    """Return the hosts' variables as they are without the empty extra variables of ours."""
    manager: t.Any = getattr(hostvars, "_variable_manager", None)
    extra = {} if manager is None else manager.extra_vars
    given = {name: value for name, value in extra.items() if not (str(name).startswith(PREFIX) and is_empty(value))}
    if len(given) == len(extra):
        return hostvars
    # Views of the same inventory: nothing of Ansible's own is changed.
    view: t.Any = copy.copy(hostvars)
    view._variable_manager = view_manager = copy.copy(manager)
    view_manager._extra_vars = given
    view_manager._loader = view._loader
    view_manager._hostvars = view
    return t.cast(Hostvars, view)
