# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with a play: variables of ours that the play alone has. Private to the collection.

The settings of a host depend on other hosts, whose variables ``hostvars`` has: those of the inventory, extra variables
and facts. A play's or a role's own variables are not among them, and would be left out without a word.
"""

from __future__ import annotations

from ._extra import extra_names
from ._templates import Variables, as_written
from ._variables import PLAY, VARIABLES


def problems(variables: Variables) -> list[str]:
    """Return one sentence for each variable.

    :param variables: those of the task, with the templates as they are written.
    """
    hostvars = variables["hostvars"]
    seen, extra = as_written(hostvars[variables["inventory_hostname"]]), extra_names(hostvars) or ()
    return [
        f"{name} is set by the play (vars, vars_files or parameters of a role), where the other hosts' settings do not "
        "see it: put it into the inventory, such as group_vars/all.yml, or give it with -e"
        for name, variable in VARIABLES.items()
        if name in variables and variable.scope != PLAY and name not in extra and not _is_same(name, variables, seen)
    ]


def _is_same(name: str, variables: Variables, seen: Variables) -> bool:
    """Return whether a variable of the task is the inventory's."""
    if name not in seen:
        return False
    try:
        return variables[name] is seen[name] or bool(variables[name] == seen[name])
    except Exception:  # encrypted values that can't be opened: another check says so
        return True
