# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The NICs of this host that are in bridges: while there is one, the programs have to stay, which restore it after a
boot and give it back."""

from __future__ import annotations

import contextlib
import json

from .._common import names
from .._common.errors import HostError
from .._common.files import read_file
from .._nic.executor import refuse_while_pending
from .._nic.journal import host_journal
from .._nic.moved import gateway_nics, moved_nics, users_of

GIVE_BACK = "ovn-k8s-util bridges-to-nic {bridge}"
REMOVE = "ansible-playbook ovn.kubernetes.remove -e ovn_remove_hosts=HOST"


def nics_in_bridges() -> dict[str, tuple[str, ...]]:
    """Return NIC to those that need it there, keys of :data:`._nic.uplink.USERS`."""
    alone = dict.fromkeys([*gateway_nics(), *_nic_of_gateway()], ("gateway",))
    return {**alone, **{nic: users_of(nic) for nic in moved_nics()}}


def refuse_while_needed() -> None:
    """Check that nobody needs the programs to get this host's network back.

    :raises HostError: a change of NICs is under way, or a NIC is in a bridge.
    """
    refuse_while_pending(host_journal())
    needed = nics_in_bridges()
    if not needed:
        return
    where = ", ".join(f"{nic} is in {names.uplink_bridge(nic)}" for nic in needed)
    commands = [
        GIVE_BACK.format(bridge=names.uplink_bridge(nic)) for nic, users in needed.items() if set(users) <= {"request"}
    ]
    if any(set(users) - {"request"} for users in needed.values()):
        commands.insert(0, REMOVE)
    raise HostError(
        f"{where}, and these programs restore that after a boot and give it back: first run {', then '.join(commands)}"
    )


def _nic_of_gateway() -> list[str]:
    """Return the gateway's own NIC; of one that an earlier version has taken nothing else says so."""
    with contextlib.suppress(AttributeError, TypeError, ValueError):
        file = read_file(names.GATEWAY_SETTINGS)
        nic = json.loads(file.content).get("nic") if file else None
        return [str(nic)] if nic else []
    return []
