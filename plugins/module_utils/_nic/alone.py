# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A NIC that only the gateway uses: the host gives it up, and has it back when the gateway is removed.

Its network manager is told as for a NIC that moves with its addresses, or its DHCP client would go on and put the
address back. Only configuration is remembered: leases are asked for anew, since the address may be another host's by
then.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import HostError
from .._common.files import read_file
from .._host import facts
from .._host.desired import HostState, SavedNic
from .._host.steps.moves import MoveStep
from . import current, inventory
from .current import CurrentNic
from .lasting import lasting, named_addresses
from .managers import registry
from .managers.resolved import read_resolver
from .moved import MovedNic, files_of_others, gateway_nic, gateway_nic_file
from .persistence import persistence
from .saved import as_text, from_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._ovsdb.converge import Database


def refuse(connection: Database, nic: str, datapath: str, in_own_bridge: bool) -> None:
    """Check that a NIC can be in a bridge of its own, as one can that host and pods share.

    :raises HostError: it can't.
    """
    current.refuse_bridge(connection, nic, datapath, in_own_bridge)


def learn(nic: str, datapath: str, row: str | None = None, in_own_bridge: bool = False) -> MovedNic:
    """Return what is to be kept of a NIC that becomes the gateway's alone.

    :param row: what an earlier version has kept of it in its bridge's row.
    :param in_own_bridge: an earlier version has put it there. Then nothing is lost any more, and what Open vSwitch has
        set up at its port, such as a queueing discipline for offloads, is not the host's.
    :raises HostError: it can't become that, or its network manager would go on with it.
    """
    if not in_own_bridge:
        inventory.refuse_lost(nic, datapath, alone=True)
    configuration = registry.detect(nic)
    manager = registry.manager(configuration.manager) if configuration.manager else None
    if manager:
        configuration = manager.query(configuration)
    if manager is None and not in_own_bridge and read_resolver(nic) is not None:
        raise HostError(
            f"name servers are set for {nic} at run time, which nobody could reach any more: resolvectl revert {nic}"
        )
    files = persistence(configuration, names.uplink_bridge(nic), alone=True)
    current.refuse_shared_files({**files_of_others([nic]), nic: files.files}, {nic})
    saved = from_text(nic, row) or facts.saved_nic(nic, datapath == "netdev")
    saved = only_configuration(saved, configuration.addresses)
    move = MoveStep(None, nic, given_addresses=saved.addresses, given_routes=saved.routes)
    return MovedNic(
        users=("gateway",),
        offloads=saved.offloads,
        files=files.files,
        previous_files=files.previous,
        handovers=files.handovers,
        saved_steps=(move,),
    )


def only_configuration(saved: SavedNic, configured: Iterable[str] = ()) -> SavedNic:
    """Return what a NIC had without leases and addresses of programs.

    :param configured: addresses that the NIC's network manager says.
    """
    move = MoveStep(None, saved.nic, given_addresses=saved.addresses, given_routes=saved.routes)
    kept = lasting(move, named_addresses(configured)).move
    return replace(saved, addresses=kept.given_addresses, routes=kept.given_routes)


def row_text(nic: str, kept: MovedNic) -> str:
    """Return what the bridge's row keeps, from which an earlier version can give the NIC back."""
    return as_text(saved_nic(nic, kept))


def saved_nic(nic: str, kept: MovedNic) -> SavedNic:
    """Return what a NIC gets back that its network manager does not give it."""
    moves = [step for step in kept.saved_steps or () if isinstance(step, MoveStep)]
    return SavedNic(
        nic,
        tuple(address for move in moves for address in move.given_addresses),
        tuple(route for move in moves for route in move.given_routes),
        kept.offloads,
    )


def state(nic: str, kept: MovedNic, is_new: bool) -> HostState:
    """Return the state in which the host's network managers leave the NIC alone.

    :param is_new: whether the NIC is about to become the gateway's. Once written, a file is the administrator's to
        change: only one that is missing is written again.
    """
    files = tuple(file for file in kept.files if is_new or read_file(file.path) is None)
    return HostState(files=(*files, gateway_nic_file(nic, kept)), file_readers=kept.handovers)


def returned(nic: str, row: str | None) -> tuple[HostState, ...]:
    """Return the states, one after another, by which the host has a NIC again: its network manager configures it as
    before, and what is missing then is given to it.

    :param row: what an earlier version has kept of the NIC in its bridge's row.
    :raises HostError: what is kept can't be read, or somebody has changed the manager's files.
    """
    kept = gateway_nic(nic)
    if kept is None:
        saved = from_text(nic, row)
        return (HostState(saved_nics=(only_configuration(saved),)),) if saved else ()
    current.refuse_edited_files(CurrentNic(nic, None, kept))
    needed = {file.path for files in files_of_others([nic]).values() for file in files}
    files = tuple(file for file in kept.previous_files if file.path not in needed)
    exists = facts.link_mac(nic) is not None
    readers = tuple(handover.back() for handover in kept.handovers if exists)
    return (
        HostState(files=files, file_readers=readers),
        HostState(saved_nics=(saved_nic(nic, kept),), files=(gateway_nic_file(nic, None),)),
    )
