# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The work of nics_to_bridge on the host: one phase of a change of NICs. The action plugin calls the phases in their
order."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import HostError, SettingsError
from .._common.result import Result
from .._nic import checkpoint
from .._nic.executor import finish_pending
from .._nic.journal import host_journal
from .._nic.moved import moved_nics
from .._nic.plan import Change
from .._topology.host import Host
from .._topology.in_bridges import nics_in_bridges
from .on_host import require_root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .results import Module


def change_nics(module: Module) -> Iterator[Result]:
    """Carry out one phase of the change, and yield its result."""
    require_root()
    params = module.params
    phase, identity = params.get("_phase"), params.get("_change_id", "")
    present, user = params["state"] == "present", params["used_by"]
    nics = params["nics"] or ([] if present else moved_nics(user))
    if present and not nics:
        raise SettingsError("nics is empty: name at least one NIC")
    checkpoint.check_timeout("rollback_timeout", params["rollback_timeout"])
    facts = {
        "bridges": {nic: names.uplink_bridge(nic) for nic in nics},
        "kept": [nic for nic, users in nics_in_bridges().items() if present or nic not in nics or set(users) - {user}],
        "others": [nic for nic in moved_nics(user) if nic not in nics],
    }
    if phase in ("look", "confirm"):
        outcome = (
            checkpoint.look(identity)
            if phase == "look"
            else checkpoint.confirm_if_proven(identity, params["rollback_timeout"])
        )
        details = {"reason": outcome.reason, "left": outcome.left, "unproven": outcome.unproven}
        yield Result(facts=dict(facts, outcome=outcome.state, **details))
        return
    if not nics and phase == "plan" and not module.check_mode:
        # Who has nothing to give back may be about to remove the programs, which a way back still needs.
        finish_pending(host_journal())
    host = Host(params["open_vswitch"], module.check_mode)

    def plan() -> Change:
        if params.get("_network"):
            return host.plan_network(params["_network"])
        return host.plan_uplinks(nics, present, user, params["datapath_type"]) if nics else Change()

    if phase == "begin" and not module.check_mode:
        change = checkpoint.begin(plan, nics, identity, params["rollback_timeout"], params["open_vswitch"], os.getpid())
    else:
        change = plan()
        if phase is None and change.acts and not module.check_mode:
            raise HostError(
                "nics_to_bridge needs its part on the controller, which connects again and confirms: "
                "run it as ovn.kubernetes.nics_to_bridge"
            )
    yield Result(change.items, [*host.notes, *change.notes], facts)
